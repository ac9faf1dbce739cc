/* ropscreen: see ropscreen.h. */
#define _GNU_SOURCE 1 /* F_GET_SEALS */
#include "ropscreen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ropscreen_wire.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the ring's counters are little-endian"
#endif
_Static_assert(sizeof(atomic_uint_fast64_t) == 8 && ATOMIC_LLONG_LOCK_FREE == 2, "the ring needs lock-free 64-bit atomics");

#define PAGE_BYTES 4096u
#define VESSELS_GENERATION_AT 64u

enum { SLOT_FREE, SLOT_WRITING, SLOT_SUBMITTED, SLOT_DONE };

/* A question to the daemon and what came of it. */
typedef struct {
    ropd_message message; /* the question, then the answer */
    ropd_type answer;
    bool done;
    rop_status status;
    int descriptor; /* that came with the answer; -1: none */
} request;

/* ---- time ---- */

uint64_t rop_now_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t after_ms(uint32_t timeout_ms)
{
    return rop_now_ns() + (uint64_t)timeout_ms * 1000000u;
}

static int left_ms(uint64_t until_ns)
{
    const uint64_t now = rop_now_ns();
    const uint64_t left = until_ns > now ? (until_ns - now + 999999u) / 1000000u : 0u;
    return left > (uint64_t)INT_MAX ? INT_MAX : (int)left;
}

/* ---- states ---- */

const char *rop_status_text(rop_status status)
{
    switch (status) {
    case ROP_OK:
        return "done";
    case ROP_NOTHING_YET:
        return "nothing yet";
    case ROP_NO_SLOT:
        return "no slot is free";
    case ROP_STALE:
        return "the slot holds no vessel map of this result";
    case ROP_REFUSED:
        return "the daemon refused";
    case ROP_BAD_ARGUMENT:
        return "wrong argument";
    case ROP_BAD_STATE:
        return "not possible now";
    case ROP_PATH_TOO_LONG:
        return "the socket's path is longer than 107 bytes";
    case ROP_NO_DAEMON:
        return "no daemon at this socket";
    case ROP_NO_PERMISSION:
        return "no permission for the socket";
    case ROP_GONE:
        return "the daemon ended";
    case ROP_TIMEOUT:
        return "the daemon does not answer";
    case ROP_CLOSED:
        return "the daemon closed the connection";
    case ROP_PROTOCOL:
        return "the daemon sent what cannot be";
    case ROP_SYSTEM:
        return "the system refused";
    default:
        return "unknown status";
    }
}

static rop_status system_failed(rop_client *client)
{
    client->system_errno = errno;
    return ROP_SYSTEM;
}

/* The connection is over; the first cause stays. The daemon is told, the descriptor is kept until rop_close. */
static rop_status broke(rop_client *client, rop_status why)
{
    if (client->broken == ROP_OK) {
        client->broken = why;
        (void)shutdown(client->socket, SHUT_RDWR); /* fails when the other side is gone, which is as good */
    }
    return client->broken;
}

static rop_status usable(const rop_client *client)
{
    return (client == NULL) ? ROP_BAD_ARGUMENT : !client->is_open ? ROP_BAD_STATE : client->broken;
}

/* Fill a result that says nothing but why. `reason` ends within ROP_REASON_BYTES. */
static void no_result(rop_result *result, const char *reason)
{
    static const char banner[] = "No result - ";
    const size_t length = strnlen(reason, ROP_REASON_BYTES - 1u);
    memset(result, 0, sizeof *result);
    result->outcome = (uint8_t)ROP_NO_RESULT;
    result->vessel_fraction = -1.0F;
    for (size_t i = 0; i < (size_t)ROP_MS_COUNT; i++) {
        result->timings_ms[i] = -1.0F;
    }
    memcpy(result->reason, reason, length);
    memcpy(result->text, banner, sizeof banner - 1u);
    memcpy(result->text + sizeof banner - 1u, reason, length);
}

