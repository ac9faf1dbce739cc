// A frame goes in, a reading comes out: gate, networks, decision, and the JSON form `rop.reading/1`.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine.hpp"
#include "familiar.hpp"
#include "gate.hpp"
#include "picture.hpp"
#include "site.hpp"

namespace rop {

enum class Outcome { refer, no_referral_findings, retake, no_result };

struct Reading {
    std::string source, captured_at, frame_sha256;  // empty where there were no pixels to hash
    long long sequence = 0;
    int width = 0, height = 0;
    Outcome outcome = Outcome::no_result;
    std::string reason;
    std::vector<std::pair<std::string, double>> probabilities;  // empty where there is no result that counts
    std::optional<Quality> quality;
    std::optional<double> vessel_fraction;
    Bytes vessels;  // probability x 255, [256, 256]; empty where there is no result that counts
    // Milliseconds of each stage, in the order of the reading; nothing for one that did not run.
    std::optional<double> capture_ms, quality_ms, preprocess_ms, segment_ms, classify_ms, decide_ms, total_ms;
};

// Outcome and reason for probabilities in the order of the classes: REFER at or over the threshold.
std::pair<Outcome, std::string> decide(const std::vector<ClassLabel> &classes, const std::vector<double> &probabilities,
                                       double threshold);

const char *word(Outcome outcome);

// What must be said of the model in every reading.
struct Standing {
    Signature signature;
    std::string self_test_at;  // empty: the bundle holds no self-test
};

class Reader {
  public:
    // familiar: the bundle's test; none only for stage vectors, which are of the stages before it. Raises Refused where the
    // engine cannot make it.
    Reader(const Bundle &bundle, Engine &engine, std::optional<Familiar> familiar);

    // Fills in everything from `outcome` on, and the frame's size and hash. Never raises for what a frame may be.
    void read(const Picture &picture, Reading &to);

    // One line of JSON, without its end.
    std::string json(const Reading &reading, const Standing &standing) const;

  private:
    void stages(const Picture &picture, Reading &to);
    void conclude(const Inference &found, const Bytes &input, Reading &to) const;
    bool is_familiar(const Inference &found, Quality &quality) const;

    const Bundle &bundle_;
    Engine &engine_;
    std::optional<Familiar> familiar_;
};

}  // namespace rop
