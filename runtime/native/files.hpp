// Files as they must be: regular, of a bounded size, read without waiting; and what names their content.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace rop {

using Bytes = std::vector<std::uint8_t>;

// The call, the bundle or the site cannot be used: nothing is read, exit code 2.
struct Refused : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The frame cannot be read: its reading is NO_RESULT with this reason.
struct NoResult : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What is open there, or a regular file: read in pieces until it ends or one byte more than the limit was read.
struct Read {
    Bytes bytes;  // empty where they are not kept
    std::uint64_t size = 0;
    std::string sha256;
};
Read read_at_most(int fd, std::uint64_t limit, bool keep = true);  // raise std::system_error
Read read_at_most(const std::filesystem::path &path, std::uint64_t limit, bool keep = true);

// SHA-256 as 64 digits.
std::string hex(const Bytes &bytes);
std::string sha256(const void *data, std::size_t size);

inline std::string_view text_of(const Bytes &bytes) {
    return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

}  // namespace rop