/* ---- the ring's counters ---- */

static uint8_t *slot_begin(const rop_client *client, uint32_t index)
{
    return client->ring + (size_t)index * (size_t)client->slot_stride;
}

static _Atomic uint64_t *counter(const rop_client *client, uint32_t index, size_t at)
{
    return (_Atomic uint64_t *)(void *)(slot_begin(client, index) + at);
}

/* Odd: no pixel that is written from now on can be seen before the counter is. */
static void begin_writing(rop_client *client, uint32_t index)
{
    client->slot[index].generation++;
    atomic_store_explicit(counter(client, index, 0), client->slot[index].generation, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

/* Even: every pixel that was written can be seen when the counter is. */
static void end_writing(rop_client *client, uint32_t index)
{
    client->slot[index].generation++;
    atomic_store_explicit(counter(client, index, 0), client->slot[index].generation, memory_order_release);
}

/* ---- what the daemon says ---- */

static bool makes_sense(const rop_result *result)
{
    const bool finding = result->outcome == ROP_REFER || result->outcome == ROP_NO_REFERRAL_FINDINGS;
    const bool spoiled = (result->flags & (ROP_LATE | ROP_TORN | ROP_SUPERSEDED)) != 0u;
    const bool gradable = (result->flags & ROP_GRADED) != 0u && (result->flags & ROP_GRADABLE) != 0u;
    if (result->text[0] == '\0' || (spoiled && result->outcome != ROP_NO_RESULT)) {
        return false;
    }
    return finding ? (gradable && result->class_count > 0u) : result->class_count == 0u;
}

static uint32_t submitted_under(const rop_client *client, uint32_t tag)
{
    uint32_t index = 0;
    while (index < client->slots && !(client->slot[index].state == SLOT_SUBMITTED && client->slot[index].tag == tag)) {
        index++;
    }
    return index;
}

static void finish_slot(rop_client *client, uint32_t index, const rop_result *result)
{
    client->slot[index].result = *result;
    client->slot[index].state = SLOT_DONE;
    client->done[client->done_count] = (uint8_t)index; /* a slot is in the queue once at most, so there is room */
    client->done_count++;
}

static void take_result(rop_client *client, uint32_t tag, const rop_result *result)
{
    const uint32_t index = submitted_under(client, tag);
    if (index == client->slots || result->slot != index || result->generation != client->slot[index].generation ||
        result->sequence != client->slot[index].result.sequence || !makes_sense(result)) {
        (void)broke(client, ROP_PROTOCOL);
        return;
    }
    finish_slot(client, index, result);
}

static void take_error(rop_client *client, uint32_t tag, const rop_refusal *error, request *open)
{
    const uint32_t index = submitted_under(client, tag);
    if (error->code < (uint16_t)ROPD_NOT_CONFIGURED) {
        client->refusal = *error;
        (void)broke(client, error->code == (uint16_t)ROPD_STOPPING ? ROP_GONE : ROP_CLOSED);
    } else if (index < client->slots && error->code != (uint16_t)ROPD_SLOT_IN_USE) {
        rop_result result;
        no_result(&result, error->text);
        result.sequence = client->slot[index].result.sequence;
        result.captured_ns = client->slot[index].result.captured_ns;
        result.generation = client->slot[index].generation;
        result.slot = index;
        result.refused = error->code;
        finish_slot(client, index, &result);
    } else if (open != NULL && open->message.tag == tag) {
        client->refusal = *error;
        open->status = ROP_REFUSED;
        open->done = true;
    } else {
        (void)broke(client, ROP_PROTOCOL);
    }
}

static void take_message(rop_client *client, const ropd_message *message, int descriptor, request *open)
{
    const bool answer = open != NULL && message->type == open->answer && message->tag == open->message.tag;
    if (descriptor >= 0 && !(answer && message->type == ROPD_RING)) {
        (void)close(descriptor);
        (void)broke(client, ROP_PROTOCOL);
    } else if (answer) {
        open->message = *message;
        open->descriptor = descriptor;
        open->status = ROP_OK;
        open->done = true;
    } else if (message->type == ROPD_RESULT) {
        take_result(client, message->tag, &message->as.result);
    } else if (message->type == ROPD_ERROR) {
        take_error(client, message->tag, &message->as.error, open);
    } else {
        (void)broke(client, ROP_PROTOCOL);
    }
}

/* ---- the socket ---- */

/* The descriptor that came with a packet, -1 when none did. */
static int passed_descriptor(struct msghdr *header)
{
    int descriptor = -1;
    const struct cmsghdr *const control = CMSG_FIRSTHDR(header);
    if (control != NULL && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS &&
        control->cmsg_len == CMSG_LEN(sizeof descriptor)) {
        memcpy(&descriptor, CMSG_DATA(control), sizeof descriptor);
    }
    return descriptor;
}

/* Take one packet, if there is one: ROP_OK, ROP_NOTHING_YET, or what broke. */
static rop_status take_packet(rop_client *client, request *open)
{
    uint8_t wire[ROPD_LARGEST];
    union {
        struct cmsghdr aligned;
        uint8_t bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = wire, .iov_len = sizeof wire};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    bool reset = false;
    ssize_t count;
    do {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_LEN(sizeof(int)); /* room for one */
        count = recvmsg(client->socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (count < 0 && errno == ECONNRESET && !reset) { /* said once, and before what was sent ahead of it */
            reset = true;
            errno = EINTR;
        }
    } while (count < 0 && errno == EINTR);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && !reset) {
        return ROP_NOTHING_YET;
    }
    if (count == 0 || (count < 0 && (reset || errno == ECONNRESET || errno == ENOTCONN || errno == EPIPE))) {
        return broke(client, ROP_GONE);
    }
    if (count < 0) {
        return broke(client, system_failed(client));
    }
    ropd_message message;
    const int descriptor = passed_descriptor(&header);
    if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
        ropd_decode(wire, (size_t)count, ROPD_FROM_DAEMON, &message) != ROPD_ACCEPTED) {
        if (descriptor >= 0) {
            (void)close(descriptor);
        }
        return broke(client, ROP_PROTOCOL);
    }
    take_message(client, &message, descriptor, open);
    return client->broken;
}

/* Take what has arrived, up to the answer to `open` if there is one. Ends: every packet that is no answer uses up a
   frame under way or breaks the connection. */
static rop_status take_all(rop_client *client, request *open)
{
    rop_status status = client->broken;
    while (status == ROP_OK && !(open != NULL && open->done)) {
        status = take_packet(client, open);
    }
    return client->broken;
}

/* Wait until the socket can be read (POLLIN) or written (POLLOUT) or is over: ROP_OK, ROP_NOTHING_YET, ROP_SYSTEM. */
static rop_status wait_for(rop_client *client, short events, uint64_t until_ns)
{
    struct pollfd entry = {.fd = client->socket, .events = events};
    int ready;
    do {
        ready = poll(&entry, 1, left_ms(until_ns));
    } while (ready < 0 && errno == EINTR);
    if (ready < 0) {
        return broke(client, system_failed(client));
    }
    return ready > 0 ? ROP_OK : ROP_NOTHING_YET;
}

/* Send one message: ROP_OK, ROP_NOTHING_YET when there was no room until then, or what broke. */
static rop_status send_message(rop_client *client, const ropd_message *message, uint64_t until_ns)
{
    uint8_t wire[ROPD_LARGEST];
    const size_t size = ropd_encode(message, wire);
    if (size == 0) {
        return ROP_BAD_ARGUMENT;
    }
    for (;;) {
        const ssize_t sent = send(client->socket, wire, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent == (ssize_t)size) {
            return ROP_OK;
        }
        if (sent >= 0) { /* a packet is sent whole or not at all */
            return broke(client, ROP_PROTOCOL);
        }
        if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) {
            (void)take_all(client, NULL); /* results and the reason may have come before the end */
            return broke(client, ROP_GONE);
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            const rop_status room = wait_for(client, POLLOUT, until_ns);
            if (room != ROP_OK) {
                return room;
            }
        } else if (errno != EINTR) {
            return broke(client, system_failed(client));
        }
    }
}

