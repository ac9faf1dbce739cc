#include "site.hpp"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <system_error>
#include <vector>

#include "clock.hpp"
#include "json.hpp"

namespace rop {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t KEY_LIMIT = 16 * 1024, LINE_LIMIT = 1024, LIST_LIMIT = 1 << 20;
constexpr std::size_t KEY_BYTES = 32, SIGNATURE_BYTES = 64, SUM_DIGITS = 16;
constexpr std::string_view SUM = ", \"sum\": \"";
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

std::optional<Bytes> read_if_there(const fs::path &path, std::uint64_t limit) {
    try {
        Read found = read_at_most(path, limit);
        if (found.size > limit) throw Refused(path.string() + ": is too large");
        return std::move(found.bytes);
    } catch (const std::system_error &error) {
        if (error.code() == std::errc::no_such_file_or_directory || error.code() == std::errc::not_a_directory) {
            return std::nullopt;
        }
        throw Refused(path.string() + ": cannot be read (" + error.code().message() + "); allow it");
    }
}

Bytes unhex(const std::string &text) {
    long length = 0;
    const std::unique_ptr<std::uint8_t, void (*)(std::uint8_t *)> raw(OPENSSL_hexstr2buf(text.c_str(), &length),
                                                                      [](std::uint8_t *bytes) { OPENSSL_free(bytes); });
    return raw ? Bytes(raw.get(), raw.get() + length) : Bytes();
}

std::string public_key(const fs::path &path) {
    const std::string what = "trusted keys " + path.string();
    const auto pem = read_if_there(path, KEY_LIMIT);
    if (!pem) throw Refused(what + ": is gone");
    for (const fs::path &one : {path, path.parent_path()}) {
        if ((fs::status(one).permissions() & fs::perms::others_write) != fs::perms::none) {
            throw Refused(what + ": every user of this machine may write " + one.string() + "; chmod o-w it, and look at it");
        }
    }
    const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())),
                                                           BIO_free);
    const Key key(memory ? PEM_read_bio_PUBKEY(memory.get(), nullptr, nullptr, nullptr) : nullptr, EVP_PKEY_free);
    Bytes raw(KEY_BYTES);
    std::size_t length = raw.size();
    if (!key || EVP_PKEY_id(key.get()) != EVP_PKEY_ED25519 ||
        EVP_PKEY_get_raw_public_key(key.get(), raw.data(), &length) != 1 || length != KEY_BYTES) {
        throw Refused(what + ": not an Ed25519 public key in PEM");
    }
    return hex(raw);
}

std::string named(const char *name) {
    const char *value = std::getenv(name);
    return value ? value : "";
}

fs::path state_folder() {
    if (const std::string own = named("ROP_SITE_STATE"); !own.empty()) return own;
    if (const std::string managed = named("STATE_DIRECTORY"); !managed.empty()) return managed.substr(0, managed.find(':'));
    if (const std::string root = named("XDG_STATE_HOME"); !root.empty()) return fs::path(root) / "rop-screening";
    const std::string home = named("HOME");
    return fs::path(home.empty() ? "/var/lib" : home) / ".local" / "state" / "rop-screening";
}

// A line without the sum at its end (runtime/summed.py), once that is right: its brace a loss of power may have taken. One
// that has none, as of before there was one, as it is.
std::string without_sum(const std::string &line, const std::string &path) {
    const std::size_t at = std::min(line.rfind(SUM), line.size());
    if (at == line.size()) return line;
    const std::string rest = line.substr(0, at) + "}", digits = sha256(rest.data(), rest.size()).substr(0, SUM_DIGITS) + "\"";
    if (const std::string end = line.substr(at + SUM.size()); end != digits && end != digits + "}") {
        throw Refused(path + ": was altered, its sum is another; find out who wrote to it before it is made anew");
    }
    return rest;
}

// The highest issue of a name in the file that only grows (ROP_SITE_ANCHOR, runtime/trust/told.py), where one is named.
long long highest_told(const std::string &name) {
    const std::string path = named("ROP_SITE_ANCHOR");
    if (path.empty()) return 0;
    const auto found = read_if_there(path, LIST_LIMIT);
    if (!found) throw Refused(path + ": is not there; it has to be, ROP_SITE_ANCHOR names it");
    std::istringstream lines{std::string(text_of(*found))};
    long long highest = 0;
    for (std::string line; std::getline(lines, line);) {
        const bool summed = std::min(line.rfind(SUM), line.size()) + SUM.size() + SUM_DIGITS < line.size();
        if (line.empty() || (line.front() == '{' && line.back() != '}' && !summed)) continue;  // cut short by a loss of power
        const Json said = Json::parsed(without_sum(line, path), path);
        said.only({"name", "issue", "back"});
        if (said.at("name").text() == name && said.has("issue")) highest = std::max(highest, said.at("issue").whole(1, 1ll << 62));
    }
    return highest;
}

