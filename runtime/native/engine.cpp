#include "engine.hpp"

#include <openvino/core/graph_util.hpp>
#include <openvino/core/rt_info.hpp>
#include <openvino/op/constant.hpp>
#include <openvino/runtime/core.hpp>
#include <openvino/runtime/properties.hpp>

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <numeric>

#include "clock.hpp"
#include "picture.hpp"

namespace rop {
namespace {

const char *const RAW = "branch_raw", *const GUIDED = "branch_guided", *const ENCODED = "encoded";

std::string said(const ov::Exception &error, const std::string &what) {
    std::string text = error.what();
    text.erase(text.find_last_not_of(" \n\r\t") + 1);
    text = text.substr(text.find_last_of('\n') + 1);  // the lines before say where in OpenVINO's own sources
    return "openvino: " + what + " failed: " + text;
}

// Each constant with memory of its own: one that a compiled model holds on to would keep the whole file.
std::shared_ptr<ov::Model> read(ov::Core &core, const Bundle &bundle, const std::string &name) {
    const Bytes text = bundle.read(name + ".xml");
    Bytes file = bundle.read(name + ".bin");
    const auto model = core.read_model(std::string(text_of(text)), ov::Tensor(ov::element::u8, {file.size()}, file.data()));
    for (const auto &node : model->get_ordered_ops()) {
        const auto shared = ov::as_type_ptr<ov::op::v0::Constant>(node);
        if (!shared) continue;
        const auto own = std::make_shared<ov::op::v0::Constant>(shared->get_element_type(), shared->get_shape(), shared->get_data_ptr());
        own->set_friendly_name(shared->get_friendly_name());
        ov::copy_runtime_info(shared, own);
        ov::replace_node(shared, own);
    }
    return model;
}

// threads: 0 leaves the number to OpenVINO. pinned: whether to a core of its own.
ov::CompiledModel compile(ov::Core &core, const Bundle &bundle, const std::string &name, const std::string &arithmetic,
                          int threads, bool pinned) {
    ov::AnyMap settings{ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY),
                        ov::hint::inference_precision(ov::element::Type(arithmetic))};
    if (threads) settings.insert(ov::inference_num_threads(threads));
    // Fewer threads than cores would be on the first ones, as those of every other such program.
    if (cpu_set_t all; !pinned || (threads && !sched_getaffinity(0, sizeof all, &all) && threads < CPU_COUNT(&all))) {
        settings.insert(ov::hint::enable_cpu_pinning(false));
    }
    return core.compile_model(read(core, bundle, name), "CPU", settings);
}

// Finite, and a probability where it says so: within a thousandth, as Python has it. A NaN is neither.
std::vector<float> numbers_of(const ov::Tensor &tensor, const char *name, bool probability) {
    std::vector<float> found(tensor.data<float>(), tensor.data<float>() + tensor.get_size());
    const auto fits = [=](float value) { return probability ? value >= -1e-3f && value <= 1 + 1e-3f : std::isfinite(value); };
    if (std::all_of(found.begin(), found.end(), fits)) return found;
    throw NoResult(std::string(name) + (probability ? ": has values beyond 0 to 1" : ": not finite numbers") +
                   "; the engine's output is not usable");
}

std::string isa_limit() {
    const char *value = std::getenv("ONEDNN_MAX_CPU_ISA");
    std::string text = value ? value : "";
    for (char &letter : text) letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
    return text;
}

const char *const CLASSES[] = {"", "avx2", "vnni", "amx"};
constexpr std::size_t AVX2 = 1, VNNI = 2, AMX = 3;

// The class that the variable holds OpenVINO to, by its place among them; the last where it names none.
std::size_t limited_class(const std::string &limit) {
    if (limit == "AVX2" || limit == "AVX512_CORE") return AVX2;
    return limit == "AVX2_VNNI" || limit == "AVX512_CORE_VNNI" || limit == "AVX512_CORE_BF16" ? VNNI : AMX;
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
    while (std::getline(file, line) && line.rfind("flags", 0) != 0 && line.rfind("Features", 0) != 0) continue;
    const auto has = [flags = line + " "](const char *flag) { return flags.find(std::string(" ") + flag + " ") != std::string::npos; };
    const bool amx = has("amx_int8") && has("amx_bf16"), vnni = has("avx512_vnni") || has("avx_vnni");
    const std::size_t own = amx ? AMX : vnni ? VNNI : has("avx2") ? AVX2 : 0;
    return CLASSES[std::min(own, limited_class(isa_limit()))];
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
    const bool no_half = limited_class(limit) != AMX && limit != "AVX512_CORE_BF16";
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
    for (const auto &output : compiled[0].outputs()) {
        if (output.get_names().count(ENCODED)) parts_->written.push_back(parts_->encoded = requests.front().get_tensor(ENCODED));
    }
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
    // What is not written must not be the frame before's.
    for (ov::Tensor &each : parts_->written) std::fill_n(each.data<float>(), each.get_size(), std::numeric_limits<float>::quiet_NaN());
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
    found.vessels = numbers_of(parts_->vessels, "vessels", true);
    found.probabilities = numbers_of(parts_->probabilities, "probabilities", true);
    numbers_of(parts_->logits, "logits", false);
    if (parts_->encoded) found.encoded = numbers_of(parts_->encoded, "encoded", false);
    const double total = std::accumulate(found.probabilities.begin(), found.probabilities.end(), 0.0);
    if (!(std::fabs(total - 1) <= 0.01)) throw NoResult("probabilities: do not add up to 1; the engine's output is not usable");
    return found;
}

}  // namespace rop
