// The learnt test of runtime/familiar.py: how far a frame lies from those that the networks know, as their encoder sees it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle.hpp"

namespace rop {

struct Familiar {
    std::vector<float> mean, scale;         // of each number that the encoder gives
    std::vector<std::vector<float>> axes;   // each as long as the mean
    std::vector<float> variances;           // along each axis
    float rest = 0, limit = 0;

    // Of a frame: in float32 as Python has it, summed in another order. May be no number, which no limit lets pass.
    // encoded: as many numbers as the mean has.
    float distance(const std::vector<float> &encoded) const;
};

// The test in a JSON text. graph_sha256: of the bundle's fp32 segmentation, which it has to be of. Raises Refused.
Familiar parse_familiar(std::string_view text, const std::string &what, const std::string &graph_sha256);

// A bundle's test; none where it has none. Raises Refused for one that cannot be used.
std::optional<Familiar> open_familiar(const Bundle &bundle);

}  // namespace rop