static uint32_t next_tag(rop_client *client)
{
    client->last_tag++;
    if (client->last_tag == 0u) { /* tag 0 is for ERRORs that nothing asked for */
        client->last_tag = 1u;
    }
    return client->last_tag;
}

/* Send the question and wait for its answer; ROP_REFUSED leaves the connection as it was. */
static rop_status ask(rop_client *client, request *open, ropd_type question, ropd_type answer)
{
    const uint64_t until_ns = after_ms(client->timeout_ms);
    open->message.type = question;
    open->message.tag = next_tag(client);
    open->answer = answer;
    open->done = false;
    open->descriptor = -1;
    rop_status status = send_message(client, &open->message, until_ns);
    while (status == ROP_OK) {
        status = take_all(client, open);
        if (status == ROP_OK && open->done) {
            return open->status;
        }
        if (status == ROP_OK) {
            status = wait_for(client, POLLIN, until_ns);
        }
    }
    return status == ROP_NOTHING_YET ? broke(client, ROP_TIMEOUT) : status;
}

/* ---- open, configure, close ---- */

static rop_status connect_failed(rop_client *client)
{
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case ECONNREFUSED:
        return ROP_NO_DAEMON;
    case EACCES:
    case EPERM:
        return ROP_NO_PERMISSION;
    case EAGAIN: /* its queue of connections stayed full */
        return ROP_TIMEOUT;
    case EPROTOTYPE: /* a socket of another type */
        return ROP_PROTOCOL;
    default:
        return system_failed(client);
    }
}

