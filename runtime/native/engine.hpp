// Both networks on the CPU by OpenVINO, from graphs that the bundle holds saved.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bundle.hpp"

namespace rop {

struct Inference {
    std::vector<float> vessels;        // probability, [256, 256]
    std::vector<float> probabilities;  // of the classes
    std::vector<float> encoded;        // means of the two deepest encoder maps; empty where the graphs give none
    double segment_ms = 0, classify_ms = 0;
};

class Engine {
  public:
    // precision: `auto` is what the bundle names for this CPU; or one, or two with a plus. threads: 0 leaves the number
    // to OpenVINO. Raises Refused where the bundle holds no such graphs or OpenVINO refuses them.
    Engine(const Bundle &bundle, const std::string &precision, int threads);
    ~Engine();
    Engine(const Engine &) = delete;
    Engine &operator=(const Engine &) = delete;

    // input: RGB [256, 256, 3]. Raises NoResult for a fault, or for what cannot be a result.
    Inference infer(const Bytes &input);

    std::size_t encodes() const;  // how many numbers `Inference::encoded` has; 0 where the graphs give none
    const std::string &precision() const { return precision_; }  // as a reading says it
    const std::string &device() const { return device_; }
    const std::string &why() const { return why_; }

  private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
    std::size_t classes_;
    std::string precision_, device_, why_;
};

// avx2, vnni or amx by the instructions of this CPU, as runtime/cpu_class.py has it; empty for none of them.
std::string cpu_class();

}  // namespace rop
