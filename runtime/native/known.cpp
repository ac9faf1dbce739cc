#include "known.hpp"

#include <algorithm>
#include <cmath>

#include "picture.hpp"

namespace rop {
namespace {

const char *const SELF_TEST = "selftest/expected.json", *const VECTORS = "vectors/vectors.json";
constexpr int BLOCKS = 16, BLOCK = SIDE / BLOCKS;

// Of a map of shares, or of levels of which `whole` is all.
template <class Level> std::vector<double> block_means(const std::vector<Level> &vessels, double whole = 1) {
    std::vector<double> sums(BLOCKS * BLOCKS);
    for (int y = 0; y < SIDE; y++) {
        for (int x = 0; x < SIDE; x++) {
            sums[static_cast<std::size_t>(y / BLOCK * BLOCKS + x / BLOCK)] +=
                static_cast<double>(vessels[static_cast<std::size_t>(y * SIDE + x)]);
        }
    }
    for (double &sum : sums) sum /= whole * BLOCK * BLOCK;
    return sums;
}

// "" when every number is within `most` of the one known, a NaN never is.
std::string off_by(const char *what, const std::vector<double> &got, const std::vector<double> &known, double most) {
    if (got.size() != known.size()) return std::string(what) + ": another number of values than expected";
    for (std::size_t i = 0; i < got.size(); i++) {
        const double off = std::fabs(got[i] - known[i]);
        if (!(off <= most)) return std::string(what) + " is off by " + spelled(off) + ", at most " + spelled(most);
    }
    return "";
}

Picture picture_in(const Bundle &bundle, const std::string &name, bool grey = false) {
    try {
        const Bytes file = bundle.read(name);
        return grey ? decode_grey(file) : decode(file);
    } catch (const NoResult &error) {
        throw Refused("bundle " + bundle.path().string() + ": " + name + ": " + error.what());
    }
}

// Why the answers of frame `number` do not mean what it shows; "" when they do.
std::string against_meaning(const Bundle &bundle, const Json &meaning, std::size_t number, const std::vector<double> &given) {
    const auto &classes = bundle.manifest().classes;
    const Json expected = meaning.at("frames").at(number);
    const auto likeliest = static_cast<std::size_t>(std::max_element(given.begin(), given.end()) - given.begin());
    if (expected.has("class_name") && expected.at("class_name").text() != classes[likeliest].name) {
        return "was taken for " + classes[likeliest].name;
    }
    const auto [outcome, reason] = decide(classes, given, bundle.manifest().refer_threshold);
    return expected.at("refer").truth() && outcome != Outcome::refer ? "has to be referred and was not (" + reason + ")" : "";
}

bool check_meaning(const Bundle &bundle, const Json &meaning) {
    std::vector<std::string> names;
    for (const ClassLabel &label : bundle.manifest().classes) names.push_back(label.name);
    if (meaning.at("classes").texts() != names || meaning.at("refer_classes").texts() != bundle.refer_classes()) {
        meaning.refuse("is of other classes than the bundle's; build it again");
    }
    bool positive = false;
    const Json frames = meaning.at("frames");
    for (std::size_t i = 0; i < frames.size(); i++) positive |= frames.at(i).at("refer").truth();
    return positive;
}

Json vectors_of(const Bundle &bundle) {
    const Bytes file = bundle.read(VECTORS);
    const Json root = Json::parsed(text_of(file), "bundle " + bundle.path().string() + ": " + VECTORS);
    if (root.at("schema").text() != "rop.vectors/1") root.refuse("is of another schema");
    const bool other_gate = root.has("gate") && limits_of(root.at("gate")) != bundle.manifest().gate;  // those of before state none
    if (other_gate || root.at("refer_threshold").number() != bundle.manifest().refer_threshold) {
        root.refuse("is by another threshold or gate than the manifest's, which somebody edited; python -m build_engines trust BUNDLE");
    }
    return root;
}

std::string networks_problem(const Bundle &bundle, const Json &answers, const Json &tolerances, const Engine &engine,
                             const Reading &got) {
    if (got.probabilities.empty()) return std::string(word(got.outcome)) + " (" + got.reason + "), expected a result";
    const char *const in = engine.precision().c_str();
    const Json answer = answers.at(in);
    const double most = tolerances.at("vessels").at(in).number(), near = tolerances.at("probability").at(in).number();
    std::vector<double> given;
    for (const auto &named : got.probabilities) given.push_back(named.second);
    const Picture map = picture_in(bundle, answer.at("vessels").text(), true);
    if (map.rgb.size() != got.vessels.size()) answer.refuse("has a vessel map that is not 256 x 256");
    std::string why = off_by("vessel map", block_means(got.vessels, 255), block_means(map.rgb, 255), most);
    if (why.empty()) why = off_by("vessel fraction", {got.vessel_fraction.value_or(-1)}, {answer.at("vessel_fraction").number()}, most);
    if (why.empty()) why = off_by("probability", given, answer.at("probabilities").numbers(), near);
    if (why.empty() && answer.has("outcome") && answer.at("outcome").text() != word(got.outcome)) {
        why = std::string(word(got.outcome)) + ", expected " + answer.at("outcome").text();
    }
    return why;
}

std::string quality_problem(const Json &vector, const Quality &quality, double most) {
    const Json known = vector.at("measures");
    std::size_t met = 0;
    for (const auto &[name, value] : quality.measures) {
        // A bundle that was made before this was measured does not know it.
        if (!known.has(name.c_str()) && LATER_LIMITS.count(name + "_min") + LATER_LIMITS.count(name + "_max")) continue;
        met++;
        const double wanted = known.at(name.c_str()).number();
        const std::string why = off_by(name.c_str(), {value}, {wanted}, most * std::max(1.0, std::fabs(wanted)));
        if (!why.empty()) return why;
    }
    if (known.members().size() != met) return "gate has other measures than expected";
    return vector.at("reasons").texts() == quality.reasons ? "" : "gate has other reasons than expected";
}

}  // namespace

bool self_test(const Bundle &bundle, Engine &engine, bool with_keys) {
    const std::string what = "bundle " + bundle.path().string() + ": " + SELF_TEST;
    if (bundle.holds(VECTORS)) vectors_of(bundle);
    if (!bundle.holds(SELF_TEST)) {
        if (with_keys) throw Refused(what + " is missing, and trusted keys are named; python -m build_engines trust BUNDLE");
        return false;
    }
    const Bytes file = bundle.read(SELF_TEST);
    const Json root = Json::parsed(text_of(file), what);
    if (root.at("schema").text() != "rop.selftest/1") root.refuse("is of another schema");
    const bool meant = root.has("meaning");
    const bool positive = meant && check_meaning(bundle, root.at("meaning"));
    if (with_keys && !positive) root.refuse("knows no frame that has to be referred; python -m build_engines trust BUNDLE");
    const Json answers = root.at("answers");
    if (!answers.has(engine.precision().c_str())) answers.refuse("knows no answers in " + engine.precision());
    const Json known = answers.at(engine.precision().c_str()), frames = root.at("frames"), wanted = known.at("frames");
    if (frames.size() == 0 || frames.size() != wanted.size()) answers.refuse("does not know an answer for each frame");
    for (std::size_t i = 0; i < frames.size(); i++) {
        const Picture picture = picture_in(bundle, frames.at(i).text());
        if (picture.width != SIDE || picture.height != SIDE) frames.refuse("has a picture that is not 256 x 256");
        Inference found;
        try {
            found = engine.infer(picture.rgb);
        } catch (const NoResult &error) {
            throw Refused(what + ": self-test failed: " + error.what());
        }
        std::vector<double> blocks;
        const Json rows = wanted.at(i).at("vessels");
        for (std::size_t row = 0; row < rows.size(); row++) {
            for (const double value : rows.at(row).numbers()) blocks.push_back(value);
        }
        const std::vector<double> given(found.probabilities.begin(), found.probabilities.end());
        std::string why = off_by("probability", given, wanted.at(i).at("probabilities").numbers(),
                                 known.at("probability_tolerance").number());
        if (why.empty()) why = off_by("vessel map", block_means(found.vessels), blocks, known.at("vessels_tolerance").number());
        if (why.empty() && meant) why = against_meaning(bundle, root.at("meaning"), i, given);
        if (!why.empty()) throw Refused(what + ": self-test failed: frame " + std::to_string(i + 1) + ": " + why);
    }
    return true;
}

std::vector<std::string> vector_problems(const Bundle &bundle, Engine &engine, std::size_t &frames) {
    const std::string what = "bundle " + bundle.path().string() + ": " + VECTORS;
    if (!bundle.holds(VECTORS)) throw Refused(what + " is missing; add it: python -m build_engines trust BUNDLE");
    const Json root = vectors_of(bundle), vectors = root.at("frames"), tolerances = root.at("tolerances");
    Reader reader(bundle, engine, std::nullopt);  // the learnt test is no stage of them: drawn eyes are no infants'
    std::vector<std::string> problems;
    frames = vectors.size();
    for (std::size_t i = 0; i < frames; i++) {
        const Json vector = vectors.at(i);
        const std::string name = vector.at("name").text();
        const Picture picture = picture_in(bundle, vector.at("pixels").text());
        const auto note = [&](const std::string &why) {
            if (!why.empty()) problems.push_back(name + ": " + why);
        };
        Reading got;
        reader.read(picture, got);
        note(got.frame_sha256 == vector.at("sha256").text() ? "" : "pixels are not those that the vectors name");
        note(network_input(picture) == picture_in(bundle, vector.at("input").text()).rgb ? "" : "input differs");
        note(got.quality ? quality_problem(vector, *got.quality, tolerances.at("measures").number()) : "gate did not run");
        if (vector.at("reasons").size()) {
            note(got.outcome == Outcome::retake ? "" : std::string(word(got.outcome)) + ", expected RETAKE");
        } else {
            note(networks_problem(bundle, vector.at("answers"), tolerances, engine, got));
        }
    }
    return problems;
}

}  // namespace rop