static rop_status connect_to(rop_client *client, const struct sockaddr_un *address)
{
    const struct timeval patience = {.tv_sec = (time_t)(client->timeout_ms / 1000u),
                                     .tv_usec = (suseconds_t)(client->timeout_ms % 1000u) * 1000};
    int done;
    client->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (client->socket < 0) {
        return system_failed(client);
    }
    if (setsockopt(client->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0) {
        return system_failed(client);
    }
    do {
        done = connect(client->socket, (const struct sockaddr *)address, sizeof *address);
    } while (done != 0 && errno == EINTR);
    return done == 0 ? ROP_OK : connect_failed(client);
}

static rop_status greet(rop_client *client, const char *name)
{
    request open;
    memset(&open, 0, sizeof open);
    open.message.as.hello.lowest = ROPD_VERSION;
    open.message.as.hello.highest = ROPD_VERSION;
    memcpy(open.message.as.hello.name, name, strnlen(name, ROP_NAME_BYTES - 1u));
    const rop_status status = ask(client, &open, ROPD_HELLO, ROPD_WELCOME);
    if (status != ROP_OK) {
        return status == ROP_REFUSED ? ROP_PROTOCOL : status; /* no ERROR that goes on answers HELLO */
    }
    return open.message.as.welcome.version == ROPD_VERSION ? ROP_OK : ROP_PROTOCOL;
}

rop_status rop_open(rop_client *client, const char *socket_path, const char *name, uint32_t timeout_ms)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (client == NULL || socket_path == NULL || socket_path[0] == '\0' || name == NULL || timeout_ms == 0u ||
        strnlen(name, ROP_NAME_BYTES) == ROP_NAME_BYTES) {
        return ROP_BAD_ARGUMENT;
    }
    if (client->is_open) {
        return ROP_BAD_STATE;
    }
    const size_t length = strnlen(socket_path, sizeof address.sun_path);
    if (length == sizeof address.sun_path) {
        return ROP_PATH_TOO_LONG;
    }
    memcpy(address.sun_path, socket_path, length);
    memset(client, 0, sizeof *client);
    client->timeout_ms = timeout_ms;
    rop_status status = connect_to(client, &address);
    if (status == ROP_OK) {
        status = greet(client, name);
    }
    if (status == ROP_OK) {
        client->is_open = true;
    } else if (client->socket >= 0) {
        (void)close(client->socket);
        client->broken = ROP_OK;
    }
    return status;
}

