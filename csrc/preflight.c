/*
 * A look at libpmemobj's own records before it opens a pool. It follows them without a
 * check: a damaged log or chunk makes it read outside the file, or loop for ever.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine.h"
#include "internal.h"

#define LINE 64u
#define LOG_HEADER ((uint64_t)sizeof(pmo_engine_log))
#define OPERATION_SHIFT 61u
#define OFFSET_MASK ((1ull << OPERATION_SHIFT) - 1)
#define MOST_PARTS 65536u
#define RUNS_LOOKED_AT 8192u /* each costs the reading of a page */

static const uint64_t log_capacity[PMO_ENGINE_LOGS] = {192, 640, 2048};

enum log_kind { REDO_INTERNAL, REDO, UNDO };

/* The pool's bytes, read-only. */
typedef struct picture {
    const char *base;
    uint64_t size;
    uint64_t heap;
    bool redo_pending;
    pmo_failure_info *failure;
} picture;

static int damaged(picture *seen, uint64_t offset, const char *what) {
    *seen->failure = (pmo_failure_info){.offset = offset};
    snprintf(seen->failure->text, sizeof seen->failure->text, "libpmemobj's own records: %s",
             what);
    return PMO_ECORRUPT;
}

static bool within(const picture *seen, uint64_t offset, uint64_t length) {
    return offset <= seen->size && length <= seen->size - offset;
}

static uint64_t word_at(const picture *seen, uint64_t offset) {
    uint64_t word = 0;
    memcpy(&word, seen->base + offset, sizeof word);
    return word;
}

/* ---- logs ------------------------------------------------------------------------ */

static bool range_is_whole(const pmo_engine_log *log, const char *entry, uint64_t length) {
    pmo_engine_range range;
    memcpy(&range, entry, sizeof range);
    const uint64_t wanted = range.checksum;
    range.checksum = 0;
    uint64_t sum = pmo_engine_sum(0, &range, sizeof range);
    sum = pmo_engine_sum(sum, entry + sizeof range, length - sizeof range);
    return pmo_engine_sum(sum, &log->generation, sizeof log->generation) == wanted;
}

/* The entry at *position, as libpmemobj steps over it. *more: it goes on behind it. */
static int step(picture *seen, enum log_kind kind, const pmo_engine_log *first, uint64_t data,
                uint64_t capacity, uint64_t *position, bool *more) {
    const uint64_t offset = data + *position;
    const uint64_t left = capacity - *position;
    pmo_engine_range range = {0, 0, 0};
    *more = false;
    memcpy(&range, seen->base + offset, left < sizeof range ? sizeof(uint64_t) : sizeof range);
    if (range.target == 0) {
        return PMO_OK;
    }
    const uint64_t operation = range.target >> OPERATION_SHIFT;
    if (operation <= PMO_ENGINE_OR && kind != UNDO) {
        const uint64_t target = range.target & OFFSET_MASK;
        if (left < sizeof(pmo_engine_word) || !within(seen, target, sizeof(uint64_t))) {
            return damaged(seen, offset, "a redo log's entry that leads out of the pool");
        }
        *position += sizeof(pmo_engine_word);
    } else if (operation == PMO_ENGINE_FILL || operation == PMO_ENGINE_COPY) {
        if (left < sizeof range || range.size > left - sizeof range) {
            return damaged(seen, offset, "a log's entry that is longer than the log");
        }
        const uint64_t length = (sizeof range + range.size + LINE - 1) / LINE * LINE;
        if (length > left) {
            return damaged(seen, offset, "a log's entry that is longer than the log");
        }
        if (!range_is_whole(first, seen->base + offset, length)) {
            return PMO_OK;
        }
        *position += length;
    } else {
        return damaged(seen, offset, "a log's entry of no known kind");
    }
    *more = *position < capacity;
    return PMO_OK;
}

static int check_entries(picture *seen, enum log_kind kind, const pmo_engine_log *first,
                         uint64_t data, uint64_t capacity) {
    uint64_t position = 0;
    bool more = capacity > 0;
    while (more) {
        PMO_TRY(step(seen, kind, first, data, capacity, &position, &more));
    }
    return PMO_OK;
}

