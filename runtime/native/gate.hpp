// The quality gate of runtime/quality: whether a frame shows a retina well enough to be read, and if not, why.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "files.hpp"

namespace rop {

using Limits = std::map<std::string, double>;

// The names that Limits must have, all of them.
const std::vector<std::string> &limit_names();

struct Quality {
    bool gradable = false;
    std::vector<std::string> reasons;                       // worst first
    std::vector<std::pair<std::string, double>> measures;   // in the order of the reading
};

// input: RGB [256, 256, 3].
Quality grade(const Bytes &input, const Limits &limits);

// Where the camera saw something: 0 or 1 for each of 256 x 256 pixels.
Bytes field_of_view(const Bytes &input);

extern const char *const NOT_ONE;

}  // namespace rop
