/*
 * A window is the pool's pages mapped a second time, so that closing the pool, which
 * unmaps libpmemobj's mapping, takes nothing away from who still views them. A raw in
 * extents has a window of its own, in which they lie side by side; and so has each reader of
 * sealed bytes, whose pages are private: libraries write past what is marked as read-only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

struct pmo_window {
    char *address;
    uint64_t start; /* offset in the pool of the first byte; composed: of the raw */
    uint64_t size;
    atomic_uint users; /* views, and the pool while it is open */
    bool composed;
    pmo_window *next;
};

static int make(pmo_pool *pool, uint64_t start, uint64_t size, bool composed,
                pmo_window **made) {
    pmo_window *window = calloc(1, sizeof *window);
    if (window == NULL) {
        return PMO_ENOMEM;
    }
    void *address =
        mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) {
        free(window);
        return pmo_fail_system(pool, errno);
    }
    *window =
        (pmo_window){.address = address, .start = start, .size = size, .composed = composed};
    atomic_init(&window->users, 1);
    *made = window;
    return PMO_OK;
}

static int keep(pmo_pool *pool, pmo_window *window, int status) {
    if (status != PMO_OK) {
        pmo_window_leave(window);
        return status;
    }
    window->next = pool->windows;
    pool->windows = window;
    return PMO_OK;
}

/* ---- pages of the pool ------------------------------------------------------------------- */

static void forget_files(pmo_pool *pool) {
    for (uint64_t i = 0; i < pool->mapped.count; i++) {
        free(pool->mapped.items[i].path);
    }
    free(pool->mapped.items);
    pool->mapped = (pmo_mapped_files){0};
}

static int note_file(const pmo_mapping *at, void *context) {
    pmo_pool *pool = context;
    pmo_mapped_files *mapped = &pool->mapped;
    if (!at->shared) {
        return 0;
    }
    pmo_mapped_file *items = realloc(mapped->items, (mapped->count + 1) * sizeof *items);
    if (items == NULL) {
        return PMO_ENOMEM;
    }
    mapped->items = items;
    char *path = strdup(at->path);
    if (path == NULL) {
        return PMO_ENOMEM;
    }
    items[mapped->count++] = (pmo_mapped_file){
        .start = at->start - (uintptr_t)pool->base,
        .end = at->end - (uintptr_t)pool->base,
        .position = at->position,
        .device = at->device,
        .inode = at->inode,
        .path = path,
    };
    return 0;
}

/* Reading all of the process's mappings takes long: what is found is kept. */
static int note_files(pmo_pool *pool, uint64_t end) {
    if (end <= pool->mapped.limit) {
        return PMO_OK;
    }
    forget_files(pool);
    pool->limit = pmo_measure_files(pool);
    uintptr_t base = (uintptr_t)pool->base;
    int status = pmo_maps_walk(base, base + pool->limit, note_file, pool);
    if (status != PMO_OK) {
        forget_files(pool);
        return status == -1 ? pmo_fail_system(pool, errno) : status;
    }
    if (pool->mapped.count != 0) {
        pool->mapped.limit = pool->mapped.items[pool->mapped.count - 1].end;
    }
    return end <= pool->mapped.limit ? PMO_OK : pmo_fail_system(pool, ENOENT);
}

typedef int (*mapper)(pmo_pool *pool, const pmo_mapped_file *file, uint64_t start,
                      uint64_t size, char *to);

