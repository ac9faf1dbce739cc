/* A stand-in for libcuda.so.1, so that cuda-bindings itself runs without a GPU: work is done at once, on the host's
 * memory. Captured copies and fills are noted and replayed by each launch. STAND_IN_FAIL names a call and the CUresult
 * that it gives, "cuGraphLaunch=700"; STAND_IN_DEVICES how many GPUs there are; STAND_IN_CRASH=1 lets cuInit crash.
 * STAND_IN_VERSION is the driver's CUDA version (12060), and what is of a later one is not found, as on a real driver.
 * cuMemGetInfo tells what is still held: free memory shrinks by every byte that is not given back. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOTAL ((size_t)1 << 30)
#define MOST_NODES 64
#define MOST_STREAMS 8
#define CALL(name) do { int fault = failing(name); if (fault) return fault; } while (0)

typedef struct { int kind; void *to; const void *from; size_t size; int byte; } Node; /* 0 copy, 1 fill, 2 mark */
typedef struct Graph Graph;
typedef struct { Graph *capturing; int spoilt; } Stream;
struct Graph { int count; Node nodes[MOST_NODES]; int streams; Stream *joined[MOST_STREAMS]; };
typedef struct { double at_ms; int timed; Graph *captured; } Event;
typedef struct { size_t size; } Head; /* 512 bytes before each block */

static size_t held;
static void *current;
static int retained;

