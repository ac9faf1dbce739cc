// The C++ wrapper at work: wrapper SOCKET PICTURE WIDTH HEIGHT (PICTURE: raw RGB). Exit status 0: all as it must be.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "ropscreen.hpp"

namespace {

void must(bool so, const char *what)
{
    if (!so) {
        std::cerr << "not so: " << what << '\n';
        std::exit(1);
    }
}

rop_status thrown_by_open(const std::string &path, const std::string &name)
{
    try {
        rop::Client client(path, name);
    } catch (const rop::Error &error) {
        return error.status();
    }
    return ROP_OK;
}

} // namespace

int main(int count, char **arguments)
{
    must(count == 5, "four arguments");
    const std::string path = arguments[1];
    rop_picture picture{};
    picture.width = static_cast<std::uint32_t>(std::atoi(arguments[3]));
    picture.height = static_cast<std::uint32_t>(std::atoi(arguments[4]));
    picture.stride = picture.width * 3;
    picture.format = ROP_RGB8;
    picture.flags = ROP_WANT_VESSELS;
    const std::uint32_t bytes = picture.stride * picture.height;

    must(thrown_by_open(path + "-none", "cpp") == ROP_NO_DAEMON, "no daemon throws");
    must(thrown_by_open(path, "a name") == ROP_BAD_ARGUMENT, "a wrong name throws");

    rop_options options{};
    options.timeout_ms = 10000;
    options.max_age_ms = 60000;
    rop::Client client(path, "cpp", options);
    client.configure(2, bytes, ROP_ORDER_EVERY, ROP_STORED_PICTURES);
    must(client.bundle().class_count == 2, "bundle");
    {
        auto one = client.acquire(), two = client.acquire();
        must(one && two && !client.acquire(), "two slots, no third");
    }
    auto slot = client.acquire();
    must(slot && slot->bytes() >= bytes, "slots come back when they go out of scope");
    std::ifstream(arguments[2], std::ios::binary).read(reinterpret_cast<char *>(slot->pixels()), bytes);
    must(slot->submit(picture), "submit");
    bool refused = false;
    try {
        (void)slot->submit(picture);
    } catch (const rop::Error &error) {
        refused = error.status() == ROP_BAD_STATE && !error.connection_over();
    }
    must(refused, "a slot is submitted once");
    const auto result = client.wait(std::chrono::seconds(20));
    must(result && result->outcome == ROP_NO_REFERRAL_FINDINGS, "result");
    const auto vessels = client.vessels(*result);
    must(vessels && std::any_of(vessels->begin(), vessels->end(), [](std::uint8_t v) { return v > 0; }), "vessels");
    must(!client.poll(), "nothing more");
    must(client.ring_fd() >= 0 && rop_is_fresh(&*result), "ring and age");
    client.cancel();
    must(client.health().state >= ROP_READY && client.descriptor() >= 0, "health");
    std::puts(result->text);
    return 0;
}