/* An old size of 0 asks for a second mapping of the same shared pages. */
static int map_again(pmo_pool *pool, const pmo_mapped_file *file, uint64_t start, uint64_t size,
                     char *to) {
    (void)file;
    void *made = mremap(pool->base + start, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
    return made == MAP_FAILED ? pmo_fail_system(pool, errno) : PMO_OK;
}

static int map_privately(pmo_pool *pool, const pmo_mapped_file *file, uint64_t start,
                         uint64_t size, char *to) {
    int descriptor = pmo_maps_reopen(
        &(pmo_mapping){.device = file->device, .inode = file->inode, .path = file->path},
        O_RDONLY);
    if (descriptor < 0) {
        return pmo_fail_system(pool, ENOENT);
    }
    off_t position = file->position + (off_t)(start - file->start);
    void *made = mmap(to, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                      descriptor, position);
    int error = errno;
    close(descriptor);
    return made == MAP_FAILED ? pmo_fail_system(pool, error) : PMO_OK;
}

/* The pages of a scratch are libpmemobj's mapping's own. Those that are viewed are exchanged
 * for memory that can be mapped twice. */
static int share_memory(const pmo_mapping *at, void *context) {
    const pmo_pool *pool = context;
    struct stat memory;
    if (fstat(pool->memory, &memory) != 0) {
        return -1;
    }
    /* Parts that the scratch has made are files, and shared, but not that memory either. */
    if (at->inode == memory.st_ino && at->device == memory.st_dev) {
        return 0;
    }
    size_t size = at->end - at->start;
    off_t position = (off_t)(at->start - (uintptr_t)pool->base);
    if (!pmo_write_at(pool->memory, (const char *)at->start, size, position)) {
        return -1;
    }
    void *made = mmap((void *)at->start, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                      pool->memory, position);
    return made == MAP_FAILED ? -1 : 0;
}

/* Before a part of the pool is mapped again, if it is a scratch. */
static int make_shareable(pmo_pool *pool, uint64_t start, uint64_t size) {
    if (pool->policy != PMO_POLICY_SCRATCH) {
        return PMO_OK;
    }
    if (pool->memory < 0) {
        pool->memory = memfd_create("scratch", MFD_CLOEXEC);
    }
    uintptr_t from = (uintptr_t)pool->base + (start & ~(uint64_t)(PMO_RAW_PAGE - 1));
    uintptr_t to = (uintptr_t)pool->base + pmo_page_up(start + size);
    pool->limit = pmo_measure_files(pool);
    bool made = pool->memory >= 0 &&
                ftruncate(pool->memory, (off_t)pmo_page_up(pool->limit)) == 0 &&
                pmo_maps_walk(from, to, share_memory, pool) == 0;
    return made ? PMO_OK : pmo_fail_system(pool, errno);
}

static int map_memory(pmo_pool *pool, uint64_t start, uint64_t size, char *to) {
    void *made = mmap(to, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, pool->memory,
                      (off_t)start);
    return made == MAP_FAILED ? pmo_fail_system(pool, errno) : PMO_OK;
}

/* A part of the pool, in whichever files it lies. */
static int map_pages(pmo_pool *pool, mapper map, uint64_t start, uint64_t size, char *to) {
    uint64_t end = start + size;
    if (pool->memory >= 0 && map == map_again) {
        return map_memory(pool, start, size, to);
    }
    PMO_TRY(note_files(pool, end));
    for (uint64_t i = 0; i < pool->mapped.count && start < end; i++) {
        const pmo_mapped_file *file = &pool->mapped.items[i];
        if (file->start <= start && start < file->end) {
            uint64_t part = (file->end < end ? file->end : end) - start;
            PMO_TRY(map(pool, file, start, part, to));
            start += part;
            to += part;
        }
    }
    return start == end ? PMO_OK : pmo_fail_system(pool, ENOENT);
}

/* ---- of the pool ----------------------------------------------------------------------- */

static int open_range(pmo_pool *pool, uint64_t start, uint64_t end, pmo_window **found) {
    for (pmo_window *at = pool->windows; at != NULL; at = at->next) {
        if (!at->composed && at->start <= start && end <= at->start + at->size) {
            *found = at;
            return PMO_OK;
        }
    }
    uint64_t from = pool->windows == NULL ? 0 : start & ~(uint64_t)(PMO_RAW_PAGE - 1);
    uint64_t limit = pmo_page_up(pool->limit);
    if (pool->memory < 0) {
        PMO_TRY(note_files(pool, end));
        limit = pool->mapped.limit;
    }
    uint64_t size = limit - from;
    PMO_TRY(make(pool, from, size, false, found));
    return keep(pool, *found, map_pages(pool, map_again, from, size, (*found)->address));
}

/* ---- of a raw -------------------------------------------------------------------------- */

static bool in_extents(const pmo_raw *raw) {
    return (raw->form & ~(uint64_t)PMO_RAW_SEALED) != 0;
}

/* A raw's extents, side by side. */
static int lay(pmo_pool *pool, uint64_t offset, mapper map, char *to) {
    const pmo_raw *raw = pmo_at(pool, offset);
    for (uint64_t position = 0; position < raw->length;) {
        uint64_t place = 0;
        uint64_t size = raw->length - position;
        PMO_TRY(pmo_raw_piece(pool, offset, position, &size, &place));
        PMO_TRY(make_shareable(pool, place, size));
        PMO_TRY(map_pages(pool, map, place, pmo_page_up(size), to + position));
        position += size;
    }
    return PMO_OK;
}

/* The windows of raws in extents that nobody views any more. */
static void drop_unused(pmo_pool *pool) {
    for (pmo_window **at = &pool->windows; *at != NULL;) {
        pmo_window *window = *at;
        if (window->composed && atomic_load(&window->users) == 1) {
            *at = window->next;
            pmo_window_leave(window);
        } else {
            at = &window->next;
        }
    }
}

static int compose(pmo_pool *pool, uint64_t offset, pmo_window **found) {
    for (pmo_window *at = pool->windows; at != NULL; at = at->next) {
        if (at->composed && at->start == offset) {
            *found = at;
            return PMO_OK;
        }
    }
    const pmo_raw *raw = pmo_at(pool, offset);
    PMO_TRY(make(pool, offset, pmo_page_up(raw->length), true, found));
    return keep(pool, *found, lay(pool, offset, map_again, (*found)->address));
}

int pmo_window_enter(pmo_pool *pool, uint64_t offset, char **address, pmo_window **window) {
    PMO_TRY(pmo_usable(pool));
    pmo_raw *raw = NULL;
    PMO_TRY(pmo_raw_at(pool, offset, &raw));
    drop_unused(pool);
    if (in_extents(raw)) {
        PMO_TRY(compose(pool, offset, window));
        *address = (*window)->address;
    } else {
        uint64_t start = pmo_raw_start(offset);
        PMO_TRY(make_shareable(pool, start, raw->length));
        PMO_TRY(open_range(pool, start, start + raw->length, window));
        *address = (*window)->address + (start - (*window)->start);
    }
    atomic_fetch_add(&(*window)->users, 1);
    return PMO_OK;
}

int pmo_window_private(pmo_pool *pool, uint64_t offset, char **address, pmo_window **window) {
    PMO_TRY(pmo_usable(pool));
    pmo_raw *raw = NULL;
    PMO_TRY(pmo_raw_at(pool, offset, &raw));
    uint64_t start = pmo_raw_start(offset);
    uint64_t from = start & ~(uint64_t)(PMO_RAW_PAGE - 1);
    bool composed = in_extents(raw);
    uint64_t size = pmo_page_up(composed ? raw->length : start + raw->length - from);
    PMO_TRY(make(pool, from, size, composed, window));
    int status = composed ? lay(pool, offset, map_privately, (*window)->address)
                          : map_pages(pool, map_privately, from, size, (*window)->address);
    if (status != PMO_OK) {
        pmo_window_leave(*window);
        return status;
    }
    *address = (*window)->address + (composed ? 0 : start - from);
    return PMO_OK;
}

void pmo_window_leave(pmo_window *window) {
    if (window != NULL && atomic_fetch_sub(&window->users, 1) == 1) {
        munmap(window->address, window->size);
        free(window);
    }
}

static int privatise(const pmo_mapping *at, void *context) {
    const pmo_pool *pool = context;
    if (at->shared && pool->memory >= 0) {
        (void)mmap((void *)at->start, at->end - at->start, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, pool->memory, at->position);
    } else if (at->shared) {
        /* Where the file is not found any more, the shared pages are as good. */
        (void)pmo_maps_privatise(at);
    }
    return 0;
}

void pmo_windows_privatise(pmo_pool *pool) {
    for (pmo_window *at = pool->windows; at != NULL; at = at->next) {
        if (atomic_load(&at->users) > 1) {
            uintptr_t start = (uintptr_t)at->address;
            (void)pmo_maps_walk(start, start + at->size, privatise, pool);
        }
    }
}

void pmo_windows_close(pmo_pool *pool) {
    pmo_windows_privatise(pool);
    forget_files(pool);
    if (pool->memory >= 0) {
        close(pool->memory);
        pool->memory = -1;
    }
    while (pool->windows != NULL) {
        pmo_window *window = pool->windows;
        pool->windows = window->next;
        pmo_window_leave(window);
    }
}