static int check_log(picture *seen, enum log_kind kind, uint64_t offset) {
    pmo_engine_log first;
    pmo_engine_log log;
    uint64_t most = log_capacity[kind];
    uint64_t hops = seen->size / LINE;
    memcpy(&first, seen->base + offset, sizeof first);
    seen->redo_pending |= kind != UNDO && first.checksum != 0;
    if (kind == UNDO && first.capacity != most) {
        return damaged(seen, offset, "an undo log of impossible size");
    }
    for (log = first;; memcpy(&log, seen->base + offset, sizeof log)) {
        if (log.capacity > most || log.capacity % 8 != 0) {
            return damaged(seen, offset, "a log of impossible size");
        }
        PMO_TRY(check_entries(seen, kind, &first, offset + LOG_HEADER, log.capacity));
        if (log.next == 0) {
            return PMO_OK;
        }
        if (log.next < seen->heap || !within(seen, log.next, LINE + LOG_HEADER) ||
            hops-- == 0) {
            return damaged(seen, offset, "a log whose continuation lies outside the heap");
        }
        offset = (log.next + LINE - 1) / LINE * LINE;
        most = seen->size - offset - LOG_HEADER;
    }
}

static int check_lanes(picture *seen) {
    uint64_t offset = word_at(seen, PMO_ENGINE_LANES_AT);
    const uint64_t count = word_at(seen, PMO_ENGINE_LANE_COUNT_AT);
    if (offset < PMO_POOL_HEADER || offset % LINE != 0 || offset > seen->size ||
        count > (seen->size - offset) / PMO_ENGINE_LANE_SIZE) {
        return damaged(seen, PMO_ENGINE_LANES_AT, "lanes outside the pool");
    }
    for (uint64_t lane = 0; lane < count; lane++) {
        for (enum log_kind kind = REDO_INTERNAL; kind <= UNDO; kind++) {
            PMO_TRY(check_log(seen, kind, offset));
            offset += LOG_HEADER + log_capacity[kind];
        }
    }
    return PMO_OK;
}

/* ---- heap ------------------------------------------------------------------------ */

static int check_run(picture *seen, uint64_t offset, uint32_t chunks) {
    pmo_engine_run run;
    memcpy(&run, seen->base + offset, sizeof run);
    const uint64_t bytes = (uint64_t)chunks * PMO_ENGINE_CHUNK;
    const bool sized = run.unit >= LINE && run.unit % 8 == 0 && run.unit < bytes;
    const bool aligned = run.alignment < bytes && (run.alignment & (run.alignment - 1)) == 0;
    return sized && aligned ? PMO_OK : damaged(seen, offset, "a run of impossible blocks");
}

static int check_chunks(picture *seen, uint64_t zone, uint64_t chunks, uint64_t *runs) {
    const char *headers = seen->base + zone + PMO_ENGINE_ZONE_HEADER;
    for (uint64_t number = 0; number < chunks;) {
        pmo_engine_chunk chunk;
        memcpy(&chunk, headers + number * sizeof chunk, sizeof chunk);
        const uint64_t offset = zone + PMO_ENGINE_ZONE_HEADER + number * sizeof chunk;
        if (chunk.type < PMO_ENGINE_FREE || chunk.type > PMO_ENGINE_RUN || chunk.flags > 15) {
            return damaged(seen, offset, "a chunk of no known kind");
        }
        if (chunk.size == 0 || chunk.size > chunks - number) {
            return damaged(seen, offset, "a chunk of impossible size");
        }
        if (chunk.type == PMO_ENGINE_RUN && *runs < RUNS_LOOKED_AT) {
            const uint64_t start = zone + PMO_ENGINE_ZONE_METADATA + number * PMO_ENGINE_CHUNK;
            if (!within(seen, start, sizeof(pmo_engine_run))) {
                return damaged(seen, offset, "a run outside the pool");
            }
            PMO_TRY(check_run(seen, start, chunk.size));
            ++*runs;
        }
        number += chunk.size;
    }
    return PMO_OK;
}

static int check_heap(picture *seen) {
    uint64_t runs = 0;
    uint64_t zone = seen->heap + PMO_ENGINE_HEAP_HEADER;
    for (; within(seen, zone, PMO_ENGINE_ZONE_METADATA); zone += PMO_ENGINE_ZONE) {
        pmo_engine_zone header;
        memcpy(&header, seen->base + zone, sizeof header);
        if (header.magic == 0) {
            return PMO_OK; /* not used yet */
        }
        if (header.magic != PMO_ENGINE_ZONE_MAGIC || header.chunks > PMO_ENGINE_MOST_CHUNKS) {
            return damaged(seen, zone, "a zone of no known kind");
        }
        PMO_TRY(check_chunks(seen, zone, header.chunks, &runs));
    }
    return PMO_OK;
}

