// Pictures: PNG and baseline JPEG of 8-bit colour, whole and as they are; all else is refused in words.
#pragma once

#include <string>

#include "preprocess.hpp"

namespace rop {

constexpr std::uint64_t LARGEST_PICTURE = 512u << 20;  // bytes of a file
constexpr std::int64_t MAX_PIXELS = 64'000'000;

// RGB. Raises NoResult for a picture that is damaged in the least, or of a kind that Python's side converts or turns.
Picture decode(const Bytes &file);

// A PNG of one channel, 8 bits. Raises NoResult.
Picture decode_grey(const Bytes &file);  // rgb holds one byte a pixel

// width x height x 3 bytes, nothing else. Raises NoResult.
Picture raw(const Bytes &file, int width, int height);

}  // namespace rop