static bool ring_fits(const ropd_ring *ring, uint32_t slots, uint32_t slot_bytes)
{
    const uint64_t most = (uint64_t)SIZE_MAX / 2u;
    if (ring->slots != slots || ring->slot_bytes < slot_bytes || ring->ring_bytes > most ||
        ring->slot_stride > ring->ring_bytes / slots || ring->slot_stride % PAGE_BYTES != 0u) {
        return false;
    }
    /* Below the stride each, so that no sum can overflow. */
    if (ring->pixels_offset > ring->slot_stride || ring->vessels_offset > ring->slot_stride) {
        return false;
    }
    return ring->pixels_offset >= PAGE_BYTES && ring->pixels_offset % PAGE_BYTES == 0u &&
           ring->pixels_offset + ring->slot_bytes <= ring->vessels_offset &&
           ring->vessels_offset + ROP_VESSEL_BYTES <= ring->slot_stride;
}

/* Map what was passed, once it is sure that it cannot shrink. */
static rop_status map_ring(rop_client *client, const ropd_ring *ring, int descriptor)
{
    struct stat facts;
    const int seals = fcntl(descriptor, F_GET_SEALS);
    if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || fstat(descriptor, &facts) != 0 || facts.st_size < 0 ||
        (uint64_t)facts.st_size < ring->ring_bytes) {
        return ROP_PROTOCOL;
    }
    void *const place = mmap(NULL, (size_t)ring->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, 0);
    if (place == MAP_FAILED) {
        return system_failed(client);
    }
    client->ring = (uint8_t *)place;
    client->ring_bytes = ring->ring_bytes;
    client->slot_stride = ring->slot_stride;
    client->pixels_offset = ring->pixels_offset;
    client->vessels_offset = ring->vessels_offset;
    client->slots = ring->slots;
    client->slot_bytes = ring->slot_bytes;
    return ROP_OK;
}

rop_status rop_configure(rop_client *client, uint32_t slots, uint32_t slot_bytes, rop_order order, uint8_t flags)
{
    request open;
    rop_status status = usable(client);
    if (status != ROP_OK) {
        return status;
    }
    if (client->ring != NULL) {
        return ROP_BAD_STATE;
    }
    if (slots == 0u || slots > ROP_MOST_SLOTS || slot_bytes == 0u || flags > ROP_STORED_PICTURES ||
        (order != ROP_ORDER_NEWEST && order != ROP_ORDER_EVERY)) {
        return ROP_BAD_ARGUMENT;
    }
    memset(&open, 0, sizeof open);
    open.message.as.configure = (ropd_configure){
        .slots = slots, .slot_bytes = slot_bytes, .order = (uint8_t)order, .flags = flags};
    status = ask(client, &open, ROPD_CONFIGURE, ROPD_RING);
    if (status != ROP_OK) {
        return status;
    }
    if (open.descriptor < 0) {
        return broke(client, ROP_PROTOCOL);
    }
    status = ring_fits(&open.message.as.ring, slots, slot_bytes)
                 ? map_ring(client, &open.message.as.ring, open.descriptor)
                 : ROP_PROTOCOL;
    (void)close(open.descriptor); /* the mapping stays */
    return status == ROP_OK ? ROP_OK : broke(client, status);
}

void rop_close(rop_client *client)
{
    if (client == NULL || !client->is_open) {
        return;
    }
    if (client->ring != NULL) {
        (void)munmap(client->ring, (size_t)client->ring_bytes); /* cannot fail for what mmap gave */
    }
    (void)close(client->socket);
    memset(client, 0, sizeof *client);
}

