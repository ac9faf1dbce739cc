/* Further pictures behind the one that a file begins with: further.py, which has the same in Python. Data may be anything. */
#include "looks.h"

#include <string.h>

enum { STRAY_BYTES_MAX = 16, SEGMENTS_MAX = 2000, BEGINNINGS_MAX = 1000 };

typedef struct {
    const uint8_t *data;
    int64_t bytes;
} File;

typedef struct {
    int64_t width, height; /* 0 where none is stated */
} Size;

static int64_t number(const File *f, int64_t at, int bytes) {
    int64_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | f->data[at + i];
    return value;
}

static int says(const File *f, int64_t at, const char *word, int length) {
    return f->bytes - at >= length && memcmp(f->data + at, word, (size_t)length) == 0;
}

/* What the frame's segment of a JPEG says, whose segments begin at `at`. */
static Size jpeg_size(const File *f, int64_t at) {
    for (int segment = 0; segment < SEGMENTS_MAX; segment++) {
        const int64_t stray = at + STRAY_BYTES_MAX;
        while (at < f->bytes && at < stray && f->data[at] != 0xff) at++;
        if (at >= f->bytes || at >= stray) break;
        while (at + 1 < f->bytes && f->data[at + 1] == 0xff) at++;
        if (at + 4 > f->bytes) break;
        const int marker = f->data[at + 1];
        const int64_t length = number(f, at + 2, 2);
        if (length < 2 || at + 2 + length > f->bytes) break;
        const int frame = marker >= 0xc0 && marker < 0xd0 && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
        if ((frame || marker == 0xf7) && length >= 8) return (Size){number(f, at + 7, 2), number(f, at + 5, 2)};
        at += 2 + length;
    }
    return (Size){0, 0};
}

/* How many bytes at `at` are the beginning of a picture, and what size that states. */
static int beginning(const File *f, int64_t at, Size *size) {
    *size = (Size){0, 0};
    if (says(f, at, "\xff\xd8\xff", 3)) {
        *size = jpeg_size(f, at + 2);
        return 3;
    }
    if (says(f, at, "\x89PNG\r\n\x1a\n", 8)) {
        if (f->bytes - at >= 24 && says(f, at + 12, "IHDR", 4)) *size = (Size){number(f, at + 16, 4), number(f, at + 20, 4)};
        return 8;
    }
    if (says(f, at, "RIFF", 4) && says(f, at + 8, "WEBP", 4)) {
        *size = (Size){1 << 16, 1 << 16}; /* nobody keeps a preview as WebP */
        return 12;
    }
    return 0;
}

int further_pictures(const uint8_t *data, int64_t bytes, int64_t end, int64_t width, int64_t height) {
    const File file = {data, bytes};
    int pictures = 1, beginnings = 0;
    for (int64_t at = end; at < bytes;) {
        Size found;
        const int length = data[at] == 0xff || data[at] == 0x89 || data[at] == 'R' ? beginning(&file, at, &found) : 0;
        if (length) {
            if (beginnings++ == BEGINNINGS_MAX) return BEGINNINGS_MAX;
            pictures += 2 * found.width > width || 2 * found.height > height;
        }
        at += length ? length : 1;
    }
    return pictures;
}
