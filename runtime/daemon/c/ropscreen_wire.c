/* ropscreen_wire: see ropscreen_wire.h. */
#include "ropscreen_wire.h"

#include <string.h>

#define HEADER_BYTES 16u
#define CRC_BYTES 4u
#define MAGIC 0x44504F52u /* "ROPD" */

/* ---- layouts, as in PROTOCOL.md ---- */

typedef enum { NUMBER_8, NUMBER_16, NUMBER_32, NUMBER_64, REAL_32, BYTES, TEXT, ZEROS } field_kind;

typedef struct {
    field_kind kind;
    uint16_t wire_at; /* from the start of the message */
    uint16_t bytes;   /* on the wire */
    size_t at;        /* in ropd_message.as */
} field;

typedef struct {
    ropd_type type;
    ropd_sender sender;
    uint16_t size;
    uint16_t count;
    const field *fields;
} layout;

#define PLACE(member) offsetof(ropd_message, as.member)
#define U8(wire_at, member) {NUMBER_8, (wire_at), 1u, PLACE(member)}
#define U16(wire_at, member) {NUMBER_16, (wire_at), 2u, PLACE(member)}
#define U32(wire_at, member) {NUMBER_32, (wire_at), 4u, PLACE(member)}
#define U64(wire_at, member) {NUMBER_64, (wire_at), 8u, PLACE(member)}
#define F32(wire_at, member, count) {REAL_32, (wire_at), 4u * (count), PLACE(member)}
#define RAW(wire_at, member, count) {BYTES, (wire_at), (count), PLACE(member)}
#define UTF(wire_at, member, count) {TEXT, (wire_at), (count), PLACE(member)}
#define SPARE(wire_at, count) {ZEROS, (wire_at), (count), 0u}

static const field hello_fields[] = {U16(16, hello.lowest), U16(18, hello.highest), SPARE(20, 4), UTF(24, hello.name, 32)};

static const field configure_fields[] = {U32(16, configure.slots), U32(20, configure.slot_bytes),
                                         U8(24, configure.order), U8(25, configure.flags), SPARE(26, 2)};

static const field submit_fields[] = {
    U64(16, submit.generation),  U64(24, submit.sequence), U64(32, submit.captured_ns), U64(40, submit.deadline_ns),
    U32(48, submit.slot),        U32(52, submit.width),    U32(56, submit.height),      U32(60, submit.stride),
    U8(64, submit.format),       U8(65, submit.flags),     U8(66, submit.matrix),       U8(67, submit.range),
    U32(68, submit.capture_us),  U32(72, submit.chroma_offset), U32(76, submit.data_bytes)};

static const field welcome_fields[] = {U16(16, welcome.version),   SPARE(18, 2),
                                       U32(20, welcome.daemon_pid), U32(24, welcome.max_slots),
                                       U32(28, welcome.max_slot_bytes), U64(32, welcome.max_ring_bytes)};

static const field ring_fields[] = {U64(16, ring.ring_bytes),     U64(24, ring.slot_stride), U64(32, ring.pixels_offset),
                                    U64(40, ring.vessels_offset), U32(48, ring.slots),       U32(52, ring.slot_bytes),
                                    U8(56, ring.huge_pages),      SPARE(57, 7)};

static const field result_fields[] = {U64(16, result.sequence),
                                      U64(24, result.generation),
                                      U64(32, result.captured_ns),
                                      U64(40, result.done_ns),
                                      U32(48, result.slot),
                                      U32(52, result.flags),
                                      U8(56, result.outcome),
                                      U8(57, result.class_count),
                                      SPARE(58, 2),
                                      F32(60, result.vessel_fraction, 1),
                                      F32(64, result.budget_ms, 1),
                                      F32(68, result.timings_ms, 7),
                                      F32(96, result.probabilities, 8),
                                      RAW(128, result.frame_sha256, 32),
                                      RAW(160, result.bundle_sha256, 32),
                                      UTF(192, result.reason, 160),
                                      UTF(352, result.text, 240)};

static const field health_fields[] = {U64(16, health.uptime_ms),
                                      U64(24, health.last_inference_ns),
                                      U64(32, health.frames),
                                      U64(40, health.late),
                                      U64(48, health.torn),
                                      U64(56, health.superseded),
                                      U64(64, health.refused),
                                      U64(72, health.reloads),
                                      U32(80, health.daemon_pid),
                                      U32(84, health.clients),
                                      U32(88, health.waiting),
                                      U32(92, health.reasons),
                                      U8(96, health.state),
                                      U8(97, health.sched_fifo),
                                      U8(98, health.cpu_pinning),
                                      U8(99, health.memory_locked),
                                      U8(100, health.huge_pages),
                                      SPARE(101, 3),
                                      RAW(104, health.bundle_sha256, 32),
                                      UTF(136, health.text, 240)};

