/*
 * ropscreen-v4l2 SOCKET DEVICE WIDTH HEIGHT [FRAMES]: a V4L2 camera that writes YUYV into the daemon's slots. No picture is
 * copied by the CPU: udmabuf (Linux 4.20, CONFIG_UDMABUF) makes DMA buffers of the ring's pages, the driver takes them as
 * V4L2_MEMORY_DMABUF.
 *
 * Prints `UNTIL_NS WORDS` for each result but those of frames that a newer one took the place of, as ropscreen_loop.c does,
 * which shows how to go on when the daemon ends. Ends at SIGTERM, or after so many lines, with 0; 2: the call, camera, kernel
 * or daemon cannot be used, and why.
 */
#define _GNU_SOURCE /* O_CLOEXEC, the kernel's own types */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/udmabuf.h>
#include <linux/videodev2.h>

#include "ropscreen.h"

#define SLOTS 4u /* one is read, one waits, two are the camera's */
#define PAGE 4096u
#define WAIT_MS 20
#define NONE (-1)

typedef struct {
    int device;
    int buffers[SLOTS]; /* DMA buffers of the slots' pixels, by slot */
    rop_slot slots[SLOTS];
    rop_picture picture; /* what is the same of every picture */
    uint32_t bytes, slot_bytes;
    uint64_t sequence;
} camera;

static volatile sig_atomic_t stopping;

static void stop(int signal)
{
    (void)signal;
    stopping = 1;
}

static bool no(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("ropscreen-v4l2: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputs("\n", stderr);
    va_end(arguments);
    return false;
}

static int asked(int descriptor, unsigned long request, void *of)
{
    int answer;
    do {
        answer = ioctl(descriptor, request, of);
    } while (answer == -1 && errno == EINTR);
    return answer;
}

/* ---- the camera's format, and what its colours mean ---- */

/* By which matrix and range, as the driver says it; what nobody says is not guessed. */
static bool colours_of(const struct v4l2_pix_format *format, rop_picture *picture)
{
    if (format->colorspace == V4L2_COLORSPACE_DEFAULT && format->ycbcr_enc == V4L2_YCBCR_ENC_DEFAULT) {
        return no("the driver does not say by which matrix its YUV was made; ask its maker, and set it here");
    }
    const uint32_t matrix = format->ycbcr_enc != V4L2_YCBCR_ENC_DEFAULT ? format->ycbcr_enc
                                                                       : V4L2_MAP_YCBCR_ENC_DEFAULT(format->colorspace);
    const uint32_t range = format->quantization != V4L2_QUANTIZATION_DEFAULT
                               ? format->quantization
                               : V4L2_MAP_QUANTIZATION_DEFAULT(0, format->colorspace, matrix);
    if (matrix != V4L2_YCBCR_ENC_601 && matrix != V4L2_YCBCR_ENC_709) {
        return no("YUV by matrix %u of the kernel's is not read, only BT.601 and BT.709; set the camera to one of them", matrix);
    }
    picture->matrix = (uint8_t)(matrix == V4L2_YCBCR_ENC_709 ? ROP_BT709 : ROP_BT601);
    picture->range = (uint8_t)(range == V4L2_QUANTIZATION_FULL_RANGE ? ROP_FULL_RANGE : ROP_LIMITED_RANGE);
    return true;
}

static bool open_camera(camera *it, const char *path, uint32_t width, uint32_t height)
{
    struct v4l2_capability can = {0};
    struct v4l2_format format = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE};
    struct v4l2_requestbuffers buffers = {.count = SLOTS, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_DMABUF};
    it->device = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (it->device < 0) {
        return no("%s: cannot be opened (%s)", path, strerror(errno));
    }
    const bool answers = asked(it->device, VIDIOC_QUERYCAP, &can) == 0;
    const uint32_t caps = (can.capabilities & V4L2_CAP_DEVICE_CAPS) != 0u ? can.device_caps : can.capabilities;
    if (!answers || (caps & V4L2_CAP_VIDEO_CAPTURE) == 0u || (caps & V4L2_CAP_STREAMING) == 0u) {
        return no("%s: is no V4L2 camera that streams", path);
    }
    format.fmt.pix = (struct v4l2_pix_format){.width = width, .height = height, .pixelformat = V4L2_PIX_FMT_YUYV,
                                              .field = V4L2_FIELD_NONE};
    if (asked(it->device, VIDIOC_S_FMT, &format) != 0 || format.fmt.pix.pixelformat != V4L2_PIX_FMT_YUYV) {
        return no("%s: gives no YUYV; take another format, see rop_format", path);
    }
    const struct v4l2_pix_format *const got = &format.fmt.pix;
    if (got->width != width || got->height != height || got->field != V4L2_FIELD_NONE) {
        return no("%s: set %u x %u, the camera gives %u x %u%s", path, width, height, got->width, got->height,
                  got->field != V4L2_FIELD_NONE ? " in halves" : "");
    }
    it->picture = (rop_picture){.width = width, .height = height, .stride = got->bytesperline, .format = (uint8_t)ROP_YUYV};
    it->bytes = got->sizeimage;
    it->slot_bytes = (got->sizeimage + PAGE - 1u) / PAGE * PAGE; /* a DMA buffer has whole pages, and must hold no other's */
    if (asked(it->device, VIDIOC_REQBUFS, &buffers) != 0 || buffers.count < SLOTS) {
        return no("%s: its driver takes no DMA buffers of others; copy its frames into the slots, see ropscreen_loop.c", path);
    }
    return colours_of(got, &it->picture);
}

