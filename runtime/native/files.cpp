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

class File {
  public:
    explicit File(const std::filesystem::path &path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
        if (fd_ < 0) throw std::system_error(errno, std::generic_category());
        struct stat facts {};
        if (fstat(fd_, &facts) != 0 || !S_ISREG(facts.st_mode)) {
            close(fd_);
            throw std::system_error(EINVAL, std::generic_category(), "not a regular file");
        }
    }
    File(const File &) = delete;
    File &operator=(const File &) = delete;
    ~File() { close(fd_); }

    std::size_t read(std::uint8_t *to, std::size_t most) const {
        for (;;) {
            const ssize_t got = ::read(fd_, to, most);
            if (got >= 0) return static_cast<std::size_t>(got);
            if (errno != EINTR) throw std::system_error(errno, std::generic_category());
        }
    }

  private:
    int fd_;
};

using Digest = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Digest new_digest() {
    Digest digest(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    if (!digest || EVP_DigestInit_ex(digest.get(), EVP_sha256(), nullptr) != 1) throw Refused("SHA-256 is missing");
    return digest;
}

std::string finished(const Digest &digest) {
    std::uint8_t raw[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (EVP_DigestFinal_ex(digest.get(), raw, &length) != 1) throw Refused("SHA-256 failed");
    return hex({raw, raw + length});
}

}  // namespace

std::string hex(const Bytes &bytes) {
    std::string text;
    for (const std::uint8_t byte : bytes) (text += "0123456789abcdef"[byte >> 4]) += "0123456789abcdef"[byte & 15];
    return text;
}

Bytes read_at_most(const std::filesystem::path &path, std::uint64_t limit) {
    const File file(path);
    Bytes found;
    while (found.size() <= limit) {
        const std::size_t before = found.size();
        found.resize(before + static_cast<std::size_t>(std::min<std::uint64_t>(PIECE, limit + 1 - before)));
        const std::size_t got = file.read(found.data() + before, found.size() - before);
        found.resize(before + got);
        if (got == 0) break;
    }
    return found;
}

std::string sha256(const void *data, std::size_t size) {
    const Digest digest = new_digest();
    if (EVP_DigestUpdate(digest.get(), data, size) != 1) throw Refused("SHA-256 failed");
    return finished(digest);
}

std::pair<std::string, std::uint64_t> file_sha256(const std::filesystem::path &path, std::uint64_t limit) {
    const File file(path);
    const Digest digest = new_digest();
    Bytes piece(PIECE);
    std::uint64_t size = 0;
    while (size <= limit) {
        const std::size_t got = file.read(piece.data(), piece.size());
        if (got == 0) break;
        size += got;
        if (EVP_DigestUpdate(digest.get(), piece.data(), got) != 1) throw Refused("SHA-256 failed");
    }
    return {finished(digest), size};
}

}  // namespace rop
