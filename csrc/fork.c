#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

/* One line of /proc/self/maps. */
typedef struct mapping {
    uintptr_t start;
    uintptr_t end;
    off_t position;
    ino_t inode;
    bool shared;
    const char *path;
} mapping;

static bool parse(char *line, mapping *found) {
    unsigned long long start = 0;
    unsigned long long end = 0;
    unsigned long long position = 0;
    unsigned long long inode = 0;
    char access[5] = "";
    int path = 0;
    int fields = sscanf(line, "%llx-%llx %4s %llx %*x:%*x %llu %n", &start, &end, access,
                        &position, &inode, &path);
    if (fields != 5 || path == 0) {
        return false;
    }
    line[strcspn(line, "\n")] = 0;
    *found = (mapping){
        .start = (uintptr_t)start,
        .end = (uintptr_t)end,
        .position = (off_t)position,
        .inode = (ino_t)inode,
        .shared = access[3] == 's',
        .path = line + path,
    };
    return true;
}

/* The same file, opened anew: without the lock, which belongs to the parent's opening. */
static int reopened(const mapping *old) {
    int file = open(old->path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    bool same = file >= 0 && fstat(file, &status) == 0 && status.st_ino == old->inode;
    if (file >= 0 && !same) {
        close(file);
    }
    return same ? file : -1;
}

static void exchange(const mapping *old) {
    size_t size = old->end - old->start;
    int file = reopened(old);
    int kind = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE | (file < 0 ? MAP_ANONYMOUS : 0);
    int access = file < 0 ? PROT_NONE : PROT_READ | PROT_WRITE;
    (void)mmap((void *)old->start, size, access, kind, file, file < 0 ? 0 : old->position);
    if (file >= 0) {
        close(file);
    }
}

static bool same_folder(const char *one, const char *other) {
    const char *end = strrchr(one, '/');
    return end != NULL && strncmp(one, other, (size_t)(end - one) + 1) == 0;
}

void pmo_leave_to_parent(pmo_pool *pool) {
    FILE *maps = pool->open ? fopen("/proc/self/maps", "re") : NULL;
    char *line = NULL;
    char *first = NULL;
    size_t room = 0;
    uintptr_t next = (uintptr_t)pool->base;
    ino_t inode = 0;
    while (maps != NULL && getline(&line, &room, maps) > 0) {
        mapping at;
        if (!parse(line, &at) || at.start != next) {
            continue;
        }
        if (first == NULL) {
            first = strdup(at.path);
            inode = at.inode;
        }
        /* An elastic pool is several files, side by side in one directory. */
        bool own = at.shared && first != NULL &&
                   (pool->parts != NULL ? same_folder(first, at.path) : at.inode == inode);
        if (!own) {
            break;
        }
        exchange(&at);
        next = at.end;
    }
    free(first);
    free(line);
    if (maps != NULL) {
        fclose(maps);
    }
}
