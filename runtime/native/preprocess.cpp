#include "preprocess.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "../preprocess/resize.h"

namespace rop {
namespace {

constexpr int KEEP_AT_LEAST = 480, LARGEST_REDUCTION = 16, WEIGHT_BITS = 22, TALL = 100;

struct Weights {
    std::vector<std::int32_t> first, count;
    std::vector<std::uint32_t> weights;
    int taps = 0;

    ResizeAxis axis() const { return {first.data(), count.data(), weights.data(), taps}; }
};

// runtime/preprocess/weights.py, operation by operation: the last bit of a weight depends on their order. To be compiled
// without contraction to fused multiplications and additions.
Weights weights_for(int pixels, double reach) {
    const double scale = static_cast<double>(static_cast<float>(reach)) / SIDE;
    const double width = std::max(scale, 1.0), narrow = 1.0 / width;
    Weights made;
    made.taps = static_cast<int>(std::ceil(width)) * 2 + 1;
    made.weights.resize(static_cast<std::size_t>(SIDE) * static_cast<std::size_t>(made.taps));
    std::vector<double> shares(static_cast<std::size_t>(made.taps));
    for (int place = 0; place < SIDE; place++) {
        const double center = (place + 0.5) * scale;
        const auto first = std::max<std::int64_t>(static_cast<std::int64_t>(center - width + 0.5), 0);
        const auto last = std::min<std::int64_t>(static_cast<std::int64_t>(center + width + 0.5), pixels);
        made.first.push_back(static_cast<std::int32_t>(first));
        made.count.push_back(static_cast<std::int32_t>(last - first));
        double total = 0;
        for (int tap = 0; tap < made.taps; tap++) {
            const double distance = std::fabs((static_cast<double>(tap + first) - center + 0.5) * narrow);
            const double share = tap < last - first && distance < 1.0 ? 1.0 - distance : 0.0;
            shares[static_cast<std::size_t>(tap)] = share;
            total = total + share;
        }
        for (int tap = 0; tap < made.taps; tap++) {
            const double share = shares[static_cast<std::size_t>(tap)] / total * (1 << WEIGHT_BITS);
            made.weights[static_cast<std::size_t>(place * made.taps + tap)] = static_cast<std::uint32_t>(0.5 + share);
        }
    }
    return made;
}

}  // namespace

Bytes network_input(const Picture &picture) {
    if (picture.width < 1 || picture.height < 1 || picture.height > TALL * static_cast<std::int64_t>(picture.width) ||
        picture.rgb.size() != static_cast<std::size_t>(picture.width) * static_cast<std::size_t>(picture.height) * 3) {
        throw NoResult("frame is " + std::to_string(picture.width) + " x " + std::to_string(picture.height) + " pixels");
    }
    const int factor = std::clamp(std::min(picture.width, picture.height) / KEEP_AT_LEAST, 1, LARGEST_REDUCTION);
    const int columns = (picture.width + factor - 1) / factor, rows = (picture.height + factor - 1) / factor;
    const Weights across = weights_for(columns, static_cast<double>(picture.width) / factor);
    const Weights down = weights_for(rows, static_cast<double>(picture.height) / factor);
    const ResizeAxis across_axis = across.axis(), down_axis = down.axis();
    Bytes out(INPUT_BYTES);
    const int done = resize_to_input(picture.rgb.data(), picture.height, picture.width, factor, &across_axis, &down_axis,
                                     out.data());
    if (done != RESIZE_DONE) throw NoResult("frame cannot be resized");
    return out;
}

}  // namespace rop
