#include "bundle.hpp"

#include <algorithm>
#include <system_error>


namespace rop {
namespace {

constexpr std::uint64_t MANIFEST_LIMIT = 4u << 20, LARGEST_FILE = 8ull << 30;

void expect(const Json &object, const char *name, const std::string &wanted) {
    const std::string got = object.at(name).text();
    if (got != wanted) object.at(name).refuse("got " + got + ", expected " + wanted);
}

void expect(const Json &object, const char *name, long long wanted) { object.at(name).whole(wanted, wanted); }

bool is_digest(const std::string &text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool is_inside(const std::string &path) {
    if (path.empty() || path[0] == '/' || path.find('\\') != std::string::npos) return false;
    if (std::any_of(path.begin(), path.end(), [](unsigned char letter) { return letter < 0x20 || letter == 0x7f; })) return false;
    for (const auto &part : std::filesystem::path(path)) {
        if (part == ".." || part == "." || part.string().size() > 255) return false;
    }
    return true;
}

void read_files(const Json &files, Manifest &to) {
    for (std::size_t i = 0; i < files.size(); i++) {
        const Json entry = files.at(i);
        entry.only({"path", "size", "sha256"});
        const std::string path = entry.at("path").text(), digest = entry.at("sha256").text();
        if (!is_inside(path)) entry.at("path").refuse("must be a relative path inside the bundle");
        if (!is_digest(digest)) entry.at("sha256").refuse("expected 64 digits");
        const auto size = static_cast<std::uint64_t>(entry.at("size").whole(0, LARGEST_FILE));
        if (!to.files.emplace(path, FileEntry{size, digest}).second) files.refuse("a path is listed twice");
    }
}

// What lies in a folder and is not known here may decide a reading, as reference/familiar.json does.
void refuse_unknown(const Manifest &manifest, const std::string &what) {
    for (const auto &[path, entry] : manifest.files) {
        const std::string folder = path.substr(0, path.find('/'));
        const bool known = folder == path || folder == "selftest" || folder == "vectors" || folder == "ir";
        if (!known && path != "reference/drift.json" && path != FAMILIAR) {
            throw Refused(what + ": holds " + path + ", a test that this rop-read does not know and so cannot make; "
                          "use python -m runtime.screen");
        }
    }
}

void read_classes(const Json &classes, Manifest &to) {
    bool refers[2] = {false, false};
    for (std::size_t i = 0; i < classes.size(); i++) {
        const Json label = classes.at(i);
        label.only({"name", "meaning", "refer"});
        to.classes.push_back({label.at("name").text(), label.at("refer").truth()});
        refers[to.classes.back().refer] = true;
        for (std::size_t j = 0; j < i; j++) {
            if (to.classes[j].name == to.classes[i].name) classes.refuse("names must differ");
        }
    }
    if (!refers[0] || !refers[1]) classes.refuse("at least one must count towards referral and at least one must not");
}

// What this program does before the networks is built in: a bundle that means something else is refused.
void check_stages(const Json &root, Manifest &to) {
    const Json input = root.at("input");
    input.only({"width", "height", "layout", "dtype", "color", "resize"});
    expect(input, "width", 256);
    expect(input, "height", 256);
    expect(input, "layout", "NHWC");
    expect(input, "dtype", "uint8");
    expect(input, "color", "RGB");
    expect(input, "resize", "antialiased bilinear");
    if (!root.has("resize") || !root.has("gate")) {
        root.refuse("does not state its resize and the limits of its gate; add them: python -m build_engines trust BUNDLE");
    }
    const Json resize = root.at("resize");
    resize.only({"keep_at_least", "largest_reduction", "weight_bits"});
    expect(resize, "keep_at_least", 480);
    expect(resize, "largest_reduction", 16);
    expect(resize, "weight_bits", 22);
    to.gate = limits_of(root.at("gate"));
}

void read_saved_graphs(const Json &saved, Manifest &to) {
    for (std::size_t i = 0; i < saved.size(); i++) {
        const Json form = saved.at(i), precision = form.at("precision");
        form.only({"precision", "handed_on", "folder", "parts", "openvino"});
        precision.only({"segmentation", "classifier"});
        SavedGraphs graphs{precision.at("segmentation").text(), precision.at("classifier").text(),
                           form.at("handed_on").text(), form.at("folder").text(), form.at("parts").texts()};
        const bool whole = graphs.parts == std::vector<std::string>{"segmentation", "classifier"};
        if (!whole && graphs.parts != std::vector<std::string>{"segmentation", "raw", "guided", "head"}) {
            form.at("parts").refuse("expected segmentation with classifier, or with raw, guided, head");
        }
        for (const std::string &part : graphs.parts) {
            for (const char *ending : {".xml", ".bin"}) {
                if (!to.files.count(graphs.folder + "/" + part + ending)) {
                    form.refuse(part + ending + " is not among the files");
                }
            }
        }
        to.saved_graphs.push_back(graphs);
    }
}

}  // namespace

Limits limits_of(const Json &gate) {
    gate.only(LIMIT_NAMES);
    Limits limits = LATER_LIMITS;
    for (const auto &[name, limit] : gate.members()) limits[name] = limit.number();
    for (const char *const name : LIMIT_NAMES) {
        if (!limits.count(name)) gate.refuse(std::string("has no limit ") + name + "; build the bundle again");
    }
    return limits;
}

Manifest parse_manifest(std::string_view text, const std::string &what) {
    const Json root = Json::parsed(text, what);
    expect(root, "schema", "rop.bundle/1");
    root.only({"schema", "name", "version", "created", "issue", "expires", "network", "input", "resize", "gate",
               "disease", "intended_use", "clinical_use", "classes", "refer_threshold", "training_data", "metrics",
               "cross_validation", "stated", "calibration_sha256", "quantization", "parity_report", "default_precision",
               "tools", "saved_graphs", "files"});
    Manifest found;
    found.name = root.at("name").text();
    found.version = root.at("version").text();
    if (found.name.empty() || found.version.empty()) root.refuse("has no name or no version");
    if (root.has("issue")) found.issue = root.at("issue").whole(0, 1ll << 62);
    if (root.has("expires")) found.expires = root.at("expires").text();
    if (!found.expires.empty() && found.expires.size() != 10) root.at("expires").refuse("expected a date, 2027-01-31");
    expect(root.at("network"), "architecture", "SegImgNet");
    expect(root, "disease", "retinopathy of prematurity");
    found.clinical_use = root.at("clinical_use").truth();
    found.refer_threshold = root.at("refer_threshold").number();
    if (!(found.refer_threshold > 0 && found.refer_threshold < 1)) {
        root.at("refer_threshold").refuse("expected more than 0 and less than 1");
    }
    read_classes(root.at("classes"), found);
    check_stages(root, found);
    for (const auto &[key, networks] : root.at("default_precision").members()) {
        networks.only({"segmentation", "classifier"});
        for (const auto &[network, precision] : networks.members()) {
            found.default_precision[key][network] = precision.text();
        }
    }
    read_files(root.at("files"), found);
    refuse_unknown(found, what);
    if (root.has("saved_graphs")) read_saved_graphs(root.at("saved_graphs"), found);
    return found;
}

Bundle::Bundle(const std::filesystem::path &folder) : path_(folder) {
    const std::string what = "bundle " + path_.string();
    try {
        Read read = read_at_most(path_ / "manifest.json", MANIFEST_LIMIT);
        if (read.size > MANIFEST_LIMIT) throw Refused(what + ": manifest.json is too large for a manifest");
        raw_ = std::move(read.bytes);
        sha256_ = read.sha256;
    } catch (const std::system_error &error) {
        throw Refused(what + ": manifest.json cannot be read (" + error.code().message() + "); expected a bundle's folder");
    }
    manifest_ = parse_manifest(text_of(raw_), what + ": manifest.json");
    for (const auto &file : manifest_.files) checked(file.first, false);
}

Bytes Bundle::checked(const std::string &name, bool keep) const {
    const std::string what = "bundle " + path_.string() + ": " + name;
    const auto entry = manifest_.files.find(name);
    if (entry == manifest_.files.end()) throw Refused(what + " is not in its manifest; build the bundle again");
    try {
        Read found = read_at_most(path_ / name, entry->second.size, keep);
        if (found.size != entry->second.size) throw Refused(what + " has another size than expected; copy it again");
        if (found.sha256 != entry->second.sha256) throw Refused(what + " was altered; copy the bundle again");
        return std::move(found.bytes);
    } catch (const std::system_error &error) {
        throw Refused(what + " cannot be read (" + error.code().message() + "); copy the bundle again");
    }
}

std::vector<std::string> Bundle::refer_classes() const {
    std::vector<std::string> names;
    for (const ClassLabel &label : manifest_.classes) {
        if (label.refer) names.push_back(label.name);
    }
    return names;
}

std::string precision_word(const std::string &segmentation, const std::string &classifier) {
    return segmentation == classifier ? segmentation : segmentation + "+" + classifier;
}

}  // namespace rop
