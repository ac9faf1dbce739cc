#include "picture.hpp"

// In this order: jpeglib.h needs stdio.h before it.
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <jpeglib.h>
#include <png.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <string_view>

#include "../../device/cameras/codecs/looks.h"
#include "../preprocess/resize.h"

namespace rop {
namespace {

using namespace std::string_view_literals;

const char *const SEVERAL = "several pictures in one file, expected one; give each as its own file";

void check_size(std::int64_t width, std::int64_t height) {
    if (width < 1 || height < 1 || width > 65500 || height > 65500 || width * height > MAX_PIXELS) {
        throw NoResult("picture is " + size_words(width, height) + " pixels, expected at most 64 megapixels; export it smaller");
    }
}

// Refuses what Python refuses of a file whose picture can be read and ends before `end`: device/cameras/codecs/own.py, further.py.
void check_alone(const Bytes &file, std::size_t end, const Picture &picture) {
    const auto words = "drawn of a reading, no photograph: rop-screening"sv;
    if (text_of(file).substr(0, 33 + 20 + words.size()).find(words) != std::string_view::npos) {
        throw NoResult("drawn by this program of a reading, no photograph; give the frames themselves");
    }
    const auto whole = [](std::size_t number) { return static_cast<std::int64_t>(number); };
    if (further_pictures(file.data(), whole(file.size()), whole(end), picture.width, picture.height) > 1) throw NoResult(SEVERAL);
}

// Neither library's errors may cross a C++ destructor by longjmp: what must be freed lies outside of the guarded part.
struct PngState {
    const Bytes *file;
    std::size_t at = 0;
    char said[200] = "";
};

void png_refuse(png_structp png, png_const_charp message) {  // warnings, too: a checksum that does not fit is one
    auto *state = static_cast<PngState *>(png_get_error_ptr(png));
    std::snprintf(state->said, sizeof state->said, "PNG: %s", message);
    png_longjmp(png, 1);
}

void png_take(png_structp png, png_bytep to, std::size_t size) {
    auto *state = static_cast<PngState *>(png_get_io_ptr(png));
    if (size > state->file->size() - state->at) png_error(png, "cut short");
    std::memcpy(to, state->file->data() + state->at, size);
    state->at += size;
}

// What its chunks say that libpng passes over.
struct PngChunks {
    const char *why = nullptr;  // it is not read for
    std::string_view cicp;      // the bytes of one before the pixels
};

PngChunks chunks_of(std::string_view text) {
    PngChunks found;
    bool pixels = false;
    for (std::size_t at = 8; at + 12 <= text.size();) {
        const std::size_t length = png_get_uint_32(reinterpret_cast<png_const_bytep>(&text[at]));
        if (length > text.size() - at - 12) break;  // libpng says that it is cut
        const auto kind = text.substr(at + 4, 4), body = text.substr(at + 8, length);
        at += 12 + length;
        pixels |= kind == "IDAT"sv;
        if (kind == "acTL"sv) found.why = SEVERAL;
        if (kind == "eXIf"sv || body.substr(0, 16) == "Raw profile type"sv || body.substr(0, 17) == "XML:com.adobe.xmp"sv) {
            found.why = "PNG: may be turned (EXIF or XMP), which is not handled here; export it plainly";
        }
        if (kind == "cICP"sv && !pixels && found.cicp.empty()) found.cicp = body;
        if (kind == "IEND"sv || found.why) break;
    }
    return found;
}

// Why its colours are not those of sRGB, as device/cameras/codecs/colours.py judges it; nullptr when they are.
const char *png_colours(png_structp png, png_infop info, std::string_view cicp) {
    const char *const other = "PNG: states other colours than sRGB's, which are not converted here; export it as sRGB";
    if (cicp.size() >= 2) {
        // PQ and HLG are brighter than white; 9, 11 and 12 are the primaries that Python converts.
        const int primaries = cicp[0], transfer = cicp[1];
        const bool wide = primaries == 9 || primaries == 11 || primaries == 12;
        return transfer == 16 || transfer == 18 || wide ? other : nullptr;
    }
    if (png_get_valid(png, info, PNG_INFO_iCCP)) {
        return "PNG: has a colour profile, which is not converted here; export it as sRGB";
    }
    if (png_get_valid(png, info, PNG_INFO_sRGB)) return nullptr;
    const std::array<double, 9> usual{1 / 2.2, 0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06};
    std::array<double, 9> said = usual;
    double *const corner = said.data() + 1;
    png_get_gAMA(png, info, said.data());
    png_get_cHRM(png, info, corner, corner + 1, corner + 2, corner + 3, corner + 4, corner + 5, corner + 6, corner + 7);
    if (std::fabs(said[0] - usual[0]) > 0.02 && said[0] >= 0.1 && said[0] <= 2) return other;
    const auto differs = [](double one, double by) { return std::fabs(one - by) > 0.003; };
    return std::equal(corner, corner + 8, usual.data() + 1, std::not_fn(differs)) ? nullptr : other;
}

// What the header says; 0 or text of what is wrong in `said`.
bool png_header(png_structp png, png_infop info, int colour, std::string_view cicp, PngState &state, Picture &picture) {
    if (setjmp(png_jmpbuf(png))) return false;
    png_read_info(png, info);
    picture.width = static_cast<int>(std::min<png_uint_32>(png_get_image_width(png, info), 1u << 30));
    picture.height = static_cast<int>(std::min<png_uint_32>(png_get_image_height(png, info), 1u << 30));
    const char *why = nullptr;
    if (png_get_bit_depth(png, info) != 8 || png_get_color_type(png, info) != colour) {
        why = "PNG: only 8-bit RGB without transparency is read; convert it";
    } else if (png_get_valid(png, info, PNG_INFO_eXIf) || png_get_valid(png, info, PNG_INFO_tRNS)) {
        why = "PNG: may be turned (EXIF) or transparent, which is not handled here; export it plainly";
    }
    if (!why) why = png_colours(png, info, cicp);
    if (why) std::snprintf(state.said, sizeof state.said, "%s", why);
    return !why;
}

bool png_pixels(png_structp png, png_infop info, png_bytep *rows) {
    if (setjmp(png_jmpbuf(png))) return false;
    png_read_image(png, rows);
    png_read_end(png, info);
    return true;
}

Picture decode_png(const Bytes &file, int colour) {
    PngState state{&file};
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, png_refuse, png_refuse);
    png_infop info = png ? png_create_info_struct(png) : nullptr;
    struct Freed {
        png_structp *png;
        png_infop *info;
        ~Freed() { png_destroy_read_struct(png, info, nullptr); }
    } freed{&png, &info};
    if (!info) throw NoResult("PNG: no memory");
    png_set_read_fn(png, &state, png_take);
    png_set_crc_action(png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_user_limits(png, 65500, 65500);
    Picture picture;
    const PngChunks chunks = chunks_of(text_of(file));
    if (chunks.why) throw NoResult(chunks.why);
    if (!png_header(png, info, colour, chunks.cicp, state, picture)) throw NoResult(state.said);
    check_size(picture.width, picture.height);
    const std::size_t row = static_cast<std::size_t>(picture.width) * (colour == PNG_COLOR_TYPE_RGB ? 3 : 1);
    picture.rgb.resize(row * static_cast<std::size_t>(picture.height));
    std::vector<png_bytep> rows;
    for (std::size_t y = 0; y < static_cast<std::size_t>(picture.height); y++) rows.push_back(&picture.rgb[y * row]);
    if (!png_pixels(png, info, rows.data())) throw NoResult(state.said);
    check_alone(file, state.at, picture);
    return picture;
}

struct JpegState {
    jpeg_error_mgr base;  // first: libjpeg hands its address back
    std::jmp_buf back;
    char said[JMSG_LENGTH_MAX + 16];
    double quantum;  // as of `seams_score`
};

[[noreturn]] void jpeg_refuse(j_common_ptr jpeg) {
    auto *state = reinterpret_cast<JpegState *>(jpeg->err);
    char message[JMSG_LENGTH_MAX];
    state->base.format_message(jpeg, message);
    std::snprintf(state->said, sizeof state->said, "JPEG: %s", message);
    std::longjmp(state->back, 1);
}

void jpeg_warned(j_common_ptr jpeg, int level) {
    if (level < 0) jpeg_refuse(jpeg);  // corrupt data, which libjpeg would make up for
}

// Why its markers cannot be obeyed here; nullptr when they can.
const char *why_not(const jpeg_decompress_struct &jpeg) {
    if (jpeg.num_components != 3) return "JPEG: only colour of three channels is read; convert it";
    if (jpeg.progressive_mode || jpeg.arith_code) return "JPEG: only baseline is read; save it as baseline";
    for (const jpeg_marker_struct *marker = jpeg.marker_list; marker; marker = marker->next) {
        const std::string_view text(reinterpret_cast<const char *>(marker->data), marker->data_length);
        if (text.substr(0, 11) == "ICC_PROFILE") {
            return "JPEG: has a colour profile, which is not converted here; export it as sRGB";
        }
        if (text.substr(0, 4) == "Exif") return "JPEG: has EXIF, which may turn it; export it without";
        if (text.find("Orientation") != text.npos) return "JPEG: may be turned (XMP); export it without";
    }
    return nullptr;
}

bool jpeg_header(jpeg_decompress_struct &jpeg, JpegState &state, const Bytes &file) {
    if (setjmp(state.back)) return false;
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, file.data(), file.size());
    jpeg_save_markers(&jpeg, JPEG_APP0 + 1, 0xffff);
    jpeg_save_markers(&jpeg, JPEG_APP0 + 2, 0xffff);
    jpeg_read_header(&jpeg, TRUE);
    const char *why = why_not(jpeg);
    if (why) std::snprintf(state.said, sizeof state.said, "%s", why);
    return !why;
}

bool jpeg_pixels(jpeg_decompress_struct &jpeg, JpegState &state, Bytes &to) {
    if (setjmp(state.back)) return false;
    jpeg.out_color_space = JCS_RGB;
    jpeg.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&jpeg);
    if (const JQUANT_TBL *steps = jpeg.comp_info[0].quant_table) state.quantum = steps->quantval[0] / 8.0;  // gone at the end
    const std::size_t row = std::size_t{jpeg.output_width} * 3;
    while (jpeg.output_scanline < jpeg.output_height) {
        JSAMPROW line = &to[jpeg.output_scanline * row];
        jpeg_read_scanlines(&jpeg, &line, 1);
    }
    jpeg_finish_decompress(&jpeg);
    return true;
}

