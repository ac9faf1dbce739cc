/*
 * libFuzzer harness of the message parser, both directions: what is accepted must be written again byte for byte, and
 * nothing else may be accepted. The CRC is made to fit in half of the inputs, or the fuzzer would never get past it.
 *   clang -g -O1 -fsanitize=fuzzer,address,undefined fuzz_messages.c ropscreen_wire.c -I...
 */
#include <stdlib.h>
#include <string.h>

#include "ropscreen_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const uint8_t *wire, size_t size, ropd_sender sender)
{
    uint8_t again[ROPD_LARGEST];
    ropd_message message, nothing;
    memset(&nothing, 0, sizeof nothing);
    if (ropd_decode(wire, size, sender, &message) == ROPD_ACCEPTED) {
        if (ropd_encode(&message, again) != size || memcmp(again, wire, size) != 0) {
            abort();
        }
    } else if (memcmp(&message, &nothing, sizeof message) != 0) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t wire[ROPD_LARGEST + 1u];
    if (size < 1u || size > sizeof wire) {
        return 0;
    }
    const ropd_sender sender = (data[0] & 1u) != 0u ? ROPD_FROM_CLIENT : ROPD_FROM_DAEMON;
    const size_t count = size - 1u;
    memcpy(wire, data + 1, count);
    look_at(wire, count, sender);
    if ((data[0] & 2u) != 0u && count >= 20u) {
        const uint32_t length = (uint32_t)count, magic = 0x44504F52u;
        memcpy(wire, &magic, 4);
        wire[4] = (data[0] & 4u) != 0u ? (uint8_t)ROPD_VERSION : (uint8_t)ROPD_GREETING;
        wire[5] = 0;
        memcpy(wire + 8, &length, 4);
        const uint32_t crc = ropd_crc32(wire, count - 4u);
        memcpy(wire + count - 4u, &crc, 4);
        look_at(wire, count, sender);
    }
    return 0;
}
