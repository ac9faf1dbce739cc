// A bundle's folder: everything in it is checked before anything in it is used.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "files.hpp"
#include "gate.hpp"
#include "json.hpp"

namespace rop {

// Holds a bundle's learnt test of what is a fundus, see familiar.hpp.
inline constexpr const char *FAMILIAR = "reference/familiar.json";

struct FileEntry {
    std::uint64_t size = 0;
    std::string sha256;
};

struct ClassLabel {
    std::string name;
    bool refer = false;
};

// A pair of networks as OpenVINO IR, see runtime/manifest.py.
struct SavedGraphs {
    std::string segmentation, classifier;  // precisions
    std::string handed_on, folder;
    std::vector<std::string> parts;
};

struct Manifest {
    std::string name, version;
    long long issue = 0;
    std::string expires;  // ISO date, empty for no end
    bool clinical_use = false;
    std::vector<ClassLabel> classes;
    double refer_threshold = 0;
    Limits gate;
    std::map<std::string, std::map<std::string, std::string>> default_precision;
    std::vector<SavedGraphs> saved_graphs;
    std::map<std::string, FileEntry> files;
};

// The gate's limits as a manifest or the vectors state them. Raises Refused for those of another gate.
Limits limits_of(const Json &gate);

// The manifest in a JSON text. Raises Refused, also for whatever it says that is not known here: `what` is said in it.
Manifest parse_manifest(std::string_view text, const std::string &what);

class Bundle {
  public:
    // Checks the manifest, and size and SHA-256 of every file. Raises Refused.
    explicit Bundle(const std::filesystem::path &folder);

    const Manifest &manifest() const { return manifest_; }
    const Bytes &manifest_bytes() const { return raw_; }
    const std::string &sha256() const { return sha256_; }  // of the manifest's bytes
    const std::filesystem::path &path() const { return path_; }
    bool holds(const std::string &file) const { return manifest_.files.count(file) != 0; }

    // A file's bytes, checked once more as they are read. Raises Refused.
    Bytes read(const std::string &file) const { return checked(file, true); }

    // Every class name that counts towards referral, in order.
    std::vector<std::string> refer_classes() const;

  private:
    Bytes checked(const std::string &name, bool keep) const;

    std::filesystem::path path_;
    Bytes raw_;
    std::string sha256_;
    Manifest manifest_;
};

// `int8`, or `int8+fp16` where the two differ.
std::string precision_word(const std::string &segmentation, const std::string &classifier);

}  // namespace rop
