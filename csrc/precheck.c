/*
 * A look at a pool's files before libpmemobj sees them: in a heap whose division makes no
 * sense it may go on for ever.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "internal.h"

#define LANES_AT 5120u /* offset and number of the lanes, offset of the heap */
#define LANE_SIZE 3072u
#define LANE_EXTERNAL 256u /* a lane: internal redo log, external redo log, undo log */
#define HEAP_HEADER 1024u
#define ZONE_HEADER 64u
#define ZONE_MAGIC 0xc3f0a2d2u
#define MOST_CHUNKS 65528u
#define MOST_LANES 65536u

typedef struct chunk_header {
    uint16_t type;
    uint16_t flags;
    uint32_t size;
} chunk_header;

typedef struct layout {
    uint64_t lanes;
    uint64_t lane_count;
    uint64_t heap;
} layout;

static bool read_at(int file, uint64_t at, void *into, uint64_t size) {
    return pread(file, into, size, (off_t)at) == (ssize_t)size;
}

/* A redo log that is to be carried out may put right what looks wrong. */
static bool redo_pending(int file, const layout *where) {
    for (uint64_t i = 0; i < where->lane_count && i < MOST_LANES; i++) {
        uint64_t lane = where->lanes + i * LANE_SIZE;
        uint64_t sums[2] = {0, 0};
        if (!read_at(file, lane, &sums[0], sizeof sums[0]) ||
            !read_at(file, lane + LANE_EXTERNAL, &sums[1], sizeof sums[1]) ||
            (sums[0] | sums[1]) != 0) {
            return true;
        }
    }
    return false;
}

static bool sound(const chunk_header *headers, uint64_t count) {
    for (uint64_t i = 0; i < count; i += headers[i].size) {
        const chunk_header *at = &headers[i];
        if (at->type < 2 || at->type > 4 || at->size == 0 || at->size > count - i) {
            return false;
        }
    }
    return true;
}

static bool first_zone_is_sound(int file) {
    layout where;
    uint32_t start[2] = {0, 0}; /* magic, chunks */
    if (!read_at(file, LANES_AT, &where, sizeof where) ||
        !read_at(file, where.heap + HEAP_HEADER, start, sizeof start) ||
        start[0] != ZONE_MAGIC || start[1] > MOST_CHUNKS) {
        return true; /* not for us to judge */
    }
    uint64_t size = start[1] * sizeof(chunk_header);
    chunk_header *headers = malloc(size + 1);
    bool good = headers == NULL ||
                !read_at(file, where.heap + HEAP_HEADER + ZONE_HEADER, headers, size) ||
                sound(headers, start[1]) || redo_pending(file, &where);
    free(headers);
    return good;
}

int pmo_precheck(const char *path, const char *parts, pmo_failure_info *failure) {
    char first[4096 + 16];
    snprintf(first, sizeof first, "%s/000000.pmem", parts);
    int file = open(*parts != 0 ? first : path, O_RDONLY | O_CLOEXEC);
    bool good = file < 0 || first_zone_is_sound(file);
    if (file >= 0) {
        close(file);
    }
    if (good) {
        return PMO_OK;
    }
    *failure = (pmo_failure_info){.offset = LANES_AT};
    snprintf(failure->text, sizeof failure->text,
             "libpmemobj's list of memory chunks makes no sense");
    return PMO_ECORRUPT;
}
