#include "engine.hpp"

#include <openvino/runtime/core.hpp>
#include <openvino/runtime/properties.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <numeric>

#include "clock.hpp"
#include "preprocess.hpp"

namespace rop {
namespace {

const char *const RAW = "branch_raw", *const GUIDED = "branch_guided", *const ENCODED = "encoded";

std::string said(const ov::Exception &error, const std::string &what) {
    std::string text = error.what();
    text.erase(text.find_last_not_of(" \n\r\t") + 1);
    text = text.substr(text.find_last_of('\n') + 1);  // the lines before say where in OpenVINO's own sources
    return "openvino: " + what + " failed: " + text;
}

std::shared_ptr<ov::Model> read(ov::Core &core, const Bundle &bundle, const std::string &name) {
    const Bytes text = bundle.read(name + ".xml"), file = bundle.read(name + ".bin");
    ov::Tensor weights(ov::element::u8, {file.size()});
    std::copy(file.begin(), file.end(), weights.data<std::uint8_t>());
    return core.read_model(std::string(text_of(text)), weights);
}

// threads: 0 leaves the number to OpenVINO. pinned: whether to a core of its own.
ov::CompiledModel compile(ov::Core &core, const Bundle &bundle, const std::string &name, const std::string &arithmetic,
                          int threads, bool pinned) {
    ov::AnyMap settings{ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY),
                        ov::hint::inference_precision(ov::element::Type(arithmetic))};
    if (threads) settings.insert(ov::inference_num_threads(threads));
    if (!pinned) settings.insert(ov::hint::enable_cpu_pinning(false));
    return core.compile_model(read(core, bundle, name), "CPU", settings);
}

bool gives(const ov::CompiledModel &compiled, const char *name) {
    const auto outputs = compiled.outputs();
    return std::any_of(outputs.begin(), outputs.end(), [&](const auto &output) { return output.get_names().count(name); });
}

void require_between_0_and_1(const ov::Tensor &numbers, const char *name) {
    const float *const values = numbers.data<float>();
    // A NaN fails both.
    if (!std::all_of(values, values + numbers.get_size(), [](float value) { return value >= -1e-3f && value <= 1 + 1e-3f; })) {
        throw NoResult(std::string(name) + ": has values beyond 0 to 1; the engine's output is not usable");
    }
}

std::vector<float> finite_numbers(const ov::Tensor &numbers, const char *name) {
    std::vector<float> found(numbers.data<float>(), numbers.data<float>() + numbers.get_size());
    if (!std::all_of(found.begin(), found.end(), [](float value) { return std::isfinite(value); })) {
        throw NoResult(std::string(name) + ": not finite numbers; the engine's output is not usable");
    }
    return found;
}

std::string isa_limit() {
    const char *value = std::getenv("ONEDNN_MAX_CPU_ISA");
    std::string text = value ? value : "";
    for (char &letter : text) letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
    return text;
}

// The class that the variable holds OpenVINO to; empty for none.
std::string limited_class(const std::string &limit) {
    if (limit == "AVX2" || limit == "AVX512_CORE") return "avx2";
    return limit == "AVX2_VNNI" || limit == "AVX512_CORE_VNNI" || limit == "AVX512_CORE_BF16" ? "vnni" : "";
}

std::pair<std::string, std::string> precision_pair(const Manifest &manifest, const std::string &asked) {
    if (asked != "auto") {
        const std::size_t plus = asked.find('+');
        return {asked.substr(0, plus), plus == std::string::npos ? asked : asked.substr(plus + 1)};
    }
    auto found = manifest.default_precision.find("openvino/" + cpu_class());
    if (found == manifest.default_precision.end()) found = manifest.default_precision.find("openvino");
    if (found == manifest.default_precision.end()) return {"fp32", "fp32"};
    const auto word = [&](const char *network) {
        const auto named = found->second.find(network);
        return named == found->second.end() ? std::string("fp32") : named->second;
    };
    return {word("segmentation"), word("classifier")};
}

}  // namespace

std::string cpu_class() {
    std::ifstream file("/proc/cpuinfo");
    std::string line;
    while (std::getline(file, line) && line.rfind("flags", 0) != 0 && line.rfind("Features", 0) != 0) {
    }
    const auto has = [flags = line + " "](const char *flag) { return flags.find(std::string(" ") + flag + " ") != std::string::npos; };
    const std::vector<std::string> classes = {"avx2", "vnni", "amx"};
    std::string own;
    if (has("amx_int8") && has("amx_bf16")) {
        own = "amx";
    } else if (has("avx512_vnni") || has("avx_vnni")) {
        own = "vnni";
    } else if (has("avx2")) {
        own = "avx2";
    }
    const std::string held = limited_class(isa_limit());
    if (own.empty() || held.empty()) return own;
    return std::min(std::find(classes.begin(), classes.end(), own), std::find(classes.begin(), classes.end(), held))[0];
}

struct Engine::Parts {
    ov::Core core;
    std::vector<ov::CompiledModel> compiled;
    std::vector<ov::InferRequest> requests;
    ov::Tensor image{ov::element::u8, {1, SIDE, SIDE, 3}};
    ov::Tensor vessels, probabilities, logits, encoded;  // the last is empty where the graphs do not give it
    std::vector<ov::Tensor> written;                     // by an inference, all of them
};

