// What a file holds beside the picture that it begins with, or says of it: as device/cameras/codecs/further.py and own.py.
#pragma once

#include <cstddef>

#include "files.hpp"

namespace rop {

// Why a PNG or JPEG is not read though its pixels can be; nullptr when nothing speaks against it. The JPEG's scans, which
// cannot hold the beginning of a picture, may lie behind `end`, the last that belongs to the picture before.
const char *said_of_png(const Bytes &file);
const char *said_of_jpeg(const Bytes &file, std::size_t end, int width, int height);

}  // namespace rop
