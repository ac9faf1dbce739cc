/* For sanitized builds only: oneTBB opens a library with RTLD_DEEPBIND, which the address sanitizer ends a program for. */
#define _GNU_SOURCE
#include <dlfcn.h>

void *dlopen(const char *name, int flags) {
    void *(*real)(const char *, int) = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
    return real(name, flags & ~RTLD_DEEPBIND);
}
