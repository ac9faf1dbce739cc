#include "further.hpp"

#include <algorithm>
#include <cstdint>
#include <string_view>

namespace rop {
namespace {

using std::size_t;
using namespace std::string_view_literals;

constexpr size_t STRAY_BYTES_MAX = 16;
constexpr int SEGMENTS_MAX = 2000, BEGINNINGS_MAX = 1000;
const char *const SEVERAL = "several pictures in one file, expected one; give each as its own file";
const char *const OWN = "drawn by this program of a reading, no photograph; give the frames themselves";
const char *const TURNED = "PNG: may be turned (EXIF or XMP), which is not handled here; export it plainly";

std::string_view viewed(const Bytes &file) { return {reinterpret_cast<const char *>(file.data()), file.size()}; }

std::uint64_t number_at(std::string_view text, size_t at, size_t bytes) {
    std::uint64_t value = 0;
    for (size_t i = at; i < at + bytes; i++) value = value << 8 | static_cast<std::uint8_t>(text[i]);
    return value;
}

struct Size {
    std::uint64_t width = 0, height = 0;
};

Size jpeg_size(std::string_view text, size_t at) {
    for (int segment = 0; segment < SEGMENTS_MAX; segment++) {
        const size_t found = text.find('\xff', at);
        if (found == text.npos || found >= at + STRAY_BYTES_MAX) return {};
        for (at = found; at + 1 < text.size() && text[at + 1] == '\xff';) at++;
        if (at + 4 > text.size()) return {};
        const auto marker = number_at(text, at + 1, 1), length = number_at(text, at + 2, 2);
        if (length < 2 || at + 2 + length > text.size()) return {};
        const bool frame = (marker >= 0xc0 && marker < 0xd0 && marker != 0xc4 && marker != 0xc8 && marker != 0xcc) || marker == 0xf7;
        if (frame && length >= 8) return {number_at(text, at + 7, 2), number_at(text, at + 5, 2)};
        at += 2 + length;
    }
    return {};
}

// What the picture states that begins there, if one does; nobody keeps a preview as WebP.
Size size_at(std::string_view text, size_t at) {
    const auto rest = text.substr(at);
    if (rest.substr(0, 3) == "\xff\xd8\xff"sv) return jpeg_size(text, at + 2);
    if (rest.substr(0, 8) == "\x89PNG\r\n\x1a\n"sv && rest.size() >= 24 && rest.substr(12, 4) == "IHDR"sv) {
        return {number_at(rest, 16, 4), number_at(rest, 20, 4)};
    }
    if (rest.substr(0, 4) == "RIFF"sv && rest.size() >= 12 && rest.substr(8, 4) == "WEBP"sv) return {1u << 16, 1u << 16};
    return {};
}

// Whether a picture of more than half the size lies behind `end`, or more beginnings than data has by chance.
bool is_followed(std::string_view text, size_t end, Size size) {
    int beginnings = 0;
    for (size_t at = end; (at = text.find_first_of("\xff\x89R"sv, at)) != text.npos; at++) {
        const auto begin = text.substr(at, 4);
        if (begin.substr(0, 3) != "\xff\xd8\xff"sv && begin != "\x89PNG"sv && begin != "RIFF"sv) continue;
        const Size found = size_at(text, at);
        if (2 * found.width > size.width || 2 * found.height > size.height || ++beginnings > BEGINNINGS_MAX) return true;
    }
    return false;
}

bool is_own(std::string_view text) {
    const auto words = "drawn of a reading, no photograph: rop-screening"sv;
    return text.substr(0, 33 + 20 + words.size()).find(words) != text.npos;
}

}  // namespace

const char *said_of_png(const Bytes &file) {
    const auto text = viewed(file);
    if (is_own(text)) return OWN;
    for (size_t at = 8; at + 12 <= text.size();) {
        const auto length = number_at(text, at, 4);
        const auto kind = text.substr(at + 4, 4);
        if (length > text.size() - at - 12) break;  // libpng says that it is cut
        const auto body = text.substr(at + 8, length);
        at += 12 + length;
        if (kind == "acTL"sv) return SEVERAL;
        if (kind == "eXIf"sv || body.substr(0, 16) == "Raw profile type"sv || body.substr(0, 17) == "XML:com.adobe.xmp"sv) return TURNED;
        if (kind == "IEND"sv) return is_followed(text, at, {number_at(text, 16, 4), number_at(text, 20, 4)}) ? SEVERAL : nullptr;
    }
    return nullptr;
}

const char *said_of_jpeg(const Bytes &file, size_t end, int width, int height) {
    const auto text = viewed(file);
    if (is_own(text)) return OWN;
    const Size size{static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height)};
    return is_followed(text, end, size) ? SEVERAL : nullptr;
}

}  // namespace rop
