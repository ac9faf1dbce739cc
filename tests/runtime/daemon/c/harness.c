/* What the Python tests need to know of the C library: sizes, and messages decoded and encoded again. */
#include "ropscreen_wire.h"

size_t harness_message_size(void);
size_t harness_again(const uint8_t *wire, size_t count, int sender, int *code,
                     uint8_t again[ROPD_LARGEST]);

size_t harness_message_size(void)
{
    return sizeof(ropd_message);
}

/* Decode, say with which code, and encode what came out. */
size_t harness_again(const uint8_t *wire, size_t count, int sender, int *code,
                     uint8_t again[ROPD_LARGEST])
{
    ropd_message message;
    *code = (int)ropd_decode(wire, count, sender == 1 ? ROPD_FROM_CLIENT : ROPD_FROM_DAEMON, &message);
    return *code == 0 ? ropd_encode(&message, again) : 0;
}
