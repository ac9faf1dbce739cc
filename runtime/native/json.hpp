// JSON as the bundle's files are read: each thing said once, nothing converted, every fault with its place.
#pragma once

#include <jansson.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "files.hpp"

namespace rop {

// A value inside a document, with its place for messages. Every reader raises Refused.
class Json {
  public:
    // what: file, said in messages.
    static Json parsed(std::string_view text, const std::string &what);

    Json at(const char *name) const;                        // a member that must be there
    bool has(const char *name) const;                       // and is not null
    Json at(std::size_t index) const;                       // of an array
    std::size_t size() const;                               // of an array
    std::vector<std::pair<std::string, Json>> members() const;
    std::string text() const;
    double number() const;                                  // whole or not
    long long whole(long long least, long long most) const;
    bool truth() const;
    std::vector<double> numbers() const;
    std::vector<std::string> texts() const;
    void only(std::initializer_list<const char *> names) const;  // an object with no other members
    [[noreturn]] void refuse(const std::string &why) const;

  private:
    Json(std::shared_ptr<json_t> root, const json_t *value, std::string where)
        : root_(std::move(root)), value_(value), where_(std::move(where)) {}
    Json inside(const json_t *value, const std::string &name) const { return {root_, value, where_ + "." + name}; }

    std::shared_ptr<json_t> root_;
    const json_t *value_;
    std::string where_;
};

// A string as JSON spells it, quotes included; nothing in it acts on a terminal.
std::string json_text(std::string_view text);

// UTF-8 with ? for each byte of what acts on a terminal or turns the reading order: texts come from strangers' files.
std::string harmless(std::string text);

// A number in the fewest digits that give it back.
std::string spelled(double value);

}  // namespace rop
