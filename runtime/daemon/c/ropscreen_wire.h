/*
 * The messages of ROPD as bytes (../PROTOCOL.md): one table per message, read by one encoder and one decoder.
 *
 * For ropscreen.c and its tests; not installed. Both directions are here, so that the daemon's messages can be held
 * against the same bytes. No state, no system call.
 */
#ifndef ROPSCREEN_WIRE_H
#define ROPSCREEN_WIRE_H

#include "ropscreen.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ROPD_VERSION 3u    /* spoken, and no other */
#define ROPD_GREETING 1u   /* in the headers of HELLO, WELCOME and ERROR, for ever */
#define ROPD_LARGEST 1024u /* bytes of a message */

typedef enum {
    ROPD_HELLO = 0x01,
    ROPD_CONFIGURE = 0x02,
    ROPD_SUBMIT = 0x03,
    ROPD_ASK_HEALTH = 0x04,
    ROPD_ASK_BUNDLE = 0x05,
    ROPD_RELOAD = 0x06,
    ROPD_CANCEL = 0x07,
    ROPD_WELCOME = 0x81,
    ROPD_RING = 0x82,
    ROPD_RESULT = 0x83,
    ROPD_HEALTH = 0x84,
    ROPD_BUNDLE = 0x85,
    ROPD_RELOADED = 0x86,
    ROPD_ERROR = 0xFF
} ropd_type;

/* Codes of ERROR that are needed here; the page has them all. */
typedef enum {
    ROPD_ACCEPTED = 0,
    ROPD_BAD_SIZE = 1,
    ROPD_BAD_MAGIC = 2,
    ROPD_BAD_CRC = 3,
    ROPD_BAD_VERSION = 4,
    ROPD_BAD_TYPE = 5,
    ROPD_BAD_FIELD = 6,
    ROPD_STOPPING = 12,
    ROPD_IDLE = 13,
    ROPD_NOT_CONFIGURED = 16, /* codes below this one close the connection */
    ROPD_SLOT_IN_USE = 20,
    ROPD_BAD_FORMAT = 26
} ropd_code;

typedef enum { ROPD_FROM_CLIENT = 1, ROPD_FROM_DAEMON = 2 } ropd_sender;

typedef struct {
    uint16_t lowest, highest;
    char name[ROP_NAME_BYTES];
} ropd_hello;

typedef struct {
    uint32_t slots, slot_bytes;
    uint8_t order, flags;
} ropd_configure;

typedef struct {
    uint64_t generation, sequence, captured_ns, deadline_ns;
    uint32_t slot, width, height, stride, capture_us, chroma_offset, data_bytes;
    uint8_t format, flags, matrix, range;
} ropd_submit;

typedef struct {
    uint64_t max_ring_bytes;
    uint32_t daemon_pid, max_slots, max_slot_bytes;
    uint16_t version;
} ropd_welcome;

typedef struct {
    uint64_t ring_bytes, slot_stride, pixels_offset, vessels_offset;
    uint32_t slots, slot_bytes;
    uint8_t huge_pages;
} ropd_ring;

typedef struct {
    uint32_t failed;
    uint8_t sha256[32];
    char text[ROP_TEXT_BYTES];
} ropd_reloaded;

/* A decoded message; `type` says which member holds it (the questions without payload have none). */
typedef struct {
    ropd_type type;
    uint32_t tag;
    union {
        ropd_hello hello;
        ropd_configure configure;
        ropd_submit submit;
        ropd_welcome welcome;
        ropd_ring ring;
        rop_result result;
        rop_health_report health;
        rop_bundle_report bundle;
        ropd_reloaded reloaded;
        rop_refusal error;
    } as;
} ropd_message;

/* CRC-32 as zlib's. */
uint32_t ropd_crc32(const uint8_t *bytes, size_t count);

/* Write a message; returns its length, 0 when its type or a value of it cannot be sent. */
size_t ropd_encode(const ropd_message *message, uint8_t wire[ROPD_LARGEST]);

/* Read a message that `sender` may send; ROPD_ACCEPTED, or the code of the first rule that it
   breaks (`message` is then all zeros). */
ropd_code ropd_decode(const uint8_t *wire, size_t count, ropd_sender sender, ropd_message *message);

#ifdef __cplusplus
}
#endif
#endif
