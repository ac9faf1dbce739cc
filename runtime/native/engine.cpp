#include "engine.hpp"

#include <openvino/c/openvino.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

#include "clock.hpp"
#include "preprocess.hpp"

namespace rop {
namespace {

const char *const RAW = "branch_raw", *const GUIDED = "branch_guided", *const ENCODED = "encoded";

template <typename T, void (*Free)(T *)>
struct Owned {
    struct Freed {
        void operator()(T *thing) const { Free(thing); }
    };
    using Pointer = std::unique_ptr<T, Freed>;
};
using Core = Owned<ov_core_t, ov_core_free>::Pointer;
using Model = Owned<ov_model_t, ov_model_free>::Pointer;
using Compiled = Owned<ov_compiled_model_t, ov_compiled_model_free>::Pointer;
using Request = Owned<ov_infer_request_t, ov_infer_request_free>::Pointer;
using Tensor = Owned<ov_tensor_t, ov_tensor_free>::Pointer;
using Port = Owned<ov_output_const_port_t, ov_output_const_port_free>::Pointer;

template <typename Error>
void check(ov_status_e status, const std::string &what) {
    if (status == ov_status_e::OK) return;
    const char *said = ov_get_last_err_msg();
    std::string text = said && *said ? said : ov_get_error_info(status);
    text.erase(text.find_last_not_of(" \n\r\t") + 1);
    text = text.substr(text.find_last_of('\n') + 1);  // the lines before say where in OpenVINO's own sources
    throw Error("openvino: " + what + " failed: " + text);
}

std::string own(char *text) {
    const std::string kept = text ? text : "";
    ov_free(text);
    return kept;
}

std::string property(const Core &core, const char *name) {
    char *value = nullptr;
    check<Refused>(ov_core_get_property(core.get(), "CPU", name, &value), name);
    return own(value);
}

std::string property(const Compiled &compiled, const char *name) {
    char *value = nullptr;
    check<Refused>(ov_compiled_model_get_property(compiled.get(), name, &value), name);
    return own(value);
}

Model read(const Core &core, const Bundle &bundle, const std::string &name) {
    const Bytes text = bundle.read(name + ".xml"), weights = bundle.read(name + ".bin");
    std::int64_t length = static_cast<std::int64_t>(weights.size());
    ov_tensor_t *tensor = nullptr;
    check<Refused>(ov_tensor_create(ov_element_type_e::U8, {1, &length}, &tensor), name);
    const Tensor kept(tensor);
    void *to = nullptr;
    check<Refused>(ov_tensor_data(tensor, &to), name);
    if (!weights.empty()) std::memcpy(to, weights.data(), weights.size());
    ov_model_t *model = nullptr;
    check<Refused>(ov_core_read_model_from_memory_buffer(core.get(), reinterpret_cast<const char *>(text.data()),
                                                         text.size(), tensor, &model),
                   name);
    return Model(model);
}

// threads: 0 leaves the number to OpenVINO. pinned: whether to a core of its own.
Compiled compile(const Core &core, const Model &model, const char *arithmetic, int threads, bool pinned) {
    const std::string number = std::to_string(threads);
    const char *const count = number.c_str();
    const char *const pinning = pinned ? "YES" : "NO";
    ov_compiled_model_t *compiled = nullptr;
    ov_status_e status;
    if (threads == 0) {
        status = ov_core_compile_model(core.get(), model.get(), "CPU", 4, &compiled, "PERFORMANCE_HINT", "LATENCY",
                                       "INFERENCE_PRECISION_HINT", arithmetic);
    } else if (pinned) {
        status = ov_core_compile_model(core.get(), model.get(), "CPU", 6, &compiled, "PERFORMANCE_HINT", "LATENCY",
                                       "INFERENCE_PRECISION_HINT", arithmetic, "INFERENCE_NUM_THREADS", count);
    } else {
        status = ov_core_compile_model(core.get(), model.get(), "CPU", 8, &compiled, "PERFORMANCE_HINT", "LATENCY",
                                       "INFERENCE_PRECISION_HINT", arithmetic, "INFERENCE_NUM_THREADS", count,
                                       "ENABLE_CPU_PINNING", pinning);
    }
    check<Refused>(status, "compiling");
    return Compiled(compiled);
}

Request request_of(const Compiled &compiled) {
    ov_infer_request_t *request = nullptr;
    check<Refused>(ov_compiled_model_create_infer_request(compiled.get(), &request), "making a request");
    return Request(request);
}

Tensor tensor_of(const Request &request, const std::string &name) {
    ov_tensor_t *tensor = nullptr;
    check<Refused>(ov_infer_request_get_tensor(request.get(), name.c_str(), &tensor), name);
    return Tensor(tensor);
}

void share(const Request &to, const std::string &name, const Tensor &tensor) {
    check<Refused>(ov_infer_request_set_tensor(to.get(), name.c_str(), tensor.get()), name);
}

std::vector<std::string> inputs_of(const Compiled &compiled) {
    std::size_t count = 0;
    check<Refused>(ov_compiled_model_inputs_size(compiled.get(), &count), "inputs");
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; i++) {
        ov_output_const_port_t *port = nullptr;
        check<Refused>(ov_compiled_model_input_by_index(compiled.get(), i, &port), "inputs");
        const Port kept(port);
        char *name = nullptr;
        check<Refused>(ov_port_get_any_name(port, &name), "inputs");
        names.push_back(own(name));
    }
    return names;
}

bool gives(const Compiled &compiled, const char *name) {
    ov_output_const_port_t *port = nullptr;
    const bool found = ov_compiled_model_output_by_name(compiled.get(), name, &port) == ov_status_e::OK;
    const Port kept(port);
    return found;
}

// A result's numbers, which are to be float32.
struct Numbers {
    float *data = nullptr;
    std::size_t size = 0;