Engine::Engine(const Bundle &bundle, const std::string &precision, int threads) try
    : parts_(std::make_unique<Parts>()), classes_(bundle.manifest().classes.size()) {
    ov::Core &core = parts_->core;
    const std::string limit = isa_limit();
    const bool no_half = !limited_class(limit).empty() && limit != "AVX512_CORE_BF16";
    const std::string half = no_half ? "f32" : core.get_property("CPU", ov::hint::inference_precision).to_string();
    const auto [segmentation, classifier] = precision_pair(bundle.manifest(), precision);
    const std::string handed_on = segmentation == "fp32" || classifier == "fp32" ? "f32" : half;
    precision_ = precision_word(segmentation, classifier);
    const SavedGraphs *saved = nullptr;
    for (const SavedGraphs &form : bundle.manifest().saved_graphs) {
        const bool fits = form.segmentation == segmentation && form.classifier == classifier && form.handed_on == handed_on;
        if (fits && !saved) saved = &form;
    }
    if (!saved) {
        throw Refused("bundle " + bundle.path().string() + ": holds no saved graphs of " + precision_ +
                      " with maps handed on in " + handed_on + "; add them: python -m build_engines ir BUNDLE");
    }
    auto &compiled = parts_->compiled;
    compiled.push_back(compile(core, bundle, saved->folder + "/segmentation", segmentation == "fp32" ? "f32" : half, threads, true));
    const int cores = threads ? threads : std::max(1, compiled[0].get_property(ov::inference_num_threads));
    const bool branches = saved->parts.size() > 2;
    // The branches run side by side, each on its share; pinned, both would be on the first cores.
    const std::vector<int> shares = branches ? std::vector<int>{std::max(cores / 2, 1), cores - cores / 2, 1} : std::vector<int>{threads};
    for (std::size_t i = 1; i < saved->parts.size(); i++) {
        compiled.push_back(compile(core, bundle, saved->folder + "/" + saved->parts[i], classifier == "fp32" ? "f32" : half,
                                   shares[i - 1], !branches));
    }
    auto &requests = parts_->requests;
    for (ov::CompiledModel &each : compiled) requests.push_back(each.create_infer_request());
    requests[0].set_tensor("image", parts_->image);
    const std::size_t taking = branches ? 2 : 1;  // the classifier, or its guided branch
    for (const auto &input : compiled[taking].inputs()) {
        const std::string name = input.get_any_name();
        requests[taking].set_tensor(name, name == "image" ? parts_->image : requests[0].get_tensor(name));
    }
    if (branches) {
        requests[1].set_tensor("image", parts_->image);
        for (const auto &[from, name] : {std::pair{1, RAW}, {2, GUIDED}}) {
            parts_->written.push_back(requests[static_cast<std::size_t>(from)].get_tensor(name));
            requests[3].set_tensor(name, parts_->written.back());
        }
    }
    parts_->vessels = requests.front().get_tensor("vessels");
    parts_->probabilities = requests.back().get_tensor("probabilities");
    parts_->logits = requests.back().get_tensor("logits");
    parts_->written.insert(parts_->written.end(), {parts_->vessels, parts_->probabilities, parts_->logits});
    if (gives(compiled[0], ENCODED)) parts_->written.push_back(parts_->encoded = requests.front().get_tensor(ENCODED));
    for (const ov::Tensor &each : parts_->written) each.data<float>();  // raises where it is not float32
    if (parts_->vessels.get_size() != std::size_t{SIDE} * SIDE || parts_->probabilities.get_size() != classes_ ||
        parts_->logits.get_size() != classes_) {
        throw Refused("bundle " + bundle.path().string() + ": its graphs do not fit its manifest; build it again");
    }
    device_ = core.get_property("CPU", ov::device::full_name);
    device_.erase(device_.find_last_not_of(' ') + 1);
    if (precision_ != "fp32") {
        const auto arithmetic = [&](std::size_t of) { return compiled[of].get_property(ov::hint::inference_precision).to_string(); };
        device_ += " (segmentation " + arithmetic(0) + ", classifier " + arithmetic(1) + ")";
    }
    why_ = "rop-read " ROP_READ_VERSION ", saved graphs " + saved->folder;
} catch (const ov::Exception &error) {
    throw Refused(said(error, "loading"));
}

Engine::~Engine() = default;

std::size_t Engine::encodes() const { return parts_->encoded ? parts_->encoded.get_size() : 0; }

Inference Engine::infer(const Bytes &input) {
    if (input.size() != INPUT_BYTES) throw NoResult("image has the wrong size");
    std::copy(input.begin(), input.end(), parts_->image.data<std::uint8_t>());
    for (ov::Tensor &each : parts_->written) {  // what is not written must not be the frame before's
        std::fill_n(each.data<float>(), each.get_size(), std::numeric_limits<float>::quiet_NaN());
    }
    auto &requests = parts_->requests;
    Inference found;
    const char *stage = "segment";
    try {
        auto start = Clock::now();
        requests[0].infer();
        found.segment_ms = since(start);
        stage = "classify";
        start = Clock::now();
        if (requests.size() == 2) {
            requests[1].infer();
        } else {
            requests[2].start_async();
            try {
                requests[1].infer();
            } catch (...) {  // told when both have ended
                requests[2].wait();
                throw;
            }
            requests[2].wait();
            requests[3].infer();
        }
        found.classify_ms = since(start);
    } catch (const ov::Exception &error) {
        throw NoResult(said(error, stage));
    }
    require_between_0_and_1(parts_->vessels, "vessels");
    require_between_0_and_1(parts_->probabilities, "probabilities");
    found.vessels = finite_numbers(parts_->vessels, "vessels");
    found.probabilities = finite_numbers(parts_->probabilities, "probabilities");
    finite_numbers(parts_->logits, "logits");
    if (parts_->encoded) found.encoded = finite_numbers(parts_->encoded, "encoded");
    const double total = std::accumulate(found.probabilities.begin(), found.probabilities.end(), 0.0);
    if (!(std::fabs(total - 1) <= 0.01)) throw NoResult("probabilities: do not add up to 1; the engine's output is not usable");
    return found;
}

}  // namespace rop