// Damage that no decoder tells; the coding of JPEG works on blocks, where seams lie. quantum: as of `seams_score`.
Picture looked_at(Picture picture, const std::string &kind, double quantum = 0) {
    std::string seen;
    int first = 0, last = 0;
    double score = 0;
    if (seams_flat(picture.rgb.data(), picture.height, picture.width, &first, &last)) {
        seen = "rows " + std::to_string(first) + " to " + std::to_string(last) + " are one flat colour, which no photograph has";
    } else if (kind == "JPEG") {
        if (!seams_score(picture.rgb.data(), picture.height, picture.width, quantum, &score)) throw std::bad_alloc();
        if (score > 1) seen = "a seam across the picture";
    }
    if (!seen.empty()) throw NoResult("damaged or truncated " + kind + " (" + seen + "); copy it again");
    return picture;
}

Picture decode_jpeg(const Bytes &file) {
    jpeg_decompress_struct jpeg{};
    JpegState state{};
    jpeg.err = jpeg_std_error(&state.base);
    state.base.error_exit = jpeg_refuse;
    state.base.emit_message = jpeg_warned;
    struct Freed {
        jpeg_decompress_struct *jpeg;
        ~Freed() { jpeg_destroy_decompress(jpeg); }
    } freed{&jpeg};
    if (!jpeg_header(jpeg, state, file)) throw NoResult(state.said);
    check_size(jpeg.image_width, jpeg.image_height);
    Picture picture{static_cast<int>(jpeg.image_width), static_cast<int>(jpeg.image_height), {}};
    picture.rgb.resize(std::size_t{jpeg.image_width} * jpeg.image_height * 3);
    if (!jpeg_pixels(jpeg, state, picture.rgb)) throw NoResult(state.said);
    check_alone(file, file.size() - jpeg.src->bytes_in_buffer, picture);
    return looked_at(std::move(picture), "JPEG", state.quantum);
}

}  // namespace

