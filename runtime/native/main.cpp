// rop-read PICTURE...: readings as JSON, one a line.

#include <getopt.h>
#include <malloc.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <optional>
#include <system_error>

#include "clock.hpp"
#include "json.hpp"
#include "known.hpp"
#include "picture.hpp"

namespace {

using namespace rop;

const char *const HELP = R"(usage: rop-read --bundle DIR [options] PICTURE...
       rop-read --bundle DIR [options] --vectors

Reads pictures of a fundus camera with a bundle and writes one reading a line, JSON in the form rop.reading/1, to
standard output. Screening aid; not a medical device.

PICTURE            PNG or baseline JPEG, 8-bit colour; `-` is standard input with --raw
--bundle DIR       the model, with saved graphs for this CPU (python -m build_engines ir DIR)
--trusted-keys DIR public keys (*.pem) of those who may sign it; or ROP_TRUSTED_KEYS
--raw WxH          pictures are RGB bytes of this size, without a header
--precision P      auto, fp32, fp16, int8, or two with a plus (default: auto, the bundle's choice for this CPU)
--threads N        CPU threads (default: OpenVINO's choice)
--vectors          hold this program against the bundle's stage vectors, in place of reading pictures
--verbose          say on standard error when it is ready and what memory it takes
--version, --help

exit codes: 0 done, whatever the readings say; 1 a stage vector is not met; 2 the call, the bundle or a picture cannot be
used (a picture's reading is then NO_RESULT with the reason)
A site's profile (ROP_SITE_PROFILE) is not obeyed here, and so refused: use python -m runtime.screen.
)";

struct Options {
    std::string bundle, precision = "auto";
    std::optional<std::filesystem::path> keys;
    int threads = 0, width = 0, height = 0;
    bool vectors = false, verbose = false;
    std::vector<std::string> pictures;
};

int whole(const std::string &text, const std::string &name, int most) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
        throw Refused(name + ": got " + text + ", expected a whole number from 1 to " + std::to_string(most));
    }
    return value;
}

void take_size(Options &to, const std::string &text) {
    const std::size_t by = text.find('x');
    if (by == std::string::npos) throw Refused("--raw: got " + text + ", expected WIDTHxHEIGHT");
    to.width = whole(text.substr(0, by), "--raw", 65500);
    to.height = whole(text.substr(by + 1), "--raw", 65500);
}

Options parsed(int count, char **words) {
    const option known[] = {{"bundle", required_argument, nullptr, 'b'},    {"trusted-keys", required_argument, nullptr, 'k'},
                            {"precision", required_argument, nullptr, 'p'}, {"threads", required_argument, nullptr, 't'},
                            {"raw", required_argument, nullptr, 'r'},       {"vectors", no_argument, nullptr, 'v'},
                            {"verbose", no_argument, nullptr, 's'},         {}};
    Options found;
    if (const char *keys = std::getenv("ROP_TRUSTED_KEYS"); keys && *keys) found.keys = keys;
    opterr = 0;
    for (int one; (one = getopt_long(count, words, ":", known, nullptr)) != -1;) {
        switch (one) {
            case 'b': found.bundle = optarg; break;
            case 'k': found.keys = optarg; break;
            case 'p': found.precision = optarg; break;
            case 't': found.threads = whole(optarg, "--threads", 4096); break;
            case 'r': take_size(found, optarg); break;
            case 'v': found.vectors = true; break;
            case 's': found.verbose = true; break;
            case ':': throw Refused(std::string(words[optind - 1]) + ": needs a value; see rop-read --help");
            default: throw Refused(std::string(words[optind - 1]) + ": no such option, or not alone; see rop-read --help");
        }
    }
    found.pictures.assign(words + optind, words + count);
    if (const char *profile = std::getenv("ROP_SITE_PROFILE"); profile && *profile) {
        throw Refused("ROP_SITE_PROFILE: rop-read obeys no site profile; use python -m runtime.screen");
    }
    if (found.bundle.empty()) throw Refused("--bundle: none named; see rop-read --help");
    if (found.vectors != found.pictures.empty()) throw Refused("name pictures, or --vectors; see rop-read --help");
    return found;
}

Picture picture_from(const Options &options, const std::string &name) {
    try {
        const Bytes file = (name == "-" ? read_at_most(STDIN_FILENO, LARGEST_PICTURE) : read_at_most(name, LARGEST_PICTURE)).bytes;
        return options.width ? raw(file, options.width, options.height) : decode(file);
    } catch (const std::system_error &error) {
        throw NoResult("cannot be read (" + error.code().message() + ")");
    } catch (const std::bad_alloc &) {
        throw NoResult("takes more memory than there is");
    }
}

// The reading; whether there was a picture to read.
bool read_one(const Options &options, Reader &reader, const std::string &name, Reading &to) {
    const auto start = Clock::now();
    to.source = name == "-" ? "standard input" : std::filesystem::path(name).filename().string();
    to.captured_at = now();
    try {
        const Picture picture = picture_from(options, name);
        to.capture_ms = since(start);
        reader.read(picture, to);
        return true;
    } catch (const NoResult &error) {
        to.reason = to.source + ": " + error.what();
        return false;
    }
}

long resident_mb() {
    long pages = 0;
    std::ifstream statm("/proc/self/statm");
    statm >> pages >> pages;
    return pages * sysconf(_SC_PAGESIZE) / 1'000'000;
}

int run(const Options &options, Clock::time_point start) {
    const Site site(options.keys);
    const Bundle bundle{std::filesystem::path(options.bundle)};
    Standing standing{site.check(bundle), ""};
    const std::optional<Familiar> familiar = open_familiar(bundle);
    Engine engine(bundle, options.precision, options.threads);
    Reader reader(bundle, engine, familiar);
    if (self_test(bundle, engine, site.has_keys())) standing.self_test_at = now();
    malloc_trim(0);  // what loading took is not needed any more
    if (options.verbose) {
        std::cerr << "ready in " << std::lround(since(start)) << " ms, " << resident_mb() << " MB resident\n";
    }
    if (options.vectors) {
        std::size_t frames = 0;
        const auto problems = vector_problems(bundle, engine, frames);
        for (const std::string &problem : problems) std::cerr << harmless(problem) << "\n";
        std::cout << options.bundle << ": " << frames << " frames in " << engine.precision() << ": " << problems.size()
                  << " not met\n";
        return problems.empty() ? 0 : 1;
    }
    bool all = true;
    long long sequence = 0;
    for (const std::string &name : options.pictures) {
        Reading reading;
        reading.sequence = sequence++;
        all &= read_one(options, reader, name, reading);
        std::cout << reader.json(reading, standing) << std::endl;  // flushed: a result must not wait for the next
        if (!std::cout) throw Refused("standard output cannot be written");
    }
    return all ? 0 : 2;
}

}  // namespace

int main(int count, char **words) {
    const auto start = Clock::now();
    mallopt(M_ARENA_MAX, 1);  // what one thread gives back another takes: 2 MB less
    for (int i = 1; i < count; i++) {
        if (std::strcmp(words[i], "--help") == 0) return std::cout << HELP, 0;
        if (std::strcmp(words[i], "--version") == 0) return std::cout << "rop-read " ROP_READ_VERSION "\n", 0;
    }
    try {
        return run(parsed(count, words), start);
    } catch (const std::exception &error) {
        std::cerr << harmless(error.what()) << "\n";
        return 2;
    }
}