// The highest issue of a name that this cart has used, by the numbers that the Python runtime keeps.
long long highest_used(const std::string &name) {
    const fs::path path = state_folder() / "site-issues.json";
    const auto found = read_if_there(path, LIST_LIMIT);
    if (!found) return 0;
    const std::string text(text_of(*found).substr(0, text_of(*found).find('\n')));
    const Json root = Json::parsed(without_sum(text, path), path.string());
    root.only({"schema", "highest"});
    if (root.at("schema").text() != "rop.site-issues/1") root.refuse("is of another schema; find out why");
    const Json highest = root.at("highest");
    return highest.has(name.c_str()) ? highest.at(name.c_str()).whole(1, 1ll << 62) : 0;
}

void check_issue(const std::string &name, long long issue, const std::string &what) {
    const long long seen = std::max(highest_used(name), highest_told(name));
    if (issue >= seen) return;
    throw Refused(what + ": its issue is " + std::to_string(issue) + ", this cart has used issue " + std::to_string(seen) +
                  "; use the newest");
}

}  // namespace

std::pair<Bytes, Bytes> parse_signature(const Bytes &line, const std::string &what) {
    const std::string text(text_of(line)), begin = "{\"ed25519\": \"", middle = "\", \"key\": \"", end = "\"}\n";
    const std::size_t second = begin.size() + 2 * SIGNATURE_BYTES + middle.size();
    if (text.size() == second + 2 * KEY_BYTES + end.size()) {
        const Bytes signature = unhex(text.substr(begin.size(), 2 * SIGNATURE_BYTES)), key = unhex(text.substr(second, 2 * KEY_BYTES));
        // One spelling only, so that every byte of the line counts.
        if (text == begin + hex(signature) + middle + hex(key) + end) return {key, signature};
    }
    throw Refused(what + ": no signature line, expected {ed25519, key}; sign it: python -m build_engines sign");
}

Site::Site(const std::optional<fs::path> &folder) : has_keys_(folder.has_value()) {
    if (!folder) return;
    std::vector<fs::path> paths;
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(*folder, error)) {
        if (entry.path().extension() == ".pem") paths.push_back(entry.path());
    }
    if (error || paths.empty()) {
        throw Refused("trusted keys " + folder->string() + ": " + (error ? error.message() : "holds no *.pem") +
                      "; name a folder of public keys (*.pem)");
    }
    std::sort(paths.begin(), paths.end());
    for (const fs::path &path : paths) {
        if (!owners_.emplace(public_key(path), path.stem().string()).second) {
            throw Refused("trusted keys " + path.string() + ": the same key as another's; remove one");
        }
    }
    read_withdrawn(*folder / "withdrawn.signed");
}

void Site::read_withdrawn(const fs::path &path) {
    const auto data = read_if_there(path, LIST_LIMIT);
    long long issue = 0;
    if (data) {
        const auto newline = std::find(data->begin(), data->end(), '\n'), rest = newline + (newline != data->end());
        const Bytes body(data->begin(), rest), line(rest, data->end());
        signer(body, line, path.string());
        const Json root = Json::parsed(text_of(body), path.string());
        root.only({"schema", "issue", "sha256"});
        if (root.at("schema").text() != "rop.withdrawn/1") root.refuse("is of another schema");
        issue = root.at("issue").whole(1, 1ll << 62);
        for (const std::string &digest : root.at("sha256").texts()) withdrawn_[digest] = true;
    }
    check_issue("withdrawn", issue, path.string());
}

std::pair<std::string, std::string> Site::signer(const Bytes &body, const Bytes &line, const std::string &what) const {
    const auto [raw, signature] = parse_signature(line, what);
    const auto owner = owners_.find(hex(raw));
    if (owner == owners_.end()) throw Refused(what + ": signed with a key that is not among the trusted ones");
    const Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw.data(), raw.size()), EVP_PKEY_free);
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    if (!key || !context || EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
        EVP_DigestVerify(context.get(), signature.data(), signature.size(), body.data(), body.size()) != 1) {
        throw Refused(what + ": altered, the signature does not fit the content; copy it again");
    }
    return {owner->second, owner->first};
}

Signature Site::check(const Bundle &bundle) const {
    const Manifest &manifest = bundle.manifest();
    const std::string what = "bundle " + manifest.name + " " + manifest.version;
    if (!manifest.expires.empty() && now().substr(0, 10) > manifest.expires) {
        throw Refused(what + ": expired on " + manifest.expires + "; have a new one signed");
    }
    if (!has_keys_) {
        if (manifest.clinical_use) {
            throw Refused(what + ": made for clinical use, and nobody is configured who vouches for it; name --trusted-keys");
        }
        return {"unchecked", "", ""};
    }
    const auto line = read_if_there(bundle.path() / "manifest.sig", LINE_LIMIT);
    if (!line) throw Refused(what + ": has no manifest.sig, and with trusted keys only signed bundles are read");
    const auto [by, key] = signer(bundle.manifest_bytes(), *line, what + ": manifest.sig");
    if (withdrawn_.count(bundle.sha256())) throw Refused(what + ": was withdrawn; use another bundle");
    check_issue("bundle " + manifest.name, manifest.issue, what);
    return {"signed", by, key};
}

}  // namespace rop
