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

constexpr std::size_t PIECE = 1 << 20;

std::string hex(const Bytes &bytes) {
    std::string text;
    for (const std::uint8_t byte : bytes) (text += "0123456789abcdef"[byte >> 4]) += "0123456789abcdef"[byte & 15];
    return text;
}

std::string sha256(const void *data, std::size_t size) {
    Bytes raw(32);
    if (EVP_Digest(data, size, raw.data(), nullptr, EVP_sha256(), nullptr) != 1) throw Refused("SHA-256 failed");
    return hex(raw);
}

Read read_at_most(int fd, std::uint64_t limit, bool keep) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    bool fine = digest && EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) == 1;
    Read found;
    Bytes piece(PIECE), raw(32);
    while (found.size <= limit) {
        const ssize_t got = read(fd, piece.data(), static_cast<std::size_t>(std::min<std::uint64_t>(PIECE, limit + 1 - found.size)));
        if (got == 0) break;
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw std::system_error(errno, std::generic_category());
        fine = fine && EVP_DigestUpdate(digest.get(), piece.data(), static_cast<std::size_t>(got)) == 1;
        if (keep) found.bytes.insert(found.bytes.end(), piece.begin(), piece.begin() + got);
        found.size += static_cast<std::uint64_t>(got);
    }
    if (!fine || EVP_DigestFinal_ex(digest.get(), raw.data(), nullptr) != 1) throw Refused("SHA-256 failed");
    found.sha256 = hex(raw);
    return found;
}

Read read_at_most(const std::filesystem::path &path, std::uint64_t limit, bool keep) {
    struct Opened {
        const int fd;
        ~Opened() { close(fd); }
    } opened{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (opened.fd < 0) throw std::system_error(errno, std::generic_category());
    struct stat facts {};
    if (fstat(opened.fd, &facts) != 0 || !S_ISREG(facts.st_mode)) throw std::system_error(EINVAL, std::generic_category());
    return read_at_most(opened.fd, limit, keep);
}

}  // namespace rop
