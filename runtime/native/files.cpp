#include "files.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <system_error>

namespace rop {
namespace {

constexpr std::size_t PIECE = 1 << 20;

struct Opened {
    explicit Opened(const std::filesystem::path &path) : fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
        if (fd < 0) throw std::system_error(errno, std::generic_category());
    }
    Opened(const Opened &) = delete;
    Opened &operator=(const Opened &) = delete;
    ~Opened() { close(fd); }

    int regular() const {
        struct stat facts {};
        if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) throw std::system_error(EINVAL, std::generic_category());
        return fd;
    }

    const int fd;
};

// A file's pieces, one after another, until it ends or one byte more than `limit` was given.
template <class Take> void pieces(int fd, std::uint64_t limit, const Take &take) {
    Bytes piece(PIECE);
    for (std::uint64_t given = 0; given <= limit;) {
        const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(PIECE, limit + 1 - given));
        const ssize_t got = read(fd, piece.data(), most);
        if (got == 0) return;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw std::system_error(errno, std::generic_category());
        take(piece.data(), static_cast<std::size_t>(got));
        given += static_cast<std::uint64_t>(got);
    }
}

}  // namespace

std::string hex(const Bytes &bytes) {
    std::string text;
    for (const std::uint8_t byte : bytes) (text += "0123456789abcdef"[byte >> 4]) += "0123456789abcdef"[byte & 15];
    return text;
}

Bytes read_at_most(const std::filesystem::path &path, std::uint64_t limit) {
    return read_at_most(Opened(path).regular(), limit);
}

Bytes read_at_most(int fd, std::uint64_t limit) {
    Bytes found;
    pieces(fd, limit, [&](const std::uint8_t *data, std::size_t size) { found.insert(found.end(), data, data + size); });
    return found;
}

std::string sha256(const void *data, std::size_t size) {
    Bytes raw(32);
    if (EVP_Digest(data, size, raw.data(), nullptr, EVP_sha256(), nullptr) != 1) throw Refused("SHA-256 failed");
    return hex(raw);
}

std::pair<std::string, std::uint64_t> file_sha256(const std::filesystem::path &path, std::uint64_t limit) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    bool fine = digest && EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) == 1;
    std::uint64_t all = 0;
    pieces(Opened(path).regular(), limit, [&](const std::uint8_t *data, std::size_t size) {
        fine = fine && EVP_DigestUpdate(digest.get(), data, size) == 1;
        all += size;
    });
    Bytes raw(32);
    if (!fine || EVP_DigestFinal_ex(digest.get(), raw.data(), nullptr) != 1) throw Refused("SHA-256 failed");
    return {hex(raw), all};
}

}  // namespace rop
