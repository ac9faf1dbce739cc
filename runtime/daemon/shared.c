/* Shared memory from which another process may take pages: what is missing reads as zeros, and the loss can be asked.
 *
 * A client that punches holes into a ring of reserved huge pages, while none are free, would end the daemon (SIGBUS) at
 * the next touch. Here the handler lays memory of this process's own in the page's place. Whatever is not in a mapping
 * that is watched goes on as before.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

enum { MOST = 256 };
#define LARGE_PAGE ((uintptr_t)2 << 20)

/* Written with the GIL held; the handler only reads `start` and `end`, and sets `lost`. `end` 0: nothing is watched. */
static struct {
    _Atomic uintptr_t start, end;
    atomic_int lost;
} watched[MOST];
static struct sigaction before;
static int installed;

static void missing(int number, siginfo_t *info, void *context) {
    const int kept_errno = errno;
    const uintptr_t at = (uintptr_t)info->si_addr;
    for (int i = 0; i < MOST; i++) {
        const uintptr_t start = atomic_load(&watched[i].start), end = atomic_load(&watched[i].end);
        if (at < start || at >= end) continue;
        const uintptr_t page = at & ~(LARGE_PAGE - 1), from = page < start ? start : page;
        const uintptr_t to = end - from < LARGE_PAGE - (from - page) ? end : page + LARGE_PAGE;
        atomic_store(&watched[i].lost, 1);
        if (mmap((void *)from, to - from, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
            MAP_FAILED) {
            errno = kept_errno;
            return;
        }
        break;
    }
    errno = kept_errno;
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(number);
    } else {
        signal(number, SIG_DFL); /* the same touch ends the program when this returns */
    }
}

static PyObject *watch(PyObject *self, PyObject *args) {
    (void)self;
    Py_ssize_t start, size;
    if (!PyArg_ParseTuple(args, "nn:watch", &start, &size)) return NULL;
    if (start <= 0 || size <= 0) {
        PyErr_SetString(PyExc_ValueError, "watch: expected an address and a size above 0");
        return NULL;
    }
    if (!installed) {
        struct sigaction ours = {0};
        ours.sa_sigaction = missing;
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
        if (sigaction(SIGBUS, &ours, &before)) return PyErr_SetFromErrno(PyExc_OSError);
        installed = 1;
    }
    for (int i = 0; i < MOST; i++) {
        if (atomic_load(&watched[i].end)) continue;
        atomic_store(&watched[i].lost, 0);
        atomic_store(&watched[i].start, (uintptr_t)start);
        atomic_store(&watched[i].end, (uintptr_t)start + (uintptr_t)size);
        Py_RETURN_NONE;
    }
    PyErr_SetString(PyExc_OSError, "watch: no more mappings can be watched");
    return NULL;
}

/* Which watched mapping begins at that address, -1 for none; -2 with an error set. */
static int which(PyObject *address) {
    const Py_ssize_t start = PyLong_AsSsize_t(address);
    if (start == -1 && PyErr_Occurred()) return -2;
    for (int i = 0; i < MOST; i++) {
        if (atomic_load(&watched[i].end) && atomic_load(&watched[i].start) == (uintptr_t)start) return i;
    }
    return -1;
}

static PyObject *lost(PyObject *self, PyObject *address) {
    (void)self;
    const int i = which(address);
    return i == -2 ? NULL : PyBool_FromLong(i >= 0 && atomic_load(&watched[i].lost));
}

static PyObject *forget(PyObject *self, PyObject *address) {
    (void)self;
    const int i = which(address);
    if (i == -2) return NULL;
    if (i >= 0) atomic_store(&watched[i].end, 0);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"watch", watch, METH_VARARGS, "watch(address, size)\n--\n\nZeros for pages of it that go missing."},
    {"lost", lost, METH_O, "lost(address)\n--\n\nWhether a page of it was missing."},
    {"forget", forget, METH_O, "forget(address)\n--\n\nBefore it is unmapped."},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_shared", "Shared memory that another may spoil.", -1, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__shared(void) {
    PyObject *made = PyModule_Create(&module);
    if (made != NULL && PyModule_AddStringConstant(made, "SOURCES", ROP_SOURCES) < 0) { /* see device/compiled.py */
        Py_DECREF(made);
        return NULL;
    }
    return made;
}
