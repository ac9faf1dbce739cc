// ropscreen_loop.c in C++, by ropscreen.hpp: loop SOCKET RAW WIDTH HEIGHT PERIOD_MS MAX_AGE_MS. Prints what people are to see.
#include <csignal>
#include <cstring>
#include <fstream>
#include <iostream>
#include <thread>
#include <vector>

#include "ropscreen.hpp"

namespace {

using std::chrono::milliseconds;

volatile std::sig_atomic_t stopping;

void show(const std::string &words, std::uint64_t until_ns)
{
    static std::string shown;
    std::string line = std::to_string(until_ns) + " " + words;
    if (line != shown) {
        std::cout << line << std::endl;
        shown = std::move(line);
    }
}

struct Camera {
    std::vector<char> pixels;
    std::uint32_t width, height;
    std::uint64_t period_ns, next_ns = 0, sequence = 0;
};

void hand_over(rop::Client &client, Camera &eye)
{
    if (rop_now_ns() < eye.next_ns) {
        return;
    }
    auto slot = client.acquire();
    if (!slot) {
        return;
    }
    rop_picture picture{};
    picture.width = eye.width;
    picture.height = eye.height;
    picture.stride = eye.width * 3;
    picture.format = ROP_RGB8;
    picture.sequence = eye.sequence;
    picture.captured_ns = rop_now_ns();
    picture.deadline_ns = picture.captured_ns + 500'000'000;
    std::memcpy(slot->pixels(), eye.pixels.data(), eye.pixels.size());
    slot->pixels()[0] = static_cast<std::uint8_t>(eye.sequence++); // no two pictures of a camera are the same
    eye.next_ns = picture.captured_ns + eye.period_ns;
    (void)slot->submit(picture);
}

/* Until an error: submits while it waits, and shows nothing that is old. */
void read_frames(rop::Client &client, Camera &eye)
{
    std::uint64_t until_ns = 0;
    while (!stopping) {
        hand_over(client, eye);
        std::optional<rop_result> result;
        try {
            result = client.wait(milliseconds(20));
        } catch (const rop::Error &error) {
            if (error.connection_over()) {
                throw;
            }
            std::this_thread::sleep_for(milliseconds(20)); // nothing is under way
        }
        if (result && (result->flags & ROP_SUPERSEDED) == 0) { // one that a newer took the place of is no news
            until_ns = result->outcome == ROP_NO_RESULT ? 0 : result->fresh_until_ns;
            show(result->text, until_ns);
        } else if (until_ns != 0 && rop_now_ns() >= until_ns) {
            until_ns = 0;
            show("No result - waiting for the next picture", 0);
        }
    }
}

} // namespace

int main(int count, char **arguments)
{
    if (count != 7) {
        return 2;
    }
    Camera eye{};
    eye.width = static_cast<std::uint32_t>(std::stoul(arguments[3]));
    eye.height = static_cast<std::uint32_t>(std::stoul(arguments[4]));
    eye.period_ns = std::stoull(arguments[5]) * 1'000'000;
    eye.pixels.resize(std::size_t{eye.width} * eye.height * 3);
    std::ifstream(arguments[2], std::ios::binary).read(eye.pixels.data(), static_cast<std::streamsize>(eye.pixels.size()));
    rop_options options{};
    options.max_age_ms = static_cast<std::uint32_t>(std::stoul(arguments[6]));
    (void)std::signal(SIGTERM, [](int) { stopping = 1; });
    show("No result - no picture yet", 0);
    while (!stopping) {
        try {
            rop::Client client(arguments[1], "camera-1", options);
            client.configure(3, static_cast<std::uint32_t>(eye.pixels.size()));
            read_frames(client, eye);
        } catch (const rop::Error &error) {
            std::cerr << error.what() << '\n';
        }
        if (!stopping) {
            show("No result - the reading program does not run", 0);
            std::this_thread::sleep_for(milliseconds(100));
        }
    }
    return 0;
}