/* ---- the ring's pages as DMA buffers ---- */

static bool share_slots(camera *it, rop_client *client)
{
    const int maker = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
    if (maker < 0) {
        return no("/dev/udmabuf: cannot be opened (%s): load the module udmabuf and allow this user, or copy frames into the "
                  "slots, see ropscreen_loop.c", strerror(errno));
    }
    bool made = true;
    for (uint32_t i = 0; i < SLOTS && made; i++) {
        rop_slot slot;
        const rop_status status = rop_acquire_slot(client, &slot); /* each: none is in use yet */
        made = status == ROP_OK || no("%s", rop_error(client));
        if (made) {
            struct udmabuf_create asks = {.memfd = (uint32_t)rop_ring_fd(client), .flags = UDMABUF_FLAGS_CLOEXEC,
                                          .offset = slot.offset, .size = it->slot_bytes};
            it->slots[slot.index] = slot;
            it->buffers[slot.index] = asked(maker, UDMABUF_CREATE, &asks);
            made = it->buffers[slot.index] >= 0 || no("/dev/udmabuf: refuses the ring's memory (%s)", strerror(errno));
        }
    }
    (void)close(maker);
    return made;
}

/* The CPU reads (the daemon does, and sees what was written there), or has done so. */
static bool reading(const camera *it, uint32_t index, bool begins)
{
    struct dma_buf_sync sync = {.flags = DMA_BUF_SYNC_READ | (begins ? DMA_BUF_SYNC_START : DMA_BUF_SYNC_END)};
    return asked(it->buffers[index], DMA_BUF_IOCTL_SYNC, &sync) == 0 || no("DMA buffer: %s", strerror(errno));
}

static bool to_camera(const camera *it, uint32_t index)
{
    struct v4l2_buffer buffer = {.index = index, .type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_DMABUF,
                                 .length = it->slot_bytes};
    buffer.m.fd = it->buffers[index];
    return asked(it->device, VIDIOC_QBUF, &buffer) == 0 || no("the camera takes no buffer back (%s)", strerror(errno));
}

/* ---- frames ---- */

/* A moment of CLOCK_MONOTONIC, which V4L2 stamps by, as CLOCK_BOOTTIME has it: at most one suspend lies between. */
static uint64_t boottime_of(const struct timeval *at)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    const int64_t now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    const int64_t at_ns = (int64_t)at->tv_sec * 1000000000 + (int64_t)at->tv_usec * 1000;
    return (uint64_t)((int64_t)rop_now_ns() - now_ns + at_ns);
}

