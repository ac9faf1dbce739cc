#include "reading.hpp"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "clock.hpp"
#include "json.hpp"

namespace rop {
namespace {

constexpr int SMALLEST_SIDE = 64;
constexpr double LONGEST_TO_SHORTEST = 2.5;
const char *const AID = "Screening aid; not a medical device.";
const char *const DEMONSTRATION = " Demonstration bundle: not for clinical use.";

std::string fixed(double value, int digits) {
    char text[64];
    std::snprintf(text, sizeof text, "%.*f", digits, value);
    return text;
}

bool looks_like_an_end(double threshold, int digits) {
    const double shown = std::strtod(fixed(threshold, digits).c_str(), nullptr);
    return shown <= 0.0 || shown >= 1.0;
}

// With more digits where value and threshold would look equal and are not, or the threshold like 0 or 1.
std::string against(double value, double threshold) {
    int digits = 2;
    while (digits < 17 && looks_like_an_end(threshold, digits)) digits++;
    for (int d = digits; d <= 6; d++) {
        if (fixed(value, d) != fixed(threshold, d)) {
            digits = d;
            break;
        }
    }
    return fixed(value, digits) + ", threshold " + fixed(threshold, digits);
}

Bytes levels(const std::vector<float> &vessels) {
    Bytes found;
    for (const float value : vessels) {
        found.push_back(static_cast<std::uint8_t>(std::min(255l, std::lrint(std::fabs(value * 255.0f)))));
    }
    return found;
}

double vessel_fraction(const Bytes &vessels, const Bytes &input) {
    const Bytes field = field_of_view(input);
    std::size_t lit = 0, vessel = 0;
    for (std::size_t i = 0; i < field.size(); i++) {
        lit += field[i];
        vessel += field[i] && vessels[i] >= 128;
    }
    return static_cast<double>(vessel) / static_cast<double>(std::max<std::size_t>(lit, 1));
}

double rounded(double value, int digits) { return std::strtod(fixed(value, digits).c_str(), nullptr); }

std::string number_or_null(const std::optional<double> &value, int digits = 17) {
    return !value ? "null" : spelled(digits == 17 ? *value : rounded(*value, digits));
}

std::string text_or_null(const std::string &text) { return text.empty() ? "null" : json_text(text); }

std::string quality_json(const Quality &quality) {
    std::string text = std::string("{\"gradable\": ") + (quality.gradable ? "true" : "false") + ", \"reasons\": [";
    for (std::size_t i = 0; i < quality.reasons.size(); i++) text += (i ? ", " : "") + json_text(quality.reasons[i]);
    text += "]";
    for (const auto &[name, value] : quality.measures) text += ", " + json_text(name) + ": " + spelled(rounded(value, 5));
    return text + "}";
}

void retake(Reading &to, const std::vector<std::string> &reasons) {
    to.outcome = Outcome::retake;
    to.quality->gradable = false;
    to.quality->reasons = reasons;
    for (const std::string &reason : reasons) to.reason += (to.reason.empty() ? "" : ", ") + reason;
}

}  // namespace

const char *word(Outcome outcome) {
    const char *const words[] = {"REFER", "NO_REFERRAL_FINDINGS", "RETAKE", "NO_RESULT"};  // in the order of Outcome
    return words[static_cast<std::size_t>(outcome)];
}

std::pair<Outcome, std::string> decide(const std::vector<ClassLabel> &classes, const std::vector<double> &probabilities,
                                       double threshold) {
    double value = 0;
    std::string names;
    for (std::size_t i = 0; i < classes.size(); i++) {
        if (!classes[i].refer) continue;
        value += probabilities.at(i);
        names += (names.empty() ? "" : " + ") + classes[i].name;
    }
    // A NaN compares false with everything, so it is never below the threshold.
    if (value >= threshold) return {Outcome::refer, names + " " + against(value, threshold)};
    if (value < threshold) return {Outcome::no_referral_findings, names + " " + against(value, threshold)};
    return {Outcome::no_result, "the classifier gave no number"};
}

void Reader::read(const Picture &picture, Reading &to) {
    const auto start = Clock::now();
    to.width = picture.width;
    to.height = picture.height;
    try {
        to.frame_sha256 = sha256(picture.rgb.data(), picture.rgb.size());
        stages(picture, to);
    } catch (const NoResult &error) {
        to.outcome = Outcome::no_result;
        to.reason = error.what();
    } catch (const std::exception &error) {  // whatever it is, it must not become a finding
        to.outcome = Outcome::no_result;
        to.reason = std::string("software fault: ") + error.what();
    }
    if (to.outcome == Outcome::retake || to.outcome == Outcome::no_result) {
        to.probabilities.clear();
        to.vessels.clear();
        to.vessel_fraction.reset();
    }
    to.total_ms = since(start);
}

Reader::Reader(const Bundle &bundle, Engine &engine, std::optional<Familiar> familiar)
    : bundle_(bundle), engine_(engine), familiar_(std::move(familiar)) {
    if (familiar_ && engine_.encodes() != familiar_->mean.size()) {
        throw Refused("bundle " + bundle_.path().string() + ": " + FAMILIAR + " tells " +
                      std::to_string(familiar_->mean.size()) + " numbers of a frame, its saved graphs give " +
                      std::to_string(engine_.encodes()) + "; save them again: python -m build_engines ir BUNDLE");
    }
}

// Whether the networks know such frames, as far as the bundle can tell; the distance goes into the quality.
bool Reader::is_familiar(const Inference &found, Quality &quality) const {
    if (!familiar_) return true;
    const float distance = familiar_->distance(found.encoded);
    if (std::isfinite(distance)) quality.measures.emplace_back("strangeness", distance);  // JSON has no other numbers
    return distance <= familiar_->limit;  // so that what is not a number is not
}

void Reader::stages(const Picture &picture, Reading &to) {
    const int shorter = std::min(picture.width, picture.height), longer = std::max(picture.width, picture.height);
    if (shorter < SMALLEST_SIDE) {
        throw NoResult("frame is " + size_words(picture.width, picture.height) + " pixels, at least 64 x 64 needed");
    }
    if (longer > LONGEST_TO_SHORTEST * shorter) {
        to.quality = Quality{false, {NOT_ONE}, {}};
        to.outcome = Outcome::retake;
        to.reason = std::string(NOT_ONE) + ": no field of view is " + size_words(picture.width, picture.height);
        return;
    }
    auto start = Clock::now();
    const Bytes input = network_input(picture);
    to.preprocess_ms = since(start);
    start = Clock::now();
    to.quality = grade(input, bundle_.manifest().gate);
    to.quality_ms = since(start);
    if (!to.quality->gradable) return retake(to, to.quality->reasons);
    const Inference found = engine_.infer(input);
    to.segment_ms = found.segment_ms;
    to.classify_ms = found.classify_ms;
    start = Clock::now();
    if (const auto faults = structure_faults(picture, input); !faults.empty()) {
        retake(to, faults);
    } else if (!is_familiar(found, *to.quality)) {
        retake(to, {"not a fundus as the model knows it"});
    } else {
        conclude(found, input, to);
    }
    to.decide_ms = since(start);
}

void Reader::conclude(const Inference &found, const Bytes &input, Reading &to) const {
    to.vessels = levels(found.vessels);
    to.vessel_fraction = vessel_fraction(to.vessels, input);
    const std::vector<double> probabilities(found.probabilities.begin(), found.probabilities.end());
    const auto &classes = bundle_.manifest().classes;
    for (std::size_t i = 0; i < classes.size(); i++) to.probabilities.emplace_back(classes[i].name, probabilities.at(i));
    std::tie(to.outcome, to.reason) = decide(classes, probabilities, bundle_.manifest().refer_threshold);
}

std::string Reader::json(const Reading &r, const Standing &standing) const {
    const Manifest &manifest = bundle_.manifest();
    std::string probabilities = r.probabilities.empty() ? "null" : "{";
    for (std::size_t i = 0; i < r.probabilities.size(); i++) {
        probabilities += (i ? ", " : "") + json_text(r.probabilities[i].first) + ": " + spelled(r.probabilities[i].second);
    }
    probabilities += r.probabilities.empty() ? "" : "}";
    const auto ms = [](const std::optional<double> &value) { return number_or_null(value, 3); };
    const Signature &by = standing.signature;
    const std::string self_test = standing.self_test_at.empty() ? "\"none\"" : "\"passed\"";
    std::ostringstream out;
    out << "{\"schema\": \"rop.reading/1\", \"frame\": {\"source\": " << json_text(r.source) << ", \"sequence\": " << r.sequence
        << ", \"captured_at\": " << json_text(r.captured_at) << ", \"sha256\": " << text_or_null(r.frame_sha256)
        << ", \"width\": " << (r.width ? std::to_string(r.width) : "null")
        << ", \"height\": " << (r.height ? std::to_string(r.height) : "null") << "}, \"outcome\": \"" << word(r.outcome)
        << "\", \"reason\": " << json_text(r.reason) << ", \"probabilities\": " << probabilities
        << ", \"quality\": " << (r.quality ? quality_json(*r.quality) : "null")
        << ", \"vessel_fraction\": " << number_or_null(r.vessel_fraction) << ", \"timings_ms\": {\"capture\": " << ms(r.capture_ms)
        << ", \"quality\": " << ms(r.quality_ms) << ", \"preprocess\": " << ms(r.preprocess_ms)
        << ", \"segment\": " << ms(r.segment_ms) << ", \"classify\": " << ms(r.classify_ms)
        << ", \"decide\": " << ms(r.decide_ms) << ", \"total\": " << ms(r.total_ms)
        << "}, \"budget_ms\": null, \"late\": false, \"bundle\": {\"name\": " << json_text(manifest.name)
        << ", \"version\": " << json_text(manifest.version) << ", \"sha256\": " << json_text(bundle_.sha256())
        << ", \"notice\": " << json_text(std::string(AID) + (manifest.clinical_use ? "" : DEMONSTRATION))
        << "}, \"engine\": {\"backend\": \"openvino\", \"precision\": " << json_text(engine_.precision())
        << ", \"device\": " << json_text(engine_.device()) << ", \"why\": " << json_text(engine_.why())
        << ", \"plan_sha256\": null}, \"trust\": {\"bundle\": {\"state\": " << json_text(by.state)
        << ", \"by\": " << text_or_null(by.by) << ", \"key\": " << text_or_null(by.key)
        << "}, \"plan\": null, \"site\": null, \"self_test\": {\"state\": " << self_test
        << ", \"at\": " << text_or_null(standing.self_test_at)
        << ", \"reason\": \"\"}, \"drift\": {\"state\": \"off\", \"frames\": 0, \"reasons\": []}}}";
    return out.str();
}

}  // namespace rop
