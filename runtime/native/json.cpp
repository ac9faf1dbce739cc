#include "json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace rop {

Json Json::parsed(std::string_view text, const std::string &what) {
    json_error_t error;
    json_t *root = json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES, &error);
    if (!root) throw Refused(what + " is not JSON (" + error.text + ")");
    std::shared_ptr<json_t> kept(root, [](json_t *value) { json_decref(value); });
    return {kept, root, what};
}

void Json::refuse(const std::string &why) const { throw Refused(where_ + ": " + why); }

Json Json::at(const char *name) const {
    if (!json_is_object(value_)) refuse("expected an object");
    const json_t *found = json_object_get(value_, name);
    if (!found) refuse(std::string(name) + " is missing");
    return inside(found, name);
}

bool Json::has(const char *name) const {
    if (!json_is_object(value_)) refuse("expected an object");
    const json_t *found = json_object_get(value_, name);
    return found && !json_is_null(found);
}

std::size_t Json::size() const {
    if (!json_is_array(value_)) refuse("expected a list");
    return json_array_size(value_);
}

Json Json::at(std::size_t index) const {
    if (index >= size()) refuse("has too few entries");
    return inside(json_array_get(value_, index), std::to_string(index));
}

std::vector<std::pair<std::string, Json>> Json::members() const {
    if (!json_is_object(value_)) refuse("expected an object");
    std::vector<std::pair<std::string, Json>> found;
    auto *object = const_cast<json_t *>(value_);  // jansson's iterators take no const object
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        const char *name = json_object_iter_key(at);
        found.emplace_back(name, inside(json_object_iter_value(at), name));
    }
    return found;
}

std::string Json::text() const {
    if (!json_is_string(value_)) refuse("expected a text");
    return {json_string_value(value_), json_string_length(value_)};
}

double Json::number() const {
    if (!json_is_number(value_)) refuse("expected a number");
    return json_number_value(value_);
}

long long Json::whole(long long least, long long most) const {
    if (!json_is_integer(value_)) refuse("expected a whole number");
    const json_int_t value = json_integer_value(value_);
    if (value < least || value > most) {
        refuse("got " + std::to_string(value) + ", expected " + std::to_string(least) + " to " + std::to_string(most));
    }
    return value;
}

bool Json::truth() const {
    if (!json_is_boolean(value_)) refuse("expected true or false");
    return json_is_true(value_);
}

std::vector<double> Json::numbers() const {
    std::vector<double> found;
    for (std::size_t i = 0; i < size(); i++) found.push_back(at(i).number());
    return found;
}

std::vector<std::string> Json::texts() const {
    std::vector<std::string> found;
    for (std::size_t i = 0; i < size(); i++) found.push_back(at(i).text());
    return found;
}

void Json::only(std::initializer_list<const char *> names) const {
    for (const auto &member : members()) {  // clang 14 lets no lambda have a part of a pair
        if (std::none_of(names.begin(), names.end(), [&](const char *known) { return member.first == known; })) {
            refuse("says " + member.first + ", which this rop-read does not know and so cannot obey; use a newer one");
        }
    }
}

std::string json_text(std::string_view text) {
    const std::unique_ptr<json_t, decltype(&json_decref)> value(json_stringn(text.data(), text.size()), json_decref);
    if (!value) return "\"(not UTF-8)\"";
    const std::size_t plainly = harmless(std::string(text)) == text ? 0 : JSON_ENSURE_ASCII;
    const std::unique_ptr<char, decltype(&free)> spelled(json_dumps(value.get(), JSON_ENCODE_ANY | plainly), free);
    if (!spelled) throw std::bad_alloc();
    return spelled.get();
}

std::string harmless(std::string text) {
    const auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0; };
    for (std::size_t i = 0; i < text.size(); i++) {
        const int one = byte(i), two = byte(i + 1), three = byte(i + 2);
        std::size_t bytes = one < 0x20 || one == 0x7f ? 1 : one == 0xc2 && two >= 0x80 && two < 0xa0 ? 2 : 0;
        if (one == 0xe2 && two == 0x80 && three >= 0xa8 && three <= 0xae) bytes = 3;  // U+2028 to U+202E
        if (one == 0xe2 && two == 0x81 && three >= 0xa6 && three <= 0xa9) bytes = 3;  // U+2066 to U+2069
        text.replace(i, bytes, bytes, '?');
    }
    return text;
}

std::string spelled(double value) {
    if (!std::isfinite(value)) throw NoResult("a number of the reading is not finite");
    char digits[64];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, value);
    (void)error;  // 64 characters are enough for any double
    return {digits, end};
}

}  // namespace rop