Picture decode(const Bytes &file) {
    if (file.size() > LARGEST_PICTURE) throw NoResult("picture's file is too large");
    if (file.size() >= 8 && png_sig_cmp(file.data(), 0, 8) == 0) return looked_at(decode_png(file, PNG_COLOR_TYPE_RGB), "PNG");
    if (file.size() >= 3 && file[0] == 0xff && file[1] == 0xd8 && file[2] == 0xff) return decode_jpeg(file);
    throw NoResult("picture is neither PNG nor JPEG; convert it, or name its size with --raw WIDTHxHEIGHT");
}

Picture decode_grey(const Bytes &file) {
    if (file.size() < 8 || png_sig_cmp(file.data(), 0, 8) != 0) throw NoResult("picture is no PNG");
    return decode_png(file, PNG_COLOR_TYPE_GRAY);
}

Picture raw(const Bytes &file, int width, int height) {
    check_size(width, height);
    const std::size_t wanted = static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3;
    if (file.size() != wanted) {
        throw NoResult("raw RGB of " + size_words(width, height) + " has " + std::to_string(wanted) + " bytes, got " +
                       (file.size() > wanted ? "more" : std::to_string(file.size())));
    }
    return {width, height, file};
}

Bytes network_input(const Picture &picture) {
    Bytes out(INPUT_BYTES);
    const auto wanted = static_cast<std::int64_t>(picture.width) * picture.height * 3;
    const bool whole = picture.width > 0 && static_cast<std::int64_t>(picture.rgb.size()) == wanted;
    if (!whole || resize_to_input(picture.rgb.data(), picture.height, picture.width, out.data()) != RESIZE_DONE) {
        throw NoResult("frame of " + size_words(picture.width, picture.height) + " pixels cannot be resized");
    }
    return out;
}

}  // namespace rop
