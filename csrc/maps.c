#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "internal.h"

static bool parse(char *line, pmo_mapping *found) {
    unsigned long long start = 0;
    unsigned long long end = 0;
    unsigned long long position = 0;
    unsigned long long inode = 0;
    unsigned major = 0;
    unsigned minor = 0;
    char access[5] = "";
    int path = 0;
    int fields = sscanf(line, "%llx-%llx %4s %llx %x:%x %llu %n", &start, &end, access,
                        &position, &major, &minor, &inode, &path);
    if (fields != 7 || path == 0) {
        return false;
    }
    line[strcspn(line, "\n")] = 0;
    *found = (pmo_mapping){
        .start = (uintptr_t)start,
        .end = (uintptr_t)end,
        .position = (off_t)position,
        .device = makedev(major, minor),
        .inode = (ino_t)inode,
        .shared = access[3] == 's',
        .path = line + path,
    };
    return true;
}

static void cut(pmo_mapping *at, uintptr_t start, uintptr_t end) {
    if (at->start < start) {
        at->position += (off_t)(start - at->start);
        at->start = start;
    }
    if (at->end > end) {
        at->end = end;
    }
}

int pmo_maps_walk(uintptr_t start, uintptr_t end, pmo_maps_visit visit, void *context) {
    FILE *maps = fopen("/proc/self/maps", "re");
    char *line = NULL;
    size_t room = 0;
    int status = maps != NULL ? 0 : -1;
    while (status == 0 && getline(&line, &room, maps) > 0) {
        pmo_mapping at;
        bool known = parse(line, &at);
        if (known && at.start >= end) {
            break;
        }
        if (known && at.end > start) {
            cut(&at, start, end);
            status = visit(&at, context);
        }
    }
    free(line);
    if (maps != NULL) {
        fclose(maps);
    }
    return status;
}

/* Btrfs and overlays tell another device of a file than of its mapping. */
static bool tells_another_device(int file) {
    struct statfs system;
    return fstatfs(file, &system) == 0 &&
           (system.f_type == BTRFS_SUPER_MAGIC || system.f_type == OVERLAYFS_SUPER_MAGIC);
}

int pmo_maps_reopen(const pmo_mapping *at, int flags) {
    int file = open(at->path, flags | O_CLOEXEC);
    struct stat status;
    bool same = file >= 0 && fstat(file, &status) == 0 && status.st_ino == at->inode &&
                (status.st_dev == at->device || tells_another_device(file));
    if (file >= 0 && !same) {
        close(file);
    }
    return same ? file : -1;
}

bool pmo_maps_privatise(const pmo_mapping *at) {
    int file = pmo_maps_reopen(at, O_RDONLY);
    if (file < 0) {
        return false;
    }
    void *made = mmap((void *)at->start, at->end - at->start, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file, at->position);
    close(file);
    return made != MAP_FAILED;
}
