/* LD_PRELOAD: /dev/video-fake, a V4L2 camera of YUYV, and /dev/udmabuf, which refuse what the kernel's refuse. The picture is
   the file FAKE_PICTURE; FAKE_MODE changes one thing, see `is`. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/udmabuf.h>
#include <linux/videodev2.h>

#define MOST 16
#define PERIOD_NS 30000000
static int camera = -1, maker = -1, made, first, queued, frames;
static struct { int fd; unsigned char *pixels; unsigned long long bytes; int reading; } buffers[MOST];
static int queue[1 << 16], fds[MOST];
static struct v4l2_pix_format format;

static int is(const char *mode)
{
    const char *const set = getenv("FAKE_MODE");
    return set != NULL && strcmp(set, mode) == 0;
}

static int fails(int with)
{
    errno = with;
    return -1;
}

int open(const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    const int mode = va_arg(more, int);
    va_end(more);
    if (strcmp(path, "/dev/video-fake") == 0) {
        const struct itimerspec rhythm = {{0, PERIOD_NS}, {0, PERIOD_NS}};
        camera = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        (void)timerfd_settime(camera, 0, &rhythm, NULL);
        return camera;
    }
    if (strcmp(path, "/dev/udmabuf") == 0 && !is("no udmabuf")) {
        return maker = eventfd(0, EFD_CLOEXEC);
    }
    return ((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open"))(path, flags, mode);
}

static int create(const struct udmabuf_create *asks)
{
    const int seals = fcntl((int)asks->memfd, F_GET_SEALS);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || seals & F_SEAL_WRITE || asks->offset % 4096 || asks->size % 4096) {
        return fails(EINVAL);
    }
    void *const place = mmap(NULL, asks->size, PROT_READ | PROT_WRITE, MAP_SHARED, (int)asks->memfd, (off_t)asks->offset);
    if (place == MAP_FAILED) {
        return fails(EINVAL);
    }
    buffers[made].fd = dup((int)asks->memfd);
    buffers[made].pixels = place;
    buffers[made].bytes = asks->size;
    return buffers[made++].fd;
}

static int expose(struct v4l2_buffer *to)
{
    struct timespec now;
    unsigned long long ticks;
    if (first == queued || read(camera, &ticks, sizeof ticks) < 0) {
        return fails(EAGAIN);
    }
    const int index = queue[first++];
    for (int i = 0; i < made; i++) {
        if (buffers[i].fd != fds[index]) {
            continue;
        }
        FILE *const file = fopen(getenv("FAKE_PICTURE"), "rb");
        if (file == NULL || fread(buffers[i].pixels, 1, format.sizeimage, file) != format.sizeimage || buffers[i].reading) {
            return fails(EIO);
        }
        (void)fclose(file);
        buffers[i].pixels[0] = (unsigned char)(16 + frames * 37 % 219); /* luma that shows: no two pictures of a camera are the same */
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    to->index = (unsigned)index;
    to->bytesused = format.sizeimage;
    to->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC | (is("torn") && frames % 2 == 0 ? V4L2_BUF_FLAG_ERROR : 0);
    to->timestamp.tv_sec = now.tv_sec;
    to->timestamp.tv_usec = now.tv_nsec / 1000;
    frames++;
    return is("lost") && frames > 3 ? fails(ENODEV) : 0;
}

static int of_camera(unsigned long request, void *of)
{
    if (request == VIDIOC_QUERYCAP) {
        ((struct v4l2_capability *)of)->capabilities = V4L2_CAP_VIDEO_CAPTURE | (is("no stream") ? 0 : V4L2_CAP_STREAMING);
    } else if (request == VIDIOC_S_FMT) {
        struct v4l2_pix_format *const pix = &((struct v4l2_format *)of)->fmt.pix;
        pix->bytesperline = pix->width * 2;
        pix->sizeimage = pix->bytesperline * pix->height;
        pix->colorspace = is("no matrix") ? V4L2_COLORSPACE_DEFAULT : V4L2_COLORSPACE_REC709;
        pix->width += is("other size") ? 16 : 0;
        pix->pixelformat = is("no yuyv") ? V4L2_PIX_FMT_MJPEG : pix->pixelformat;
        format = *pix;
    } else if (request == VIDIOC_REQBUFS) {
        return is("no dmabuf") ? fails(EINVAL) : 0;
    } else if (request == VIDIOC_QBUF) {
        const struct v4l2_buffer *const one = of;
        fds[one->index] = one->m.fd;
        queue[queued++] = (int)one->index;
    } else if (request == VIDIOC_DQBUF) {
        return expose(of);
    }
    return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
    va_list more;
    va_start(more, request);
    void *const of = va_arg(more, void *);
    va_end(more);
    if (fd == camera && fd >= 0) {
        return of_camera(request, of);
    }
    if (fd == maker && fd >= 0 && request == UDMABUF_CREATE) {
        return create(of);
    }
    for (int i = 0; i < made; i++) {
        if (fd == buffers[i].fd && request == DMA_BUF_IOCTL_SYNC) {
            buffers[i].reading = !(((struct dma_buf_sync *)of)->flags & DMA_BUF_SYNC_END);
            return 0;
        }
    }
    return ((int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl"))(fd, request, of);
}
