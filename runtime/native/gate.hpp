// The judgements of runtime/quality.py and runtime/structure.py on the measures of runtime/gate, Python's own.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../gate/gate.h"
#include "picture.hpp"

namespace rop {

using Limits = std::map<std::string, double>;
using Measures = std::vector<std::pair<std::string, double>>;  // in the order of the reading

// The names that Limits must have, all of them.
inline constexpr std::initializer_list<const char *> LIMIT_NAMES = {
    "brightness_min", "brightness_max", "glare_share_max", "field_share_min", "detail_min", "detail_max", "edge_ratio_min",
    "fields_max", "redness_min", "green_excess_max", "dark_twentieth_min", "dark_third_min", "glare_spot_max", "blank_max",
    "edge_lit_max", "corner_lit_max", "relief_min"};

// Those that bundles of before do not state, with what counts then: Python's own.
inline const Limits LATER_LIMITS = {{"dark_twentieth_min", DARK_TWENTIETH_MIN}, {"dark_third_min", DARK_THIRD_MIN},
                             {"glare_spot_max", GLARE_SPOT_MAX}, {"blank_max", BLANK_MAX},
                             {"edge_lit_max", EDGE_LIT_MAX}, {"corner_lit_max", CORNER_LIT_MAX}, {"relief_min", RELIEF_MIN}};

struct Quality {
    bool gradable = false;
    std::vector<std::string> reasons;  // worst first
    Measures measures;
};

// Whether a frame shows a retina well enough to be read, and if not, why. input: RGB [256, 256, 3].
Quality grade(const Bytes &input, const Limits &limits);

// Why a frame is not one picture as a camera makes it; none when it is. The limits are this program's own, as Python's are.
std::vector<std::string> structure_faults(const Picture &picture, const Bytes &input);

// Where the camera saw something: 0 or 1 for each of 256 x 256 pixels.
Bytes field_of_view(const Bytes &input);

inline constexpr const char *NOT_ONE = "not one retina";

}  // namespace rop
