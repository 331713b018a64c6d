/*
 * Preloaded into a process: its disk refuses. Every call below that writes to a disk is counted,
 * and those from one number to another fail with an errno, and do nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static atomic_long counted;
static long first, last;
static atomic_long failed;
static int error;
static char names[1 << 16];

/* From now on calls are counted, and those number from..to fail with an errno. 0: no more. */
void refuse(long from, long to, int with) {
    error = 0;
    first = from;
    last = to;
    names[0] = 0;
    atomic_store(&counted, 0);
    atomic_store(&failed, 0);
    error = with;
}

/* How many failed since. */
long refuse_failed(void) {
    return atomic_load(&failed);
}

/* The names of all that were counted. */
const char *refuse_names(void) {
    return names;
}

static int refused(const char *name) {
    if (error == 0) {
        return 0;
    }
    long number = atomic_fetch_add(&counted, 1) + 1;
    size_t length = strlen(names);
    snprintf(names + length, sizeof names - length, "%s ", name);
    if (number < first || number > last) {
        return 0;
    }
    atomic_fetch_add(&failed, 1);
    return error;
}

static int is_file(int file) {
    struct stat status;
    int kept = errno;
    int found = fstat(file, &status) == 0 && (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
    errno = kept;
    return found;
}

#define REAL(result, name, ...)                                                                    \
    static result (*real)(__VA_ARGS__);                                                            \
    if (real == NULL) {                                                                            \
        real = (result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name);                                    \
    }

#define REFUSE(name)                                                                               \
    do {                                                                                           \
        int with = refused(#name);                                                                 \
        if (with != 0) {                                                                           \
            errno = with;                                                                          \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

#define WATCH(result, name, parameters, types, arguments)                                          \
    result name parameters {                                                                       \
        REAL(result, name, types)                                                                  \
        REFUSE(name);                                                                              \
        return real arguments;                                                                     \
    }

#define LIST(...) __VA_ARGS__

WATCH(int, fsync, (int file), LIST(int), (file))
WATCH(int, fdatasync, (int file), LIST(int), (file))
WATCH(int, msync, (void *at, size_t size, int how), LIST(void *, size_t, int), (at, size, how))
WATCH(int, ftruncate, (int file, off_t size), LIST(int, off_t), (file, size))
WATCH(int, ftruncate64, (int file, off64_t size), LIST(int, off64_t), (file, size))
WATCH(int, fallocate, (int file, int how, off_t at, off_t size), LIST(int, int, off_t, off_t),
      (file, how, at, size))
WATCH(int, fallocate64, (int file, int how, off64_t at, off64_t size),
      LIST(int, int, off64_t, off64_t), (file, how, at, size))
WATCH(int, rename, (const char *from, const char *to), LIST(const char *, const char *), (from, to))
WATCH(int, renameat2,
      (int from_folder, const char *from, int to_folder, const char *to, unsigned how),
      LIST(int, const char *, int, const char *, unsigned),
      (from_folder, from, to_folder, to, how))
WATCH(int, link, (const char *from, const char *to), LIST(const char *, const char *), (from, to))
WATCH(int, linkat, (int from_folder, const char *from, int to_folder, const char *to, int how),
      LIST(int, const char *, int, const char *, int), (from_folder, from, to_folder, to, how))
WATCH(int, mkdir, (const char *name, mode_t mode), LIST(const char *, mode_t), (name, mode))
WATCH(int, chmod, (const char *name, mode_t mode), LIST(const char *, mode_t), (name, mode))
WATCH(int, fchmod, (int file, mode_t mode), LIST(int, mode_t), (file, mode))

/* These give the errno, and leave errno alone. */
#define WATCH_ALLOCATE(name, off)                                                                  \
    int name(int file, off at, off size) {                                                         \
        REAL(int, name, int, off, off)                                                             \
        int with = refused(#name);                                                                 \
        return with != 0 ? with : real(file, at, size);                                            \
    }

WATCH_ALLOCATE(posix_fallocate, off_t)
WATCH_ALLOCATE(posix_fallocate64, off64_t)

/* Pipes and terminals are no disk. */
#define WATCH_WRITE(name, parameters, types, arguments)                                            \
    ssize_t name parameters {                                                                      \
        REAL(ssize_t, name, types)                                                                 \
        if (is_file(file)) {                                                                       \
            REFUSE(name);                                                                          \
        }                                                                                          \
        return real arguments;                                                                     \
    }

WATCH_WRITE(write, (int file, const void *from, size_t size), LIST(int, const void *, size_t),
            (file, from, size))
WATCH_WRITE(pwrite, (int file, const void *from, size_t size, off_t at),
            LIST(int, const void *, size_t, off_t), (file, from, size, at))
WATCH_WRITE(pwrite64, (int file, const void *from, size_t size, off64_t at),
            LIST(int, const void *, size_t, off64_t), (file, from, size, at))

/* Only those that make a file. */
#define WATCH_OPEN(name)                                                                           \
    int name(const char *path, int flags, ...) {                                                   \
        REAL(int, name, const char *, int, ...)                                                    \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;             \
        va_end(more);                                                                              \
        if ((flags & O_CREAT) != 0) {                                                              \
            REFUSE(name);                                                                          \
        }                                                                                          \
        return real(path, flags, mode);                                                            \
    }

WATCH_OPEN(open)
WATCH_OPEN(open64)
