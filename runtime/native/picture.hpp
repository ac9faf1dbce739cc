// Pictures: PNG and baseline JPEG of 8-bit colour, whole and as they are; all else is refused in words. And what the networks
// see of them.
#pragma once

#include <cstdint>
#include <string>

#include "files.hpp"

namespace rop {

constexpr int SIDE = 256;
constexpr std::size_t INPUT_BYTES = std::size_t{SIDE} * SIDE * 3;

constexpr std::uint64_t LARGEST_PICTURE = 512u << 20;  // bytes of a file
constexpr std::int64_t MAX_PIXELS = 64'000'000;

// RGB, rows one after another without gaps.
struct Picture {
    int width = 0, height = 0;
    Bytes rgb;
};

inline std::string size_words(std::int64_t width, std::int64_t height) { return std::to_string(width) + " x " + std::to_string(height); }

// RGB. Raises NoResult for a picture that is damaged in the least, or of a kind that Python's side converts or turns.
Picture decode(const Bytes &file);

// A PNG of one channel, 8 bits. Raises NoResult.
Picture decode_grey(const Bytes &file);  // rgb holds one byte a pixel

// width x height x 3 bytes, nothing else. Raises NoResult.
Picture raw(const Bytes &file, int width, int height);

// RGB [256, 256, 3], equal to the bit to runtime/preprocess. Raises NoResult for a picture of sides that no frame has (over
// 100 times as high as wide).
Bytes network_input(const Picture &picture);

}  // namespace rop
