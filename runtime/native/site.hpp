// Whom this cart trusts: a folder of public keys, and what they signed. See runtime/trust.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "bundle.hpp"

namespace rop {

// The field `trust.bundle` of a reading.
struct Signature {
    std::string state;  // signed, unchecked
    std::string by, key;
};

class Site {
  public:
    // folder: of public keys (*.pem); none is a cart that nobody configured. Raises Refused.
    explicit Site(const std::optional<std::filesystem::path> &folder);

    bool has_keys() const { return has_keys_; }

    // Who stands for the bundle. Raises Refused for a signature that is missing, wrong or of a foreign key, for a bundle
    // that was withdrawn, has expired or is older than one that this cart has used, and without keys for clinical use.
    Signature check(const Bundle &bundle) const;

  private:
    std::pair<std::string, std::string> signer(const Bytes &body, const Bytes &line, const std::string &what) const;
    void read_withdrawn(const std::filesystem::path &path);

    bool has_keys_ = false;
    std::map<std::string, std::string> owners_;  // by public key, 64 digits
    std::map<std::string, bool> withdrawn_;      // by SHA-256
};

// The key and the signature that a line spells, each in bytes. Raises Refused for any other spelling.
std::pair<Bytes, Bytes> parse_signature(const Bytes &line, const std::string &what);

}  // namespace rop
