// The judgements of runtime/quality.py and runtime/structure.py on the measures of runtime/gate, Python's own.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "preprocess.hpp"

namespace rop {

using Limits = std::map<std::string, double>;
using Measures = std::vector<std::pair<std::string, double>>;  // in the order of the reading

// The names that Limits must have, all of them.
extern const std::vector<std::string> LIMIT_NAMES;

// Those that bundles of before do not state, with what counts then: Python's own.
extern const Limits LATER_LIMITS;

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

extern const char *const NOT_ONE;

}  // namespace rop