/* True if the records are of the formats that are known here. */
static bool is_known(picture *seen) {
    if (!within(seen, 0, PMO_POOL_HEADER) || memcmp(seen->base, "PMEMOBJ", 8) != 0) {
        return false;
    }
    seen->heap = word_at(seen, PMO_ENGINE_HEAP_OFFSET_AT);
    if (seen->heap % LINE != 0 || !within(seen, seen->heap, PMO_ENGINE_HEAP_HEADER)) {
        return false;
    }
    const char *signature = seen->base + seen->heap;
    return memcmp(signature, PMO_ENGINE_HEAP_SIGNATURE, 16) == 0 &&
           word_at(seen, seen->heap + PMO_ENGINE_HEAP_MAJOR_AT) == PMO_ENGINE_HEAP_MAJOR;
}

/* ---- files ----------------------------------------------------------------------- */

typedef struct files {
    int *items;
    uint64_t *sizes;
    uint64_t count;
    uint64_t size;
} files;

static int add_file(files *all, const char *path) {
    int *items = realloc(all->items, (all->count + 1) * sizeof *items);
    all->items = items != NULL ? items : all->items;
    uint64_t *sizes = realloc(all->sizes, (all->count + 1) * sizeof *sizes);
    all->sizes = sizes != NULL ? sizes : all->sizes;
    if (items == NULL || sizes == NULL) {
        return PMO_ENOMEM;
    }
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return PMO_ESYSTEM;
    }
    all->items[all->count] = file;
    if (fstat(file, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size <= 0) {
        status.st_size = 0;
    }
    all->sizes[all->count++] = (uint64_t)status.st_size;
    all->size += (uint64_t)status.st_size;
    return PMO_OK;
}

static int open_files(files *all, const char *path, const char *parts) {
    if (*parts == 0) {
        return add_file(all, path);
    }
    int status = PMO_OK;
    for (unsigned number = 0; number < MOST_PARTS && status == PMO_OK; number++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%06u.pmem", parts, number);
        status = add_file(all, name);
    }
    return status == PMO_ESYSTEM && all->count > 0 ? PMO_OK : status;
}

static void close_files(files *all) {
    for (uint64_t i = 0; i < all->count; i++) {
        close(all->items[i]);
    }
    free(all->items);
    free(all->sizes);
}

/* The files side by side in memory; NULL: they cannot be. */
static char *map_files(const files *all) {
    char *base = mmap(NULL, all->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
        return NULL;
    }
    uint64_t at = 0;
    for (uint64_t i = 0; i < all->count; i++) {
        const uint64_t size = all->sizes[i];
        if (size % 4096 != 0 || mmap(base + at, size, PROT_READ, MAP_SHARED | MAP_FIXED,
                                     all->items[i], 0) == MAP_FAILED) {
            munmap(base, all->size);
            return NULL;
        }
        at += size;
    }
    return base;
}

static int look(const files *all, pmo_failure_info *failure) {
    char *base = map_files(all);
    if (base == NULL) {
        return PMO_OK;
    }
    picture seen = {.base = base, .size = all->size, .failure = failure};
    int status = PMO_OK;
    if (is_known(&seen)) {
        status = check_lanes(&seen);
        /* What a redo log is about to write may put right what looks wrong. */
        status = status == PMO_OK && !seen.redo_pending ? check_heap(&seen) : status;
    }
    munmap(base, all->size);
    return status;
}

int pmo_preflight(const char *path, const char *parts, pmo_failure_info *failure) {
    files all = {NULL, NULL, 0, 0};
    int status = open_files(&all, path, parts);
    /* A pool in use is in motion; that it is in use, opening will tell. */
    if (status == PMO_OK && all.size > 0 && flock(all.items[0], LOCK_SH | LOCK_NB) == 0) {
        status = look(&all, failure);
    }
    close_files(&all);
    return status == PMO_ESYSTEM ? PMO_OK : status; /* opening will tell why */
}