int rop_descriptor(const rop_client *client)
{
    return (client != NULL && client->is_open) ? client->socket : -1;
}

/* ---- frames ---- */

rop_status rop_acquire_slot(rop_client *client, rop_slot *slot)
{
    rop_status status = usable(client);
    if (slot != NULL) {
        memset(slot, 0, sizeof *slot);
    }
    if (status != ROP_OK || slot == NULL) {
        return status != ROP_OK ? status : ROP_BAD_ARGUMENT;
    }
    if (client->ring == NULL) {
        return ROP_BAD_STATE;
    }
    for (uint32_t i = 0; i < client->slots; i++) {
        const uint32_t index = (client->next_slot + i) % client->slots;
        if (client->slot[index].state == SLOT_FREE) {
            client->slot[index].state = SLOT_WRITING;
            client->next_slot = (index + 1u) % client->slots;
            begin_writing(client, index);
            slot->pixels = slot_begin(client, index) + client->pixels_offset;
            slot->bytes = client->slot_bytes;
            slot->index = index;
            return ROP_OK;
        }
    }
    return ROP_NO_SLOT;
}

static rop_status being_written(const rop_client *client, const rop_slot *slot)
{
    const rop_status status = usable(client);
    if (status != ROP_OK) {
        return status;
    }
    if (slot == NULL || slot->index >= ROP_MOST_SLOTS) {
        return ROP_BAD_ARGUMENT;
    }
    return client->slot[slot->index].state == SLOT_WRITING ? ROP_OK : ROP_BAD_STATE;
}

rop_status rop_release_slot(rop_client *client, const rop_slot *slot)
{
    const rop_status status = being_written(client, slot);
    if (status == ROP_OK) {
        end_writing(client, slot->index);
        client->slot[slot->index].state = SLOT_FREE;
    }
    return status;
}

static bool picture_fits(const rop_client *client, const rop_picture *picture)
{
    if (picture->format < ROP_RGB8 || picture->format > ROP_GRAY8 || picture->flags > ROP_WANT_VESSELS ||
        picture->width == 0u || picture->height == 0u || picture->sequence > (uint64_t)INT64_MAX) {
        return false;
    }
    const uint64_t row = (uint64_t)picture->width * (picture->format == ROP_GRAY8 ? 1u : 3u);
    return picture->stride >= row && (uint64_t)picture->stride * picture->height <= client->slot_bytes;
}

rop_status rop_submit(rop_client *client, const rop_slot *slot, const rop_picture *picture)
{
    rop_status status = being_written(client, slot);
    if (status != ROP_OK) {
        return status;
    }
    if (picture == NULL || !picture_fits(client, picture)) {
        return ROP_BAD_ARGUMENT;
    }
    const uint32_t index = slot->index;
    end_writing(client, index);
    ropd_message message;
    memset(&message, 0, sizeof message);
    message.type = ROPD_SUBMIT;
    message.tag = next_tag(client);
    message.as.submit = (ropd_submit){.generation = client->slot[index].generation,
                                      .sequence = picture->sequence,
                                      .captured_ns = picture->captured_ns,
                                      .deadline_ns = picture->deadline_ns,
                                      .slot = index,
                                      .width = picture->width,
                                      .height = picture->height,
                                      .stride = picture->stride,
                                      .capture_us = picture->capture_us,
                                      .format = picture->format,
                                      .flags = picture->flags};
    status = send_message(client, &message, after_ms(client->timeout_ms));
    if (status == ROP_OK) {
        client->slot[index].tag = message.tag;
        client->slot[index].state = SLOT_SUBMITTED;
        client->slot[index].result.sequence = picture->sequence;
        client->slot[index].result.captured_ns = picture->captured_ns;
    } else {
        begin_writing(client, index);
    }
    return status;
}

static bool under_way(const rop_client *client)
{
    for (uint32_t i = 0; i < client->slots; i++) {
        if (client->slot[i].state == SLOT_SUBMITTED) {
            return true;
        }
    }
    return false;
}

