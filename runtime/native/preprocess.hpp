// From a frame's pixels to the networks' input, equal to the bit to runtime/preprocess.
#pragma once

#include <cstdint>
#include <string>

#include "files.hpp"

namespace rop {

constexpr int SIDE = 256;
constexpr std::size_t INPUT_BYTES = std::size_t{SIDE} * SIDE * 3;

// RGB, rows one after another without gaps.
struct Picture {
    int width = 0, height = 0;
    Bytes rgb;
};

// RGB [256, 256, 3]. Raises NoResult for a picture of sides that no frame has (over 100 times as high as wide).
Bytes network_input(const Picture &picture);

}  // namespace rop