/* The next frame, if there is one, to the daemon. */
static bool hand_over(camera *it, rop_client *client)
{
    struct v4l2_buffer buffer = {.type = V4L2_BUF_TYPE_VIDEO_CAPTURE, .memory = V4L2_MEMORY_DMABUF};
    if (asked(it->device, VIDIOC_DQBUF, &buffer) != 0) {
        return errno == EAGAIN || no("the camera is lost (%s)", strerror(errno));
    }
    const bool by_monotonic = (buffer.flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    if (buffer.index >= SLOTS) {
        return no("the camera gives buffer %u, there are %u", buffer.index, SLOTS);
    }
    if ((buffer.flags & V4L2_BUF_FLAG_ERROR) != 0u || buffer.bytesused < it->bytes) {
        return to_camera(it, buffer.index); /* not whole: nobody reads it */
    }
    rop_picture picture = it->picture;
    picture.sequence = it->sequence++;
    picture.captured_ns = by_monotonic ? boottime_of(&buffer.timestamp) : 0u;
    if (!reading(it, buffer.index, true)) {
        return false;
    }
    const rop_status status = rop_submit(client, &it->slots[buffer.index], &picture);
    if (status == ROP_NOTHING_YET || status == ROP_BAD_ARGUMENT) { /* the slot is ours still */
        (void)no("frame %" PRIu64 " left out: %s", picture.sequence, rop_error(client));
        return reading(it, buffer.index, false) && to_camera(it, buffer.index);
    }
    return status == ROP_OK || no("%s", rop_error(client));
}

/* Slots that came back with their results, to the camera. */
static bool give_back(camera *it, rop_client *client)
{
    rop_status status;
    rop_slot slot;
    while ((status = rop_acquire_slot(client, &slot)) == ROP_OK) {
        if (!reading(it, slot.index, false) || !to_camera(it, slot.index)) {
            return false;
        }
    }
    return status == ROP_NO_SLOT || no("%s", rop_error(client));
}

static bool read_frames(camera *it, rop_client *client, uint64_t most)
{
    uint64_t seen = 0;
    while (!stopping && (most == 0u || seen < most)) {
        rop_result result;
        struct pollfd both[] = {{.fd = it->device, .events = POLLIN}, {.fd = rop_descriptor(client), .events = POLLIN}};
        (void)poll(both, 2, WAIT_MS);
        if (!hand_over(it, client)) {
            return false;
        }
        rop_status status;
        while ((status = rop_poll(client, &result)) == ROP_OK) {
            if ((result.flags & ROP_SUPERSEDED) == 0u) {
                (void)printf("%" PRIu64 " %s\n", result.outcome == ROP_NO_RESULT ? 0 : result.fresh_until_ns, result.text);
                seen++;
            }
        }
        (void)fflush(stdout);
        if (status <= ROP_GONE) {
            return no("%s", rop_error(client));
        }
        if (!give_back(it, client)) {
            return false;
        }
    }
    return true;
}

static bool run(camera *it, rop_client *client, char **arguments, uint64_t most)
{
    const uint32_t width = (uint32_t)strtoul(arguments[3], NULL, 10), height = (uint32_t)strtoul(arguments[4], NULL, 10);
    int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
    if (!open_camera(it, arguments[2], width, height)) {
        return false;
    }
    if (rop_open(client, arguments[1], "camera-1", NULL) != ROP_OK ||
        rop_configure(client, SLOTS, it->slot_bytes, ROP_ORDER_NEWEST, 0) != ROP_OK) {
        return no("%s", rop_error(client));
    }
    if (!share_slots(it, client)) {
        return false;
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (!to_camera(it, i)) {
            return false;
        }
    }
    if (asked(it->device, VIDIOC_STREAMON, &type) != 0) {
        return no("the camera does not start (%s)", strerror(errno));
    }
    const bool done = read_frames(it, client, most);
    (void)asked(it->device, VIDIOC_STREAMOFF, &type); /* it writes nowhere any more, before the ring goes */
    return done;
}

int main(int count, char **arguments)
{
    camera it = {.device = NONE, .buffers = {NONE, NONE, NONE, NONE}};
    rop_client *const client = rop_new();
    if (count < 5 || count > 6 || client == NULL) {
        (void)no("usage: ropscreen-v4l2 SOCKET DEVICE WIDTH HEIGHT [FRAMES]");
        rop_free(client);
        return 2;
    }
    (void)signal(SIGTERM, stop);
    const bool done = run(&it, client, arguments, count == 6 ? strtoull(arguments[5], NULL, 10) : 0u);
    if (it.device >= 0) {
        (void)close(it.device);
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (it.buffers[i] >= 0) {
            (void)close(it.buffers[i]);
        }
    }
    rop_free(client);
    return done ? 0 : 2;
}
