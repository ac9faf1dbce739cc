/* ropscreen: see ropscreen.h. */
#define _GNU_SOURCE 1 /* F_GET_SEALS */
#include "ropscreen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
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
#define MOST_WAITING 64u /* results that may wait to be fetched */
#define ERROR_BYTES 320u
#define MOST_AHEAD_NS 1000000u            /* a capture that lies further ahead was taken by another clock */
#define MOST_AWAY_NS 60000000000u         /* one that lies further back, or a deadline further away, too */
#define SAME_CLOCK_NS 3600000000000u      /* within this of a clock's time, a moment is thought to be of that clock */
#define NEARER 10u                        /* where it is so many times further from CLOCK_BOOTTIME */

/* A slot that the daemon has though its frame's result was given here (too old, cancelled) is GIVEN_UP. */
enum { SLOT_FREE, SLOT_WRITING, SLOT_SUBMITTED, SLOT_GIVEN_UP };

struct rop_client {
    rop_options options;
    rop_refusal refusal;     /* of the last call */
    rop_refusal closing;     /* why the daemon closed the connection */
    char error[ERROR_BYTES]; /* of the last call */
    bool is_open;
    rop_status broken; /* ROP_OK, or why the connection is over */
    int socket, ring_descriptor;
    uint32_t last_tag;
    uint8_t *ring;
    uint64_t ring_bytes, slot_stride, pixels_offset, vessels_offset;
    uint32_t slots, slot_bytes;
    uint64_t turn; /* counts the slots that became free */
    struct {
        uint8_t state;
        uint32_t tag;
        uint64_t generation, sequence, captured_ns, freed; /* freed: the turn */
        uint32_t waiting; /* results of it that wait to be fetched */
    } slot[ROP_MOST_SLOTS];
    rop_result done[MOST_WAITING]; /* results that wait to be fetched, a ring */
    uint32_t done_first, done_count;
};

/* A question to the daemon and what came of it. */
typedef struct {
    ropd_message message; /* the question, then the answer */
    ropd_type answer;
    bool done;
    rop_status status;
    int descriptor; /* that came with the answer; -1: none */
} request;

/* ---- time ---- */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0) {
        return 0;
    }
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t rop_now_ns(void)
{
    return clock_ns(CLOCK_BOOTTIME);
}

static uint64_t apart(uint64_t one, uint64_t other)
{
    return one > other ? one - other : other - one;
}

/* Whether a moment is that clock's rather than CLOCK_BOOTTIME's, from which it is `away_ns`. */
static bool fits(uint64_t moment_ns, clockid_t clock, uint64_t away_ns)
{
    const uint64_t away = apart(moment_ns, clock_ns(clock));
    return away < SAME_CLOCK_NS && away < away_ns / NEARER;
}

