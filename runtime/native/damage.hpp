// Damage that no decoder tells: rows of one flat colour, or a seam along a row of blocks. As device/cameras/codecs/seams.py.
#pragma once

#include <string>

#include "preprocess.hpp"

namespace rop {

// What shows it, in a few words; empty when nothing does. blocks: the coding works on blocks, where seams lie.
std::string damage_seen(const Picture &picture, bool blocks);

}  // namespace rop