static const field bundle_fields[] = {
    RAW(16, bundle.sha256, 32),           UTF(48, bundle.name, 64),
    UTF(112, bundle.version, 32),         UTF(144, bundle.backend, 32),
    UTF(176, bundle.precision, 64),       UTF(240, bundle.device, 64),
    UTF(304, bundle.notice, 128),         F32(432, bundle.refer_threshold, 1),
    U8(436, bundle.class_count),          U8(437, bundle.refer_mask),
    SPARE(438, 2),                        UTF(440, bundle.class_names[0], 32),
    UTF(472, bundle.class_names[1], 32),  UTF(504, bundle.class_names[2], 32),
    UTF(536, bundle.class_names[3], 32),  UTF(568, bundle.class_names[4], 32),
    UTF(600, bundle.class_names[5], 32),  UTF(632, bundle.class_names[6], 32),
    UTF(664, bundle.class_names[7], 32)};

static const field reloaded_fields[] = {RAW(16, reloaded.sha256, 32), U32(48, reloaded.failed),
                                        UTF(52, reloaded.text, 240)};

static const field error_fields[] = {U16(16, error.code), U16(18, error.lowest), U16(20, error.highest), SPARE(22, 2),
                                     U64(24, error.detail), UTF(32, error.text, 160)};

#define COUNT(fields) (uint16_t)(sizeof(fields) / sizeof((fields)[0])), (fields)

static const layout layouts[] = {{ROPD_HELLO, ROPD_FROM_CLIENT, 60u, COUNT(hello_fields)},
                                 {ROPD_CONFIGURE, ROPD_FROM_CLIENT, 32u, COUNT(configure_fields)},
                                 {ROPD_SUBMIT, ROPD_FROM_CLIENT, 84u, COUNT(submit_fields)},
                                 {ROPD_ASK_HEALTH, ROPD_FROM_CLIENT, 20u, 0u, NULL},
                                 {ROPD_ASK_BUNDLE, ROPD_FROM_CLIENT, 20u, 0u, NULL},
                                 {ROPD_RELOAD, ROPD_FROM_CLIENT, 20u, 0u, NULL},
                                 {ROPD_CANCEL, ROPD_FROM_CLIENT, 20u, 0u, NULL},
                                 {ROPD_WELCOME, ROPD_FROM_DAEMON, 44u, COUNT(welcome_fields)},
                                 {ROPD_RING, ROPD_FROM_DAEMON, 68u, COUNT(ring_fields)},
                                 {ROPD_RESULT, ROPD_FROM_DAEMON, 596u, COUNT(result_fields)},
                                 {ROPD_HEALTH, ROPD_FROM_DAEMON, 380u, COUNT(health_fields)},
                                 {ROPD_BUNDLE, ROPD_FROM_DAEMON, 700u, COUNT(bundle_fields)},
                                 {ROPD_RELOADED, ROPD_FROM_DAEMON, 296u, COUNT(reloaded_fields)},
                                 {ROPD_ERROR, ROPD_FROM_DAEMON, 196u, COUNT(error_fields)}};

static const layout *find_layout(uint32_t type)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        if ((uint32_t)layouts[i].type == type) {
            return &layouts[i];
        }
    }
    return NULL;
}

/* What a message's header carries. */
static uint32_t header_version(uint32_t type)
{
    const bool unchanging = type == (uint32_t)ROPD_HELLO || type == (uint32_t)ROPD_WELCOME || type == (uint32_t)ROPD_ERROR;
    return unchanging ? ROPD_GREETING : ROPD_VERSION;
}

/* ---- bytes ---- */

uint32_t ropd_crc32(const uint8_t *bytes, size_t count)
{
    static const uint32_t nibbles[16] = {0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u,
                                         0x4DB26158u, 0x5005713Cu, 0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu,
                                         0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu};
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ nibbles[crc & 0x0Fu];
        crc = (crc >> 4) ^ nibbles[crc & 0x0Fu];
    }
    return crc ^ 0xFFFFFFFFu;
}

static void put(uint8_t *to, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        to[i] = (uint8_t)((value >> (8u * i)) & 0xFFu);
    }
}

static uint64_t get(const uint8_t *from, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value |= (uint64_t)from[i] << (8u * i);
    }
    return value;
}

