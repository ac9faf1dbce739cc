#include "familiar.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "json.hpp"

namespace rop {
namespace {

constexpr std::size_t LARGEST = 4096, MOST_AXES = 256;
constexpr long long MOST_FRAMES = 1ll << 62;

// A number that float32 can hold. positive: more than nothing there, too.
float number_of(const Json &value, bool positive) {
    const double exact = value.number();
    if (!(std::fabs(exact) <= static_cast<double>(std::numeric_limits<float>::max()))) value.refuse("is beyond float32");
    const float found = static_cast<float>(exact);
    if (positive && !(found > 0)) value.refuse("expected more than 0");
    return found;
}

std::vector<float> numbers_of(const Json &list, bool positive, std::size_t count) {
    if (list.size() != count) {
        list.refuse("has " + std::to_string(list.size()) + " numbers, expected " + std::to_string(count));
    }
    std::vector<float> found;
    for (std::size_t i = 0; i < count; i++) found.push_back(number_of(list.at(i), positive));
    return found;
}

std::size_t between(const Json &list, std::size_t least, std::size_t most) {
    const std::size_t count = list.size();
    if (count < least || count > most) {
        list.refuse("has " + std::to_string(count) + " entries, expected " + std::to_string(least) + " to " +
                    std::to_string(most));
    }
    return count;
}

void check_cameras(const Json &cameras) {
    const auto named = cameras.members();
    if (named.empty()) cameras.refuse("names none");
    for (const auto &[name, kept] : named) {
        kept.only({"frames", "kept"});
        kept.at("frames").whole(1, MOST_FRAMES);
        kept.at("kept").whole(0, MOST_FRAMES);
    }
}

}  // namespace

float Familiar::distance(const std::vector<float> &encoded) const {
    std::vector<float> z(mean.size());
    float outside = 0, along = 0;
    for (std::size_t i = 0; i < z.size(); i++) {
        z[i] = (std::log1p(encoded.at(i) < 0 ? 0.0f : encoded.at(i)) - mean[i]) / scale[i];
        outside += z[i] * z[i];
    }
    for (std::size_t k = 0; k < axes.size(); k++) {
        float inside = 0;
        for (std::size_t i = 0; i < z.size(); i++) inside += z[i] * axes[k][i];
        outside -= inside * inside;
        along += inside * inside / variances[k];
    }
    return along / static_cast<float>(axes.size()) + outside / rest;
}

Familiar parse_familiar(std::string_view text, const std::string &what, const std::string &graph_sha256) {
    const Json root = Json::parsed(text, what);
    root.only({"schema", "segmentation_sha256", "mean", "scale", "axes", "variances", "rest", "limit", "cameras"});
    if (root.at("schema").text() != "rop.familiar/1") root.refuse("is of another schema");
    if (root.at("segmentation_sha256").text() != graph_sha256) root.refuse("is of another segmentation graph");
    const Json axes = root.at("axes");
    const std::size_t count = between(root.at("mean"), 2, LARGEST), several = between(axes, 1, MOST_AXES);
    Familiar found;
    found.mean = numbers_of(root.at("mean"), false, count);
    found.scale = numbers_of(root.at("scale"), true, count);
    for (std::size_t k = 0; k < several; k++) found.axes.push_back(numbers_of(axes.at(k), false, count));
    found.variances = numbers_of(root.at("variances"), true, several);
    found.rest = number_of(root.at("rest"), true);
    found.limit = number_of(root.at("limit"), true);
    check_cameras(root.at("cameras"));
    return found;
}

std::optional<Familiar> open_familiar(const Bundle &bundle) {
    if (!bundle.holds(FAMILIAR)) return std::nullopt;
    const std::string what = "bundle " + bundle.path().string() + ": " + FAMILIAR;
    const auto graph = bundle.manifest().files.find("segmentation.fp32.onnx");
    if (graph == bundle.manifest().files.end()) throw Refused(what + " is of another segmentation graph");
    const Bytes file = bundle.read(FAMILIAR);
    return parse_familiar(text_of(file), what, graph->second.sha256);
}

}  // namespace rop
