/*
 * New bytes, written where that costs least: through the mapping, or through the file.
 *
 * A store to a page that this process has not touched yet is a page fault, and the file
 * system has to prepare the page for it. That costs several times the copy; a write to the
 * file does not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define LARGE (1ull << 20)
#define CHUNK (256u * 1024) /* small enough for a processor's cache */

bool pmo_write_at(int file, const char *data, uint64_t size, off_t position) {
    while (size > 0) {
        ssize_t done = pwrite(file, data, size, position);
        if (done == 0 || (done < 0 && errno != EINTR)) {
            return false;
        }
        if (done > 0) {
            data += done;
            position += done;
            size -= (uint64_t)done;
        }
    }
    return true;
}

typedef struct writing {
    uintptr_t start;
    const char *data;
} writing;

static int write_file(const pmo_mapping *at, void *context) {
    const writing *state = context;
    int file = at->shared ? pmo_maps_reopen(at, O_RDWR) : -1;
    if (file < 0) {
        return 1;
    }
    const char *data = state->data + (at->start - state->start);
    bool written = pmo_write_at(file, data, at->end - at->start, at->position);
    close(file);
    return written ? 0 : 1;
}

void pmo_store_new(pmo_pool *pool, uint64_t place, const void *data, uint64_t size) {
    char *target = pmo_at(pool, place);
    bool written = false;
    if (size >= PMO_DIRECT_MIN && !pool->info.is_pmem) {
        writing state = {.start = (uintptr_t)target, .data = data};
        written = pmo_maps_walk(state.start, state.start + size, write_file, &state) == 0;
    }
    if (!written) {
        memcpy(target, data, size);
    }
}

void pmo_populate(pmo_pool *pool, uint64_t offset, uint64_t size) {
#ifdef MADV_POPULATE_WRITE
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t address = (uintptr_t)pmo_at(pool, offset);
    uintptr_t start = (address + page - 1) & ~(page - 1);
    if (size >= LARGE) {
        madvise((void *)start, (address + size - start) & ~(page - 1), MADV_POPULATE_WRITE);
    }
#else
    (void)pool;
    (void)offset;
    (void)size;
#endif
}

/* ---- one piece after the other ---- */

typedef struct search {
    uintptr_t start;
    uintptr_t end;
    int file;
    off_t position;
} search;

static int open_file(const pmo_mapping *at, void *context) {
    search *wanted = context;
    if (at->start == wanted->start && at->end == wanted->end && at->shared) {
        wanted->file = pmo_maps_reopen(at, O_RDWR);
        wanted->position = at->position;
    }
    return 1;
}

pmo_writer pmo_writer_start(pmo_pool *pool, uint64_t place, uint64_t size) {
    pmo_writer writer = {.pool = pool, .place = place, .file = -1};
    uintptr_t start = (uintptr_t)pmo_at(pool, place);
    search wanted = {.start = start, .end = start + size, .file = -1};
    if (size >= LARGE && !pool->info.is_pmem) {
        writer.buffer = malloc(CHUNK);
    }
    if (writer.buffer != NULL) {
        (void)pmo_maps_walk(start, start + size, open_file, &wanted);
        writer.file = wanted.file;
        writer.position = wanted.position;
    }
    if (writer.file < 0) {
        pmo_populate(pool, place, size);
    }
    return writer;
}

static void flush(pmo_writer *writer) {
    if (!pmo_write_at(writer->file, writer->buffer, writer->filled, writer->position)) {
        memcpy(pmo_at(writer->pool, writer->place), writer->buffer, writer->filled);
        close(writer->file);
        writer->file = -1;
    }
    writer->place += writer->filled;
    writer->position += (off_t)writer->filled;
    writer->filled = 0;
}

void *pmo_writer_room(pmo_writer *writer, uint64_t size) {
    if (writer->file >= 0 && size > CHUNK - writer->filled) {
        flush(writer);
    }
    return writer->file >= 0 ? writer->buffer + writer->filled
                             : (char *)pmo_at(writer->pool, writer->place);
}

void pmo_writer_wrote(pmo_writer *writer, uint64_t size) {
    if (writer->file >= 0) {
        writer->filled += size;
    } else {
        writer->place += size;
    }
}

void pmo_writer_end(pmo_writer *writer) {
    if (writer->file >= 0) {
        flush(writer);
    }
    if (writer->file >= 0) {
        close(writer->file);
    }
    free(writer->buffer);
}