static bool all_zero(const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool is_finite(uint64_t bits)
{
    return (bits & 0x7F800000u) != 0x7F800000u;
}

/* Bytes of the UTF-8 character that begins here, 0 when none does (overlong forms and surrogates are none). */
static size_t character(const uint8_t *text, size_t left)
{
    const uint8_t first = text[0];
    const size_t bytes = first < 0x80u ? 1u : first < 0xC2u ? 0u : first < 0xE0u ? 2u : first < 0xF0u ? 3u : 4u;
    if (bytes == 0 || first > 0xF4u || bytes > left) {
        return 0;
    }
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xC0u) != 0x80u) {
            return 0;
        }
    }
    const bool overlong = (first == 0xE0u && text[1] < 0xA0u) || (first == 0xF0u && text[1] < 0x90u);
    const bool beyond = (first == 0xEDu && text[1] > 0x9Fu) || (first == 0xF4u && text[1] > 0x8Fu);
    return (overlong || beyond) ? 0u : bytes;
}

/* UTF-8, at least one zero at the end, only zeros after the first. */
static bool is_text(const uint8_t *text, size_t size)
{
    size_t at = 0;
    while (at < size && text[at] != 0) {
        const size_t bytes = character(text + at, size - at);
        if (bytes == 0) {
            return false;
        }
        at += bytes;
    }
    return at < size && all_zero(text + at, size - at);
}

/* ---- fields ---- */

static bool write_field(const field *item, const uint8_t *message, uint8_t *wire)
{
    const uint8_t *from = message + item->at;
    uint8_t *to = wire + item->wire_at;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    switch (item->kind) {
    case NUMBER_16:
        memcpy(&u16, from, sizeof u16);
        put(to, u16, 2);
        break;
    case NUMBER_32:
        memcpy(&u32, from, sizeof u32);
        put(to, u32, 4);
        break;
    case NUMBER_64:
        memcpy(&u64, from, sizeof u64);
        put(to, u64, 8);
        break;
    case REAL_32:
        for (size_t i = 0; i < item->bytes; i += 4u) {
            memcpy(&u32, from + i, sizeof u32);
            if (!is_finite(u32)) {
                return false;
            }
            put(to + i, u32, 4);
        }
        break;
    case TEXT:
        if (!is_text(from, item->bytes)) {
            return false;
        }
        memcpy(to, from, item->bytes);
        break;
    case ZEROS:
        memset(to, 0, item->bytes);
        break;
    case NUMBER_8:
    case BYTES:
    default:
        memcpy(to, from, item->bytes);
        break;
    }
    return true;
}

static bool read_field(const field *item, const uint8_t *wire, uint8_t *message)
{
    const uint8_t *from = wire + item->wire_at;
    uint8_t *to = message + item->at;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    switch (item->kind) {
    case NUMBER_16:
        u16 = (uint16_t)get(from, 2);
        memcpy(to, &u16, sizeof u16);
        break;
    case NUMBER_32:
        u32 = (uint32_t)get(from, 4);
        memcpy(to, &u32, sizeof u32);
        break;
    case NUMBER_64:
        u64 = get(from, 8);
        memcpy(to, &u64, sizeof u64);
        break;
    case REAL_32:
        for (size_t i = 0; i < item->bytes; i += 4u) {
            u32 = (uint32_t)get(from + i, 4);
            if (!is_finite(u32)) {
                return false;
            }
            memcpy(to + i, &u32, sizeof u32);
        }
        break;
    case TEXT:
        if (!is_text(from, item->bytes)) {
            return false;
        }
        memcpy(to, from, item->bytes);
        break;
    case ZEROS:
        return all_zero(from, item->bytes);
    case NUMBER_8:
    case BYTES:
    default:
        memcpy(to, from, item->bytes);
        break;
    }
    return true;
}

/* ---- values ---- */

static bool is_name(const char *name)
{
    size_t length = 0;
    while (length < ROP_NAME_BYTES && name[length] != '\0') {
        const char c = name[length];
        const bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != ':' && c != '-') {
            return false;
        }
        length++;
    }
    return length > 0 && length < ROP_NAME_BYTES;
}

static bool known_code(uint16_t code)
{
    return (code >= (uint16_t)ROPD_BAD_SIZE && code <= (uint16_t)ROPD_IDLE) ||
           (code >= (uint16_t)ROPD_NOT_CONFIGURED && code <= (uint16_t)ROPD_BAD_FORMAT);
}

static bool submit_fits(const ropd_submit *submit)
{
    return submit->sequence <= (uint64_t)INT64_MAX && submit->format >= ROP_RGB8 && submit->format <= ROP_BAYER8 &&
           submit->flags <= ROP_WANT_VESSELS && submit->matrix <= ROP_BT709 && submit->range <= ROP_LIMITED_RANGE;
}