/* The oldest result that waits to be fetched. */
static void give(rop_client *client, rop_result *result)
{
    const uint32_t index = client->done[0];
    client->done_count--;
    memmove(client->done, client->done + 1, client->done_count);
    *result = client->slot[index].result;
    client->slot[index].state = SLOT_FREE;
}

/* `until_ns` 0: do not wait. */
static rop_status next_result(rop_client *client, uint64_t until_ns, rop_result *result)
{
    rop_status status = take_all(client, NULL);
    while (status == ROP_OK && client->done_count == 0u) {
        if (until_ns == 0u) {
            return ROP_NOTHING_YET;
        }
        if (!under_way(client)) {
            return ROP_BAD_STATE;
        }
        status = wait_for(client, POLLIN, until_ns);
        if (status == ROP_OK) {
            status = take_all(client, NULL);
        }
    }
    if (client->done_count > 0u) { /* what came before the end counts */
        give(client, result);
        return ROP_OK;
    }
    return status;
}

static rop_status fetch(rop_client *client, uint64_t until_ns, rop_result *result)
{
    if (client == NULL || result == NULL) {
        return ROP_BAD_ARGUMENT;
    }
    const rop_status status = client->ring != NULL ? next_result(client, until_ns, result)
                              : usable(client) != ROP_OK ? usable(client)
                                                         : ROP_BAD_STATE;
    if (status != ROP_OK) {
        no_result(result, rop_status_text(status));
    }
    return status;
}

rop_status rop_poll(rop_client *client, rop_result *result)
{
    return fetch(client, 0, result);
}

rop_status rop_wait(rop_client *client, uint32_t timeout_ms, rop_result *result)
{
    return fetch(client, timeout_ms == 0u ? 0u : after_ms(timeout_ms), result);
}

rop_status rop_result_vessels(const rop_client *client, const rop_result *result, uint8_t map[ROP_VESSEL_BYTES])
{
    if (client == NULL || result == NULL || map == NULL) {
        return ROP_BAD_ARGUMENT;
    }
    memset(map, 0, ROP_VESSEL_BYTES);
    if (client->ring == NULL || result->slot >= client->slots) {
        return ROP_BAD_STATE;
    }
    if ((result->flags & ROP_HAS_VESSELS) == 0u || client->slot[result->slot].state == SLOT_SUBMITTED) {
        return ROP_STALE;
    }
    const _Atomic uint64_t *const generation = counter(client, result->slot, VESSELS_GENERATION_AT);
    if (atomic_load_explicit(generation, memory_order_acquire) != result->generation) {
        return ROP_STALE;
    }
    memcpy(map, slot_begin(client, result->slot) + client->vessels_offset, ROP_VESSEL_BYTES);
    return ROP_OK;
}

/* ---- questions ---- */

rop_status rop_health(rop_client *client, rop_health_report *health)
{
    request open;
    rop_status status = usable(client);
    if (health == NULL) {
        return ROP_BAD_ARGUMENT;
    }
    memset(health, 0, sizeof *health);
    memset(&open, 0, sizeof open);
    if (status == ROP_OK) {
        status = ask(client, &open, ROPD_ASK_HEALTH, ROPD_HEALTH);
    }
    if (status == ROP_OK) {
        *health = open.message.as.health;
    }
    return status;
}

rop_status rop_bundle(rop_client *client, rop_bundle_report *bundle)
{
    request open;
    rop_status status = usable(client);
    if (bundle == NULL) {
        return ROP_BAD_ARGUMENT;
    }
    memset(bundle, 0, sizeof *bundle);
    memset(&open, 0, sizeof open);
    if (status == ROP_OK) {
        status = ask(client, &open, ROPD_ASK_BUNDLE, ROPD_BUNDLE);
    }
    if (status == ROP_OK) {
        *bundle = open.message.as.bundle;
    }
    return status;
}