    Numbers(const Tensor &tensor, const std::string &name) {
        ov_element_type_e type{};
        void *raw = nullptr;
        check<Refused>(ov_tensor_get_element_type(tensor.get(), &type), name);
        check<Refused>(ov_tensor_get_size(tensor.get(), &size), name);
        check<Refused>(ov_tensor_data(tensor.get(), &raw), name);
        if (type != ov_element_type_e::F32) throw Refused("openvino: " + name + " is not float32; build the bundle again");
        data = static_cast<float *>(raw);
    }
    // What is not written must not be the frame before's.
    void forget() const { std::fill_n(data, size, std::numeric_limits<float>::quiet_NaN()); }
};

void require_between_0_and_1(const Numbers &numbers, const char *name) {
    for (std::size_t i = 0; i < numbers.size; i++) {
        const float value = numbers.data[i];
        if (!(value >= -1e-3f && value <= 1 + 1e-3f)) {  // a NaN fails both
            throw NoResult(std::string(name) + ": has values beyond 0 to 1; the engine's output is not usable");
        }
    }
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
    std::set<std::string> flags;
    for (std::string line; std::getline(file, line);) {
        if (line.rfind("flags", 0) != 0 && line.rfind("Features", 0) != 0) continue;
        std::istringstream words(line.substr(std::min(line.find(':') + 1, line.size())));
        for (std::string word; words >> word;) flags.insert(word);
        break;
    }
    const std::vector<std::string> classes = {"avx2", "vnni", "amx"};
    std::string own;
    if (flags.count("amx_int8") && flags.count("amx_bf16")) {
        own = "amx";
    } else if (flags.count("avx512_vnni") || flags.count("avx_vnni")) {
        own = "vnni";
    } else if (flags.count("avx2")) {
        own = "avx2";
    }
    const std::string held = limited_class(isa_limit());
    if (own.empty() || held.empty()) return own;
    return std::min(std::find(classes.begin(), classes.end(), own), std::find(classes.begin(), classes.end(), held))[0];
}

struct Engine::Parts {
    Core core;
    std::vector<Compiled> compiled;
    std::vector<Request> requests;
    std::vector<Tensor> tensors;
    Bytes image = Bytes(INPUT_BYTES);
    std::vector<Numbers> results;   // vessels, probabilities, logits; encoded where the graphs give it
    std::vector<Numbers> between;   // the branches' results
};

Engine::Engine(const Bundle &bundle, const std::string &precision, int threads)
    : parts_(std::make_unique<Parts>()), classes_(bundle.manifest().classes.size()) {
    ov_core_t *raw_core = nullptr;
    check<Refused>(ov_core_create(&raw_core), "starting");
    parts_->core.reset(raw_core);
    const Core &core = parts_->core;
    const std::string limit = isa_limit();
    const bool no_half = !limited_class(limit).empty() && limit != "AVX512_CORE_BF16";
    const std::string half = no_half ? "f32" : property(core, "INFERENCE_PRECISION_HINT");
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
    const char *const segments_in = segmentation == "fp32" ? "f32" : half.c_str();
    const char *const classifies_in = classifier == "fp32" ? "f32" : half.c_str();
    parts_->compiled.push_back(compile(core, read(core, bundle, saved->folder + "/segmentation"), segments_in, threads, true));
    const int cores = threads ? threads : std::max(1, std::atoi(property(parts_->compiled[0], "INFERENCE_NUM_THREADS").c_str()));
    const bool branches = saved->parts.size() > 2;
    // The branches run side by side, each on its share; pinned, both would be on the first cores.
    const std::vector<int> shares = branches ? std::vector<int>{std::max(cores / 2, 1), cores - cores / 2, 1} : std::vector<int>{threads};
    for (std::size_t i = 1; i < saved->parts.size(); i++) {
        const Model model = read(core, bundle, saved->folder + "/" + saved->parts[i]);
        parts_->compiled.push_back(compile(core, model, classifies_in, shares[i - 1], !branches));
    }
    for (const Compiled &compiled : parts_->compiled) parts_->requests.push_back(request_of(compiled));

    std::vector<Request> &requests = parts_->requests;
    std::int64_t sides[] = {1, SIDE, SIDE, 3};
    ov_tensor_t *raw_image = nullptr;
    check<Refused>(ov_tensor_create_from_host_ptr(ov_element_type_e::U8, {4, sides}, parts_->image.data(), &raw_image), "image");
    parts_->tensors.emplace_back(raw_image);
    share(requests[0], "image", parts_->tensors[0]);
    const std::size_t taking = branches ? 2 : 1;  // the classifier, or its guided branch
    for (const std::string &name : inputs_of(parts_->compiled[taking])) {
        if (name == "image") {
            share(requests[taking], name, parts_->tensors[0]);
        } else {
            parts_->tensors.push_back(tensor_of(requests[0], name));
            share(requests[taking], name, parts_->tensors.back());
        }
    }
    if (branches) {
        share(requests[1], "image", parts_->tensors[0]);
        for (const auto &[from, name] : {std::pair{1, RAW}, {2, GUIDED}}) {
            parts_->tensors.push_back(tensor_of(requests[static_cast<std::size_t>(from)], name));
            parts_->between.emplace_back(parts_->tensors.back(), name);
            share(requests[3], name, parts_->tensors.back());
        }
    }
    for (const char *name : {"vessels", "probabilities", "logits"}) {
        parts_->tensors.push_back(tensor_of(std::string(name) == "vessels" ? requests.front() : requests.back(), name));
        parts_->results.emplace_back(parts_->tensors.back(), name);
    }
    if (gives(parts_->compiled[0], ENCODED)) {
        parts_->tensors.push_back(tensor_of(requests.front(), ENCODED));
        parts_->results.emplace_back(parts_->tensors.back(), ENCODED);
    }
    if (parts_->results[0].size != std::size_t{SIDE} * SIDE || parts_->results[1].size != classes_ ||
        parts_->results[2].size != classes_) {
        throw Refused("bundle " + bundle.path().string() + ": its graphs do not fit its manifest; build it again");
    }
    device_ = property(core, "FULL_DEVICE_NAME");
    device_.erase(device_.find_last_not_of(' ') + 1);
    if (precision_ != "fp32") {
        device_ += " (segmentation " + property(parts_->compiled[0], "INFERENCE_PRECISION_HINT") + ", classifier " +
                   property(parts_->compiled[1], "INFERENCE_PRECISION_HINT") + ")";
    }
    why_ = "rop-read " ROP_READ_VERSION ", saved graphs " + saved->folder;
}

Engine::~Engine() = default;

std::size_t Engine::encodes() const { return parts_->results.size() > 3 ? parts_->results[3].size : 0; }

Inference Engine::infer(const Bytes &input) {
    if (input.size() != INPUT_BYTES) throw NoResult("image has the wrong size");
    std::copy(input.begin(), input.end(), parts_->image.begin());
    for (const auto *numbers : {&parts_->results, &parts_->between}) {
        for (const Numbers &each : *numbers) each.forget();
    }
    const std::vector<Request> &requests = parts_->requests;
    Inference found;
    auto start = Clock::now();
    check<NoResult>(ov_infer_request_infer(requests[0].get()), "segment");
    found.segment_ms = since(start);
    start = Clock::now();
    if (requests.size() == 2) {
        check<NoResult>(ov_infer_request_infer(requests[1].get()), "classify");
    } else {
        check<NoResult>(ov_infer_request_start_async(requests[2].get()), "classify");
        const ov_status_e raw_branch = ov_infer_request_infer(requests[1].get());
        const ov_status_e guided_branch = ov_infer_request_wait(requests[2].get());  // told when both have ended
        check<NoResult>(raw_branch, "classify");
        check<NoResult>(guided_branch, "classify");
        check<NoResult>(ov_infer_request_infer(requests[3].get()), "classify");
    }
    found.classify_ms = since(start);
    const Numbers &vessels = parts_->results[0], &probabilities = parts_->results[1], &logits = parts_->results[2];
    require_between_0_and_1(vessels, "vessels");
    require_between_0_and_1(probabilities, "probabilities");
    double total = 0;
    for (std::size_t i = 0; i < classes_; i++) {
        total += static_cast<double>(probabilities.data[i]);
        if (!std::isfinite(logits.data[i])) throw NoResult("logits: not finite; the engine's output is not usable");
    }
    if (!(std::fabs(total - 1) <= 0.01)) throw NoResult("probabilities: do not add up to 1; the engine's output is not usable");
    if (const std::size_t count = encodes()) {
        found.encoded.assign(parts_->results[3].data, parts_->results[3].data + count);
        const bool finite = std::all_of(found.encoded.begin(), found.encoded.end(), [](float value) { return std::isfinite(value); });
        if (!finite) throw NoResult("encoded: not finite numbers; the engine's output is not usable");
    }
    found.vessels.assign(vessels.data, vessels.data + vessels.size);
    found.probabilities.assign(probabilities.data, probabilities.data + probabilities.size);
    return found;
}

}  // namespace rop