static int failing(const char *name)
{
    const char *fail = getenv("STAND_IN_FAIL");
    size_t length = strlen(name);
    if (fail && !strncmp(fail, name, length) && fail[length] == '=') return atoi(fail + length + 1);
    return 0;
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void run(const Node *n)
{
    if (n->kind == 0) memcpy(n->to, n->from, n->size);
    else if (n->kind == 1) memset(n->to, n->byte, n->size);
    else ((Event *)n->to)->at_ms = now_ms();
}

static int put(Stream *s, Node n)
{
    if (!s->capturing) { run(&n); return 0; }
    if (s->capturing->count == MOST_NODES) return 2;
    s->capturing->nodes[s->capturing->count++] = n;
    return 0;
}

int cuInit(unsigned f)
{
    if (getenv("STAND_IN_CRASH")) abort();
    CALL("cuInit");
    return (int)f;
}
static int driver_version(void) { const char *v = getenv("STAND_IN_VERSION"); return v ? atoi(v) : 12060; }
int cuDriverGetVersion(int *v) { *v = driver_version(); return 0; }
int cuGetErrorString(int e, const char **s)
{
    *s = e == 2 ? "out of memory" : e == 700 ? "an illegal memory access was encountered" : e == 100 ? "no CUDA-capable device is detected" : "some error";
    return 0;
}
int cuGetErrorName(int e, const char **s) { (void)e; *s = "CUDA_ERROR"; return 0; }
int cuDeviceGetCount(int *n) { const char *d = getenv("STAND_IN_DEVICES"); *n = d ? atoi(d) : 1; return 0; }
int cuDeviceGet(int *d, int i) { CALL("cuDeviceGet"); *d = i; return 0; }
int cuDeviceGetName(char *s, int n, int d) { (void)d; snprintf(s, (size_t)n, "Stand-in GPU"); return 0; }
int cuDeviceTotalMem_v2(size_t *n, int d) { (void)d; *n = TOTAL; return 0; }
int cuDeviceGetAttribute(int *v, int a, int d) { (void)d; *v = a == 75 ? 8 : a == 76 ? 7 : a == 18 ? 1 : 0; return 0; }
int cuDevicePrimaryCtxRetain(void **c, int d) { (void)d; CALL("cuDevicePrimaryCtxRetain"); retained++; *c = &retained; return 0; }
int cuDevicePrimaryCtxRelease(int d) { (void)d; retained--; return 0; }
int cuCtxSetCurrent(void *c) { current = c; return 0; }
int cuCtxGetCurrent(void **c) { *c = current; return 0; }
int cuMemGetInfo(size_t *f, size_t *t) { *f = TOTAL - held; *t = TOTAL; return current ? 0 : 201; }

static int allocate(void **p, size_t n)
{
    char *block = NULL;
    if (!current) return 201;
    if (posix_memalign((void **)&block, 512, n + 512)) return 2;
    ((Head *)block)->size = n;
    held += n;
    *p = block + 512;
    memset(*p, 0xCD, n);
    return 0;
}
static int release(void *p)
{
    char *block = (char *)p - 512;
    held -= ((Head *)block)->size;
    free(block);
    return 0;
}
int cuMemAlloc(uint64_t *p, size_t n) { CALL("cuMemAlloc"); return allocate((void **)p, n); }
int cuMemFree(uint64_t p) { return release((void *)p); }
int cuMemHostAlloc(void **p, size_t n, unsigned f) { (void)f; return allocate(p, n); }
int cuMemFreeHost(void *p) { return release(p); }
int cuMemHostGetDevicePointer(uint64_t *d, void *p, unsigned f) { (void)f; *d = (uint64_t)p; return 0; }

int cuStreamCreate(Stream **s, unsigned f) { (void)f; *s = calloc(1, sizeof **s); held += sizeof **s; return 0; }
int cuStreamDestroy(Stream *s) { held -= sizeof *s; free(s); return 0; }
int cuStreamSynchronize(Stream *s) { if (s->capturing) { s->spoilt = 1; return 900; } return 0; }
int cuStreamQuery(Stream *s) { CALL("cuStreamQuery"); return s->capturing ? 900 : 0; }
int cuStreamWaitEvent(Stream *s, Event *e, unsigned f)
{
    (void)f;
    if (!e->captured || s->capturing) return s->capturing == e->captured ? 0 : 905;
    if (e->captured->streams == MOST_STREAMS) return 2;
    s->capturing = e->captured; /* from here on it is captured as well */
    e->captured->joined[e->captured->streams++] = s;
    return 0;
}
int cuStreamIsCapturing(Stream *s, int *status) { *status = s->capturing ? 1 : 0; return 0; }
int cuMemcpyHtoDAsync(uint64_t d, const void *h, size_t n, Stream *s) { CALL("cuMemcpyHtoDAsync"); return put(s, (Node){0, (void *)d, h, n, 0}); }
int cuMemcpyDtoHAsync(void *h, uint64_t d, size_t n, Stream *s) { return put(s, (Node){0, h, (void *)d, n, 0}); }
int cuMemsetD8Async(uint64_t d, unsigned char b, size_t n, Stream *s) { return put(s, (Node){1, (void *)d, NULL, n, b}); }

int cuEventCreate(Event **e, unsigned f) { *e = calloc(1, sizeof **e); (*e)->timed = !(f & 2); held += sizeof **e; return 0; }
int cuEventDestroy(Event *e) { held -= sizeof *e; free(e); return 0; }
int cuEventRecordWithFlags(Event *e, Stream *s, unsigned f)
{
    e->captured = NULL;
    if (s->capturing && !(f & 1)) { e->captured = s->capturing; return 0; } /* a dependency, no mark */
    return put(s, (Node){2, e, NULL, 0, 0});
}
int cuEventRecord(Event *e, Stream *s) { return cuEventRecordWithFlags(e, s, 0); }
int cuEventElapsedTime(float *ms, Event *a, Event *b)
{
    if (!a->timed || !b->timed) return 400;
    if (a->at_ms == 0 || b->at_ms == 0) return 600;
    *ms = (float)(b->at_ms - a->at_ms);
    return 0;
}

int cuStreamBeginCapture(Stream *s, int mode)
{
    CALL("cuStreamBeginCapture");
    if (mode != 1) return 1;
    s->capturing = calloc(1, sizeof(Graph));
    s->spoilt = 0;
    held += sizeof(Graph);
    return 0;
}
int cuGraphDestroy(Graph *g) { held -= sizeof *g; free(g); return 0; }
int cuStreamEndCapture(Stream *s, Graph **g)
{
    *g = s->capturing;
    s->capturing = NULL;
    for (int i = 0; i < (*g)->streams; i++) (*g)->joined[i]->capturing = NULL;
    if (!s->spoilt) return 0;
    cuGraphDestroy(*g);
    *g = NULL;
    return 901;
}
int cuGraphInstantiateWithFlags(Graph **e, Graph *g, unsigned long long f)
{
    (void)f;
    CALL("cuGraphInstantiate");
    *e = malloc(sizeof **e);
    **e = *g;
    held += sizeof **e;
    return 0;
}
int cuGraphUpload(Graph *e, Stream *s) { (void)e; (void)s; CALL("cuGraphUpload"); return 0; }
int cuGraphExecDestroy(Graph *e) { held -= sizeof *e; free(e); return 0; }
int cuGraphLaunch(Graph *e, Stream *s)
{
    (void)s;
    CALL("cuGraphLaunch");
    for (int i = 0; i < e->count; i++) run(&e->nodes[i]);
    return 0;
}

int cuGetProcAddress_v2(const char *name, void **f, int version, uint64_t flags, int *status)
{
    Dl_info self;
    (void)flags;
    if (version > driver_version()) { /* a function of a later CUDA than the driver's */
        *f = NULL;
        if (status) *status = 2;
        return 500;
    }
    dladdr((void *)&cuInit, &self);
    void *library = dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
    *f = dlsym(library, name);
    if (status) *status = *f ? 0 : 1;
    return *f ? 0 : 500;
}
int cuGetProcAddress(const char *name, void **f, int version, uint64_t flags)
{
    return cuGetProcAddress_v2(name, f, version, flags, NULL);
}