static bool result_fits(const rop_result *result)
{
    return result->outcome >= ROP_REFER && result->outcome <= ROP_NO_RESULT &&
           result->class_count <= ROP_MOST_CLASSES && result->flags <= 2u * ROP_CANCELLED - 1u;
}

static bool health_fits(const rop_health_report *health)
{
    return health->state >= ROP_LIVE && health->state <= ROP_DEGRADED && health->sched_fifo <= 2u &&
           health->cpu_pinning <= 2u && health->memory_locked <= 2u && health->huge_pages <= 2u;
}

static bool configure_fits(const ropd_configure *configure)
{
    return configure->slots > 0u && configure->slot_bytes > 0u && configure->order >= ROP_ORDER_NEWEST &&
           configure->order <= ROP_ORDER_EVERY && configure->flags <= ROP_STORED_PICTURES;
}

static bool values_fit(const ropd_message *message)
{
    switch (message->type) {
    case ROPD_HELLO:
        return message->as.hello.lowest >= 1u && message->as.hello.lowest <= message->as.hello.highest &&
               is_name(message->as.hello.name);
    case ROPD_CONFIGURE:
        return configure_fits(&message->as.configure);
    case ROPD_SUBMIT:
        return submit_fits(&message->as.submit);
    case ROPD_RING:
        return message->as.ring.huge_pages <= 2u;
    case ROPD_RESULT:
        return result_fits(&message->as.result);
    case ROPD_HEALTH:
        return health_fits(&message->as.health);
    case ROPD_BUNDLE:
        return message->as.bundle.class_count <= ROP_MOST_CLASSES;
    case ROPD_ERROR:
        return known_code(message->as.error.code);
    case ROPD_ASK_HEALTH:
    case ROPD_ASK_BUNDLE:
    case ROPD_RELOAD:
    case ROPD_CANCEL:
    case ROPD_WELCOME:
    case ROPD_RELOADED:
    default:
        return true;
    }
}

/* ---- messages ---- */

size_t ropd_encode(const ropd_message *message, uint8_t wire[ROPD_LARGEST])
{
    const layout *const shape = find_layout((uint32_t)message->type);
    if (shape == NULL || !values_fit(message)) {
        return 0;
    }
    put(wire, MAGIC, 4);
    put(wire + 4, header_version((uint32_t)shape->type), 2);
    put(wire + 6, (uint64_t)shape->type, 2);
    put(wire + 8, shape->size, 4);
    put(wire + 12, message->tag, 4);
    for (size_t i = 0; i < shape->count; i++) {
        if (!write_field(&shape->fields[i], (const uint8_t *)message, wire)) {
            return 0;
        }
    }
    const size_t body = shape->size - CRC_BYTES;
    put(wire + body, ropd_crc32(wire, body), CRC_BYTES);
    return shape->size;
}

static ropd_code decode(const uint8_t *wire, size_t count, ropd_sender sender, ropd_message *message)
{
    if (count < HEADER_BYTES + CRC_BYTES) {
        return ROPD_BAD_SIZE;
    }
    if (get(wire, 4) != MAGIC) {
        return ROPD_BAD_MAGIC;
    }
    if (get(wire + 8, 4) != count) {
        return ROPD_BAD_SIZE;
    }
    if (get(wire + count - CRC_BYTES, CRC_BYTES) != ropd_crc32(wire, count - CRC_BYTES)) {
        return ROPD_BAD_CRC;
    }
    const uint32_t type = (uint32_t)get(wire + 6, 2);
    if (get(wire + 4, 2) != header_version(type)) {
        return ROPD_BAD_VERSION;
    }
    const layout *const shape = find_layout(type);
    if (shape == NULL || shape->sender != sender) {
        return ROPD_BAD_TYPE;
    }
    if (count != shape->size) {
        return ROPD_BAD_SIZE;
    }
    message->type = shape->type;
    message->tag = (uint32_t)get(wire + 12, 4);
    for (size_t i = 0; i < shape->count; i++) {
        if (!read_field(&shape->fields[i], wire, (uint8_t *)message)) {
            return ROPD_BAD_FIELD;
        }
    }
    return values_fit(message) ? ROPD_ACCEPTED : ROPD_BAD_FIELD;
}

ropd_code ropd_decode(const uint8_t *wire, size_t count, ropd_sender sender, ropd_message *message)
{
    memset(message, 0, sizeof *message);
    const ropd_code code = decode(wire, count, sender, message);
    if (code != ROPD_ACCEPTED) {
        memset(message, 0, sizeof *message);
    }
    return code;
}