/* The clock that a moment was taken from, as far as can be told. CLOCK_MONOTONIC is never ahead of CLOCK_BOOTTIME. */
static const char *other_clock(uint64_t moment_ns, uint64_t now)
{
    const uint64_t away = apart(moment_ns, now);
    return fits(moment_ns, CLOCK_REALTIME, away)                           ? ", as if by CLOCK_REALTIME"
           : moment_ns < now && fits(moment_ns, CLOCK_MONOTONIC, away) ? ", as if by CLOCK_MONOTONIC"
                                                                           : "";
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
    case ROP_IMPOSTOR:
        return "the socket is of a user that is not the daemon's";
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

uint32_t rop_version(void)
{
    return ROPSCREEN_VERSION;
}

/* ---- what went wrong ---- */

static rop_status fail(rop_client *client, rop_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Say why a call fails: what, got, needed. */
static rop_status fail(rop_client *client, rop_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(client->error, sizeof client->error, format, arguments); /* cut where it is too long */
    va_end(arguments);
    return status;
}

static rop_status system_failed(rop_client *client, const char *what)
{
    return fail(client, ROP_SYSTEM, "%s: the system refused, errno %d", what, errno);
}

/* The start of every call. */
static void begin(rop_client *client)
{
    client->error[0] = '\0';
    memset(&client->refusal, 0, sizeof client->refusal);
}

/* The end of every call: its reason in words, unless the call has said it already. */
static rop_status ended(rop_client *client, rop_status status)
{
    if (status == ROP_CLOSED) {
        client->refusal = client->closing;
    }
    if (status == ROP_REFUSED || status == ROP_CLOSED) {
        return fail(client, status, "%s: %s", rop_status_text(status), client->refusal.text);
    }
    if (status < ROP_OK && client->error[0] == '\0') {
        return fail(client, status, "%s", rop_status_text(status));
    }
    return status;
}

const char *rop_error(const rop_client *client)
{
    return client == NULL ? "client: got NULL, needed one from rop_new" : client->error;
}

const rop_refusal *rop_last_refusal(const rop_client *client)
{
    static const rop_refusal none;
    return client == NULL ? &none : &client->refusal;
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

/* Begin a call that needs an open connection. */
static rop_status usable(rop_client *client)
{
    if (client == NULL) {
        return ROP_BAD_ARGUMENT;
    }
    begin(client);
    return client->is_open ? client->broken : fail(client, ROP_BAD_STATE, "client: not open; call rop_open");
}

/* The same, with a ring. */
static rop_status configured(rop_client *client)
{
    const rop_status status = usable(client);
    return status != ROP_OK || client->ring != NULL
               ? status
               : fail(client, ROP_BAD_STATE, "client: has no ring; call rop_configure");
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
    const bool spoiled = (result->flags & (ROP_LATE | ROP_TORN | ROP_SUPERSEDED | ROP_CANCELLED)) != 0u;
    const bool gradable = (result->flags & ROP_GRADED) != 0u && (result->flags & ROP_GRADABLE) != 0u;
    if (result->text[0] == '\0' || (spoiled && result->outcome != ROP_NO_RESULT)) {
        return false;
    }
    return finding ? (gradable && result->class_count > 0u) : result->class_count == 0u;
}

/* The slot whose frame the daemon has under this tag; client->slots: none. */
static uint32_t under(const rop_client *client, uint32_t tag)
{
    uint32_t index = 0;
    while (index < client->slots &&
           !(client->slot[index].state >= SLOT_SUBMITTED && client->slot[index].tag == tag)) {
        index++;
    }
    return index;
}

static void set_free(rop_client *client, uint32_t index)
{
    client->slot[index].state = SLOT_FREE;
    client->turn++;
    client->slot[index].freed = client->turn;
}

/* Let the result of a slot's frame wait to be fetched; rop_acquire_slot has seen to it that there is room. */
static void keep(rop_client *client, uint32_t index, const rop_result *result)
{
    rop_result *const place = &client->done[(client->done_first + client->done_count) % MOST_WAITING];
    *place = *result;
    place->slot = index;
    place->sequence = client->slot[index].sequence;
    place->generation = client->slot[index].generation;
    place->captured_ns = client->slot[index].captured_ns;
    place->fresh_until_ns = place->captured_ns + (uint64_t)client->options.max_age_ms * 1000000u;
    client->slot[index].waiting++;
    client->done_count++;
}

static void take_result(rop_client *client, uint32_t tag, const rop_result *result)
{
    const uint32_t index = under(client, tag);
    if (index == client->slots || result->slot != index || result->generation != client->slot[index].generation ||
        result->sequence != client->slot[index].sequence || result->captured_ns != client->slot[index].captured_ns ||
        !makes_sense(result)) {
        (void)broke(client, ROP_PROTOCOL);
        return;
    }
    if (client->slot[index].state == SLOT_SUBMITTED) {
        keep(client, index, result);
    }
    set_free(client, index);
}

static void take_error(rop_client *client, uint32_t tag, const rop_refusal *error, request *open)
{
    const uint32_t index = under(client, tag);
    if (error->code < (uint16_t)ROPD_NOT_CONFIGURED) {
        client->closing = *error;
        (void)broke(client, error->code == (uint16_t)ROPD_STOPPING ? ROP_GONE : ROP_CLOSED);
    } else if (index < client->slots && error->code != (uint16_t)ROPD_SLOT_IN_USE) {
        if (client->slot[index].state == SLOT_SUBMITTED) {
            rop_result result;
            no_result(&result, error->text);
            result.refused = error->code;
            keep(client, index, &result);
        }
        set_free(client, index);
    } else if (open != NULL && open->message.tag == tag) {
        client->refusal = *error;
        open->status = ROP_REFUSED;
        open->done = true;
    } else {
        (void)broke(client, ROP_PROTOCOL);
    }
}

/* The result of a frame that the daemon has still: it could only be too old, or nobody wants it. */
static void give_up(rop_client *client, uint32_t index, uint32_t flag, const char *reason)
{
    rop_result result;
    no_result(&result, reason);
    result.flags = flag;
    keep(client, index, &result);
    client->slot[index].state = SLOT_GIVEN_UP;
}

/* ---- age ---- */

static uint64_t max_age_ns(const rop_client *client)
{
    return (uint64_t)client->options.max_age_ms * 1000000u;
}

static void too_old(const rop_client *client, uint64_t captured_ns, uint64_t now, char reason[ROP_REASON_BYTES])
{
    (void)snprintf(reason, ROP_REASON_BYTES, "late: captured %llu ms ago, at most %u",
                   (unsigned long long)((now - captured_ns) / 1000000u), client->options.max_age_ms);
}

/* Frames under way that are too old by now get their results. */
static void expire(rop_client *client)
{
    const uint64_t now = rop_now_ns();
    char reason[ROP_REASON_BYTES];
    for (uint32_t i = 0; i < client->slots; i++) {
        const uint64_t captured = client->slot[i].captured_ns;
        if (client->slot[i].state == SLOT_SUBMITTED && (now == 0u || now > captured + max_age_ns(client))) {
            too_old(client, captured, now, reason);
            give_up(client, i, ROP_LATE, reason);
        }
    }
}

/* When the first of them will be, or `until_ns` if that is sooner. */
static uint64_t next_expiry(const rop_client *client, uint64_t until_ns)
{
    for (uint32_t i = 0; i < client->slots; i++) {
        const uint64_t expiry = client->slot[i].captured_ns + max_age_ns(client) + 1u;
        if (client->slot[i].state == SLOT_SUBMITTED && expiry < until_ns) {
            until_ns = expiry;
        }
    }
    return until_ns;
}

/* Take from a result what it must not say: it is too old, or of another bundle. */
static void judge(const rop_client *client, rop_result *result)
{
    const uint64_t now = rop_now_ns();
    char reason[ROP_REASON_BYTES];
    rop_result none;
    if (result->outcome == ROP_NO_RESULT) {
        return;
    }
    if (now == 0u || now > result->fresh_until_ns) {
        too_old(client, result->captured_ns, now, reason);
        no_result(&none, reason);
        none.flags = ROP_LATE;
    } else if ((client->options.flags & ROP_CHECK_BUNDLE) != 0u &&
               memcmp(result->bundle_sha256, client->options.bundle_sha256, sizeof result->bundle_sha256) != 0) {
        no_result(&none, "read by another bundle than the one that was expected");
    } else {
        return;
    }
    none.sequence = result->sequence;
    none.generation = result->generation;
    none.captured_ns = result->captured_ns;
    none.done_ns = result->done_ns;
    none.fresh_until_ns = result->fresh_until_ns;
    none.slot = result->slot;
    *result = none;
}

bool rop_is_fresh(const rop_result *result)
{
    const uint64_t now = rop_now_ns();
    return result != NULL && now != 0u && now <= result->fresh_until_ns;
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
        return broke(client, system_failed(client, "recvmsg"));
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
        return broke(client, system_failed(client, "poll"));
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
            return broke(client, system_failed(client, "send"));
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
    const uint64_t until_ns = after_ms(client->options.timeout_ms);
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
        return system_failed(client, "connect");
    }
}

/* Whoever made the socket must be the daemon's user, as the kernel says. */
static rop_status check_peer(rop_client *client)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(client->socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return system_failed(client, "SO_PEERCRED");
    }
    const uint32_t uid = (uint32_t)peer.uid;
    if ((client->options.flags & ROP_CHECK_UID) != 0u) {
        return uid == client->options.daemon_uid
                   ? ROP_OK
                   : fail(client, ROP_IMPOSTOR, "socket_path: made by user %u, needed user %u", uid, client->options.daemon_uid);
    }
    return uid == 0u || uid == (uint32_t)geteuid()
               ? ROP_OK
               : fail(client, ROP_IMPOSTOR, "socket_path: made by user %u, needed root or user %u; or name it: ROP_CHECK_UID",
                      uid, (unsigned)geteuid());
}

static rop_status connect_to(rop_client *client, const struct sockaddr_un *address)
{
    const struct timeval patience = {.tv_sec = (time_t)(client->options.timeout_ms / 1000u),
                                     .tv_usec = (suseconds_t)(client->options.timeout_ms % 1000u) * 1000};
    int done;
    client->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (client->socket < 0) {
        return system_failed(client, "socket");
    }
    if (setsockopt(client->socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0) {
        return system_failed(client, "SO_SNDTIMEO");
    }
    do {
        done = connect(client->socket, (const struct sockaddr *)address, sizeof *address);
    } while (done != 0 && errno == EINTR);
    return done == 0 ? check_peer(client) : connect_failed(client);
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

#define MOST_OPTIONS_BYTES 1024u /* of any later header; a size that was never set must not be read to its end */

/* The caller's options, checked; those of a later header must be zeros where this library does not know them. */
static rop_status take_options(rop_client *client, const rop_options *options)
{
    static const rop_options defaults = {.size = sizeof(rop_options)};
    const rop_options *const wanted = options == NULL ? &defaults : options;
    if (wanted->size < sizeof(rop_options) || wanted->size > MOST_OPTIONS_BYTES) {
        return fail(client, ROP_BAD_ARGUMENT, "options.size: got %u, needed sizeof(rop_options), %zu", wanted->size,
                    sizeof(rop_options));
    }
    for (size_t i = sizeof(rop_options); i < wanted->size; i++) {
        if (((const uint8_t *)wanted)[i] != 0u) {
            return fail(client, ROP_BAD_ARGUMENT, "options: byte %zu is of a later library than %u.%u", i, ROPSCREEN_VERSION_MAJOR,
                        ROPSCREEN_VERSION_MINOR);
        }
    }
    client->options = *wanted;
    client->options.size = sizeof(rop_options);
    if (client->options.timeout_ms == 0u) {
        client->options.timeout_ms = ROP_DEFAULT_TIMEOUT_MS;
    }
    if (client->options.max_age_ms == 0u) {
        client->options.max_age_ms = ROP_DEFAULT_MAX_AGE_MS;
    }
    if (client->options.max_age_ms > ROP_MOST_MAX_AGE_MS) {
        return fail(client, ROP_BAD_ARGUMENT, "options.max_age_ms: got %u, needed at most %u", client->options.max_age_ms,
                    ROP_MOST_MAX_AGE_MS);
    }
    if (client->options.flags > (ROP_CHECK_UID | ROP_CHECK_BUNDLE)) {
        return fail(client, ROP_BAD_ARGUMENT, "options.flags: got %u, needed those that ropscreen.h names", wanted->flags);
    }
    return ROP_OK;
}

static rop_status open_checked(rop_client *client, const char *socket_path, const char *name, const rop_options *options)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (client->is_open) {
        return fail(client, ROP_BAD_STATE, "client: open already; call rop_close first");
    }
    if (socket_path == NULL || socket_path[0] == '\0') {
        return fail(client, ROP_BAD_ARGUMENT, "socket_path: got nothing, needed the daemon's socket");
    }
    if (name == NULL || name[0] == '\0' || strnlen(name, ROP_NAME_BYTES) == ROP_NAME_BYTES) {
        return fail(client, ROP_BAD_ARGUMENT, "name: needed 1 to %u characters", ROP_NAME_BYTES - 1u);
    }
    const size_t length = strnlen(socket_path, sizeof address.sun_path);
    if (length == sizeof address.sun_path) {
        return fail(client, ROP_PATH_TOO_LONG, "socket_path: longer than %zu bytes", sizeof address.sun_path - 1u);
    }
    memcpy(address.sun_path, socket_path, length);
    memset(client, 0, sizeof *client);
    client->socket = client->ring_descriptor = -1;
    rop_status status = take_options(client, options);
    if (status == ROP_OK) {
        status = connect_to(client, &address);
    }
    if (status == ROP_OK) {
        status = greet(client, name);
    }
    if (status == ROP_BAD_ARGUMENT && client->error[0] == '\0') {
        status = fail(client, status, "name: needed letters, digits or . _ : - only");
    }
    if (status == ROP_OK) {
        client->is_open = true;
    } else if (client->socket >= 0) {
        (void)close(client->socket);
        client->broken = ROP_OK;
    }
    return status;
}

rop_status rop_open(rop_client *client, const char *socket_path, const char *name, const rop_options *options)
{
    if (client == NULL) {
        return ROP_BAD_ARGUMENT;
    }
    begin(client);
    return ended(client, open_checked(client, socket_path, name, options));
}

rop_client *rop_new(void)
{
    rop_client *const client = calloc(1, sizeof *client);
    if (client != NULL) {
        client->socket = client->ring_descriptor = -1;
    }
    return client;
}

void rop_free(rop_client *client)
{
    rop_close(client);
    free(client);
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

#define RING_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Map what was passed, once it is sure that it cannot shrink, nor its seals be broken. */
static rop_status map_ring(rop_client *client, const ropd_ring *ring, int descriptor)
{
    struct stat facts;
    const int seals = fcntl(descriptor, F_GET_SEALS);
    if (seals < 0 || (seals & RING_SEALS) != RING_SEALS || fstat(descriptor, &facts) != 0 || facts.st_size < 0 ||
        (uint64_t)facts.st_size < ring->ring_bytes) {
        return ROP_PROTOCOL;
    }
    void *const place = mmap(NULL, (size_t)ring->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, descriptor, 0);
    if (place == MAP_FAILED) {
        return system_failed(client, "mmap");
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

static rop_status check_ring(rop_client *client, uint32_t slots, uint32_t slot_bytes, rop_order order, uint8_t flags)
{
    if (client->ring != NULL) {
        return fail(client, ROP_BAD_STATE, "client: has its ring already; open another one");
    }
    if (slots == 0u || slots > ROP_MOST_SLOTS) {
        return fail(client, ROP_BAD_ARGUMENT, "slots: got %u, needed 1 to %u", slots, ROP_MOST_SLOTS);
    }
    if (slot_bytes == 0u) {
        return fail(client, ROP_BAD_ARGUMENT, "slot_bytes: got 0, needed room for the largest picture");
    }
    if (order != ROP_ORDER_NEWEST && order != ROP_ORDER_EVERY) {
        return fail(client, ROP_BAD_ARGUMENT, "order: got %d, needed ROP_ORDER_NEWEST or ROP_ORDER_EVERY", (int)order);
    }
    if (flags > ROP_STORED_PICTURES) {
        return fail(client, ROP_BAD_ARGUMENT, "flags: got %u, needed 0 or ROP_STORED_PICTURES", flags);
    }
    return ROP_OK;
}

static rop_status get_ring(rop_client *client, uint32_t slots, uint32_t slot_bytes, rop_order order, uint8_t flags)
{
    request open;
    memset(&open, 0, sizeof open);
    open.message.as.configure =
        (ropd_configure){.slots = slots, .slot_bytes = slot_bytes, .order = (uint8_t)order, .flags = flags};
    rop_status status = ask(client, &open, ROPD_CONFIGURE, ROPD_RING);
    if (status != ROP_OK) {
        return status;
    }
    if (open.descriptor < 0) {
        return broke(client, ROP_PROTOCOL);
    }
    status = ring_fits(&open.message.as.ring, slots, slot_bytes)
                 ? map_ring(client, &open.message.as.ring, open.descriptor)
                 : ROP_PROTOCOL;
    if (status == ROP_OK) {
        client->ring_descriptor = open.descriptor;
        return ROP_OK;
    }
    (void)close(open.descriptor);
    return broke(client, status);
}

rop_status rop_configure(rop_client *client, uint32_t slots, uint32_t slot_bytes, rop_order order, uint8_t flags)
{
    rop_status status = usable(client);
    if (client == NULL) {
        return status;
    }
    if (status == ROP_OK) {
        status = check_ring(client, slots, slot_bytes, order, flags);
    }
    if (status == ROP_OK) {
        status = get_ring(client, slots, slot_bytes, order, flags);
    }
    return ended(client, status);
}

void rop_close(rop_client *client)
{
    if (client == NULL || !client->is_open) {
        return;
    }
    if (client->ring != NULL) {
        (void)munmap(client->ring, (size_t)client->ring_bytes); /* cannot fail for what mmap gave */
    }
    if (client->ring_descriptor >= 0) {
        (void)close(client->ring_descriptor);
    }
    (void)close(client->socket);
    memset(client, 0, sizeof *client);
    client->socket = client->ring_descriptor = -1;
}

int rop_descriptor(const rop_client *client)
{
    return (client != NULL && client->is_open) ? client->socket : -1;
}

int rop_ring_fd(const rop_client *client)
{
    return (client != NULL && client->is_open) ? client->ring_descriptor : -1;
}

/* ---- frames ---- */

/* The free slot without a result that waits, or else the one free for longest; client->slots: none. */
static uint32_t free_slot(const rop_client *client)
{
    uint32_t best = client->slots, busy = 0;
    for (uint32_t i = 0; i < client->slots; i++) {
        if (client->slot[i].state != SLOT_FREE) {
            busy += client->slot[i].state != SLOT_GIVEN_UP;
        } else if (best == client->slots || client->slot[i].waiting < client->slot[best].waiting ||
                   (client->slot[i].waiting == client->slot[best].waiting &&
                    client->slot[i].freed < client->slot[best].freed)) {
            best = i;
        }
    }
    return client->done_count + busy < MOST_WAITING ? best : client->slots;
}

rop_status rop_acquire_slot(rop_client *client, rop_slot *slot)
{
    rop_status status = configured(client);
    if (slot != NULL) {
        memset(slot, 0, sizeof *slot);
    }
    if (client == NULL) {
        return status;
    }
    if (status == ROP_OK && slot == NULL) {
        status = fail(client, ROP_BAD_ARGUMENT, "slot: got NULL");
    }
    if (status == ROP_OK) {
        status = take_all(client, NULL);
    }
    if (status != ROP_OK) {
        return ended(client, status);
    }
    const uint32_t index = free_slot(client);
    if (index == client->slots) {
        return ROP_NO_SLOT;
    }
    client->slot[index].state = SLOT_WRITING;
    begin_writing(client, index);
    slot->pixels = slot_begin(client, index) + client->pixels_offset;
    slot->bytes = client->slot_bytes;
    slot->offset = (uint64_t)index * client->slot_stride + client->pixels_offset;
    slot->index = index;
    return ROP_OK;
}

static rop_status being_written(rop_client *client, const rop_slot *slot)
{
    const rop_status status = configured(client);
    if (status != ROP_OK) {
        return status;
    }
    if (slot == NULL || slot->index >= client->slots) {
        return fail(client, ROP_BAD_ARGUMENT, "slot: got none of this client's, needed one from rop_acquire_slot");
    }
    return client->slot[slot->index].state == SLOT_WRITING
               ? ROP_OK
               : fail(client, ROP_BAD_STATE, "slot: %u is not acquired; call rop_acquire_slot", slot->index);
}

rop_status rop_release_slot(rop_client *client, const rop_slot *slot)
{
    const rop_status status = being_written(client, slot);
    if (client == NULL) {
        return status;
    }
    if (status == ROP_OK) {
        end_writing(client, slot->index);
        set_free(client, slot->index);
    }
    return ended(client, status);
}

/* Why the daemon cannot read a format; NULL when it can. */
static const char *refused_format(uint8_t format)
{
    switch (format) {
    case ROP_GRAY8:
        return "GRAY8 cannot be graded: the networks read colour; send the camera's colour picture";
    case ROP_RGB48:
        return "RGB48 is on the camera's own scale; have its processor (ISP) give 8 bits a channel";
    case ROP_BAYER8:
        return "Bayer data has no colour yet; have the camera's processor (ISP) give RGB or YUV";
    default:
        return format >= ROP_RGB8 && format <= ROP_JPEG ? NULL : "not known; needed a rop_format";
    }
}

static bool is_yuv(uint8_t format)
{
    return format == ROP_NV12 || format == ROP_YUYV || format == ROP_UYVY;
}

static rop_status check_format(rop_client *client, const rop_picture *picture)
{
    const char *const why = refused_format(picture->format);
    const bool named = picture->matrix != ROP_MATRIX_NONE && picture->range != ROP_RANGE_NONE;
    const bool none = picture->matrix == ROP_MATRIX_NONE && picture->range == ROP_RANGE_NONE;
    if (why != NULL) {
        return fail(client, ROP_BAD_ARGUMENT, "picture.format: got %u, %s", picture->format, why);
    }
    if (picture->matrix > ROP_BT709 || picture->range > ROP_LIMITED_RANGE || (is_yuv(picture->format) ? !named : !none)) {
        return fail(client, ROP_BAD_ARGUMENT, "picture.matrix, range: got %u, %u, needed %s", picture->matrix, picture->range,
                    is_yuv(picture->format) ? "ROP_BT601 or ROP_BT709, and ROP_FULL_RANGE or ROP_LIMITED_RANGE" : "0, 0");
    }
    if (picture->width == 0u || picture->height == 0u) {
        return fail(client, ROP_BAD_ARGUMENT, "picture: got %u x %u pixels, needed 1 x 1 or more", picture->width,
                    picture->height);
    }
    if ((is_yuv(picture->format) && picture->width % 2u != 0u) || (picture->format == ROP_NV12 && picture->height % 2u != 0u)) {
        return fail(client, ROP_BAD_ARGUMENT, "picture: got %u x %u pixels, needed even numbers for this format",
                    picture->width, picture->height);
    }
    return ROP_OK;
}

static rop_status check_room(rop_client *client, const rop_picture *picture)
{
    static const uint8_t pixel_bytes[ROP_JPEG + 1] = {0, 3, 3, 1, 4, 1, 2, 2, 0};
    const uint64_t row = (uint64_t)picture->width * pixel_bytes[picture->format];
    const uint64_t rows = (uint64_t)picture->stride * picture->height;
    uint64_t needed = rows;
    if (picture->format == ROP_JPEG ? picture->stride != 0u : picture->stride < row) {
        return fail(client, ROP_BAD_ARGUMENT, "picture.stride: got %u, needed %s%llu bytes", picture->stride,
                    picture->format == ROP_JPEG ? "" : "at least ", (unsigned long long)row);
    }
    if ((picture->format == ROP_JPEG) != (picture->data_bytes != 0u)) {
        return fail(client, ROP_BAD_ARGUMENT, "picture.data_bytes: got %u, needed %s", picture->data_bytes,
                    picture->format == ROP_JPEG ? "the JPEG's length" : "0");
    }
    if (picture->chroma_offset != 0u && (picture->format != ROP_NV12 || picture->chroma_offset < rows)) {
        return fail(client, ROP_BAD_ARGUMENT, "picture.chroma_offset: got %u, needed 0, or of NV12 at least %llu",
                    picture->chroma_offset, (unsigned long long)rows);
    }
    if (picture->format == ROP_JPEG) {
        needed = picture->data_bytes;
    } else if (picture->format == ROP_NV12) {
        needed = (picture->chroma_offset != 0u ? picture->chroma_offset : rows) + rows / 2u;
    }
    return needed <= client->slot_bytes
               ? ROP_OK
               : fail(client, ROP_BAD_ARGUMENT, "picture: got %u x %u pixels, stride %u, that needs %llu bytes; a slot has %u",
                      picture->width, picture->height, picture->stride, (unsigned long long)needed, client->slot_bytes);
}

static rop_status check_times(rop_client *client, const rop_picture *picture, uint64_t now)
{
    const uint64_t captured = picture->captured_ns, deadline = picture->deadline_ns;
    if (captured > now + MOST_AHEAD_NS || (captured != 0u && captured + MOST_AWAY_NS < now)) {
        return fail(client, ROP_BAD_ARGUMENT, "picture.captured_ns: lies %.3f s %s%s; needed CLOCK_BOOTTIME, rop_now_ns()",
                    (double)apart(captured, now) / 1e9, captured > now ? "ahead" : "back", other_clock(captured, now));
    }
    if (deadline != 0u && apart(deadline, now) > MOST_AWAY_NS) {
        return fail(client, ROP_BAD_ARGUMENT,
                    "picture.deadline_ns: lies %.3f s %s%s; needed a moment by CLOCK_BOOTTIME, rop_now_ns(), no time from now",
                    (double)apart(deadline, now) / 1e9, deadline > now ? "ahead" : "back", other_clock(deadline, now));
    }
    return ROP_OK;
}

static rop_status check_picture(rop_client *client, const rop_picture *picture, uint64_t now)
{
    if (picture == NULL) {
        return fail(client, ROP_BAD_ARGUMENT, "picture: got NULL");
    }
    for (size_t i = 0; i < sizeof picture->reserved / sizeof picture->reserved[0]; i++) {
        if (picture->reserved[i] != 0u) {
            return fail(client, ROP_BAD_ARGUMENT, "picture.reserved: got %u, needed zeros", picture->reserved[i]);
        }
    }
    if (picture->flags > ROP_WANT_VESSELS) {
        return fail(client, ROP_BAD_ARGUMENT, "picture.flags: got %u, needed 0 or ROP_WANT_VESSELS", picture->flags);
    }
    if (picture->sequence > (uint64_t)INT64_MAX) {
        return fail(client, ROP_BAD_ARGUMENT, "picture.sequence: got 2^63 or more");
    }
    rop_status status = check_format(client, picture);
    if (status == ROP_OK) {
        status = check_room(client, picture);
    }
    return status == ROP_OK ? check_times(client, picture, now) : status;
}

static rop_status send_picture(rop_client *client, uint32_t index, const rop_picture *picture, uint64_t captured_ns)
{
    ropd_message message;
    memset(&message, 0, sizeof message);
    message.type = ROPD_SUBMIT;
    message.tag = next_tag(client);
    message.as.submit = (ropd_submit){.generation = client->slot[index].generation,
                                      .sequence = picture->sequence,
                                      .captured_ns = captured_ns,
                                      .deadline_ns = picture->deadline_ns,
                                      .slot = index,
                                      .width = picture->width,
                                      .height = picture->height,
                                      .stride = picture->stride,
                                      .capture_us = picture->capture_us,
                                      .chroma_offset = picture->chroma_offset,
                                      .data_bytes = picture->data_bytes,
                                      .format = picture->format,
                                      .flags = picture->flags,
                                      .matrix = picture->matrix,
                                      .range = picture->range};
    const rop_status status = send_message(client, &message, 0);
    if (status == ROP_OK) {
        client->slot[index].tag = message.tag;
        client->slot[index].state = SLOT_SUBMITTED;
        client->slot[index].sequence = picture->sequence;
        client->slot[index].captured_ns = captured_ns;
    }
    return status;
}

rop_status rop_submit(rop_client *client, const rop_slot *slot, const rop_picture *picture)
{
    const uint64_t now = rop_now_ns();
    rop_status status = being_written(client, slot);
    if (client == NULL) {
        return status;
    }
    if (status == ROP_OK) {
        status = check_picture(client, picture, now);
    }
    if (status == ROP_OK) {
        end_writing(client, slot->index);
        status = send_picture(client, slot->index, picture, picture->captured_ns != 0u ? picture->captured_ns : now);
        if (status != ROP_OK) {
            begin_writing(client, slot->index);
        }
    }
    return ended(client, status);
}

rop_status rop_cancel(rop_client *client)
{
    static const char reason[] = "cancelled by its client";
    ropd_message message;
    rop_status status = configured(client);
    if (client == NULL || client->ring == NULL || status == ROP_BAD_STATE) {
        return client == NULL ? status : ended(client, status);
    }
    (void)take_all(client, NULL); /* also after the end: what came before it could be fetched still */
    for (uint32_t i = 0; i < client->done_count; i++) {
        rop_result *const result = &client->done[(client->done_first + i) % MOST_WAITING];
        const rop_result before = *result;
        no_result(result, reason);
        result->flags = ROP_CANCELLED;
        result->sequence = before.sequence;
        result->generation = before.generation;
        result->captured_ns = before.captured_ns;
        result->fresh_until_ns = before.fresh_until_ns;
        result->slot = before.slot;
    }
    for (uint32_t i = 0; i < client->slots; i++) {
        if (client->slot[i].state == SLOT_SUBMITTED) {
            give_up(client, i, ROP_CANCELLED, reason);
        }
    }
    memset(&message, 0, sizeof message);
    message.type = ROPD_CANCEL;
    message.tag = next_tag(client);
    status = client->broken == ROP_OK ? send_message(client, &message, 0) : client->broken;
    return ended(client, status == ROP_NOTHING_YET ? ROP_OK : status); /* the daemon only works on for nothing */
}

static bool under_way(const rop_client *client)
{
    for (uint32_t i = 0; i < client->slots; i++) {
        if (client->slot[i].state >= SLOT_SUBMITTED) {
            return true;
        }
    }
    return false;
}

/* The oldest result that waits to be fetched. */
static void give(rop_client *client, rop_result *result)
{
    *result = client->done[client->done_first];
    client->done_first = (client->done_first + 1u) % MOST_WAITING;
    client->done_count--;
    client->slot[result->slot].waiting--;
    judge(client, result);
}

/* `until_ns` 0: do not wait. */
static rop_status next_result(rop_client *client, uint64_t until_ns, rop_result *result)
{
    rop_status status = take_all(client, NULL);
    if (status == ROP_OK) {
        expire(client);
    }
    while (status == ROP_OK && client->done_count == 0u) {
        if (until_ns == 0u) {
            return ROP_NOTHING_YET;
        }
        if (!under_way(client)) {
            return fail(client, ROP_BAD_STATE, "no frame is under way; call rop_submit");
        }
        const uint64_t wake_ns = next_expiry(client, until_ns);
        status = wait_for(client, POLLIN, wake_ns);
        if (status == ROP_OK) {
            status = take_all(client, NULL);
        } else if (status == ROP_NOTHING_YET && wake_ns < until_ns) {
            status = ROP_OK;
        }
        if (status == ROP_OK) {
            expire(client);
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
    rop_status status = ROP_BAD_ARGUMENT;
    if (result != NULL) {
        no_result(result, rop_status_text(status));
    }
    if (client == NULL || result == NULL) {
        return status;
    }
    status = configured(client);
    if (client->ring != NULL && status != ROP_BAD_STATE) { /* also after the end: what came before it counts */
        status = next_result(client, until_ns, result);
    }
    if (status != ROP_OK) {
        no_result(result, rop_status_text(status));
    }
    return ended(client, status);
}

rop_status rop_poll(rop_client *client, rop_result *result)
{
    return fetch(client, 0, result);
}

rop_status rop_wait(rop_client *client, uint32_t timeout_ms, rop_result *result)
{
    return fetch(client, timeout_ms == 0u ? 0u : after_ms(timeout_ms), result);
}

rop_status rop_result_vessels(rop_client *client, const rop_result *result, uint8_t map[ROP_VESSEL_BYTES])
{
    if (client == NULL || result == NULL || map == NULL) {
        return ROP_BAD_ARGUMENT;
    }
    begin(client);
    memset(map, 0, ROP_VESSEL_BYTES);
    if (client->ring == NULL || result->slot >= client->slots) {
        return fail(client, ROP_BAD_STATE, "result: of no slot of this client");
    }
    if ((result->flags & ROP_HAS_VESSELS) == 0u || client->slot[result->slot].generation != result->generation) {
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
    if (health == NULL || client == NULL) {
        return ROP_BAD_ARGUMENT;
    }
    rop_status status = usable(client);
    memset(health, 0, sizeof *health);
    memset(&open, 0, sizeof open);
    if (status == ROP_OK) {
        status = ask(client, &open, ROPD_ASK_HEALTH, ROPD_HEALTH);
    }
    if (status == ROP_OK) {
        *health = open.message.as.health;
    }
    return ended(client, status);
}

rop_status rop_bundle(rop_client *client, rop_bundle_report *bundle)
{
    request open;
    if (bundle == NULL || client == NULL) {
        return ROP_BAD_ARGUMENT;
    }
    rop_status status = usable(client);
    memset(bundle, 0, sizeof *bundle);
    memset(&open, 0, sizeof open);
    if (status == ROP_OK) {
        status = ask(client, &open, ROPD_ASK_BUNDLE, ROPD_BUNDLE);
    }
    if (status == ROP_OK) {
        *bundle = open.message.as.bundle;
    }
    return ended(client, status);
}
