#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "internal.h"

int pmo_corrupt(pmo_pool *pool, uint64_t offset, const char *what) {
    pool->failure = (pmo_failure_info){.offset = offset};
    snprintf(pool->failure.text, sizeof pool->failure.text, "%s", what);
    return PMO_ECORRUPT;
}

static uint64_t bytes_of_parts(const char *directory) {
    uint64_t sum = 0;
    DIR *entries = opendir(directory);
    if (entries == NULL) {
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        struct stat status;
        const char *suffix = strrchr(entry->d_name, '.');
        if (suffix != NULL && strcmp(suffix, ".pmem") == 0 &&
            fstatat(dirfd(entries), entry->d_name, &status, 0) == 0) {
            sum += (uint64_t)status.st_size;
        }
    }
    closedir(entries);
    return sum;
}

uint64_t pmo_measure_files(const pmo_pool *pool) {
    if (pool->parts != NULL) {
        return bytes_of_parts(pool->parts);
    }
    struct stat status;
    return stat(pool->path, &status) == 0 ? (uint64_t)status.st_size : 0;
}

int pmo_bounds(pmo_pool *pool, uint64_t offset, uint64_t size) {
    if (offset >= PMO_POOL_HEADER && offset <= pool->limit && size <= pool->limit - offset) {
        return PMO_OK;
    }
    if (pool->parts != NULL) {
        uint64_t grown = pmo_measure_files(pool);
        if (grown > pool->limit) {
            pool->limit = grown;
            return pmo_bounds(pool, offset, size);
        }
    }
    return pmo_corrupt(pool, offset, "an offset that lies outside the pool");
}

int pmo_header_at(pmo_pool *pool, uint64_t offset, pmo_header **header) {
    if (offset <= PMO_POISON) {
        return offset == PMO_POISON ? PMO_EPOISONED : PMO_EINVAL;
    }
    if (offset % 16 != 0) {
        return pmo_corrupt(pool, offset, "an object offset that is not aligned");
    }
    PMO_TRY(pmo_bounds(pool, offset, sizeof(pmo_header)));
    *header = pmo_at(pool, offset);
    if ((*header)->check != pmo_header_check(offset, (*header)->type)) {
        return pmo_corrupt(pool, offset, "no object header where one is referenced");
    }
    return PMO_OK;
}

int pmo_layout_of(const pmo_pool *pool, uint32_t type) {
    switch (type) {
    case PMO_TYPE_BLOB:
        return PMO_LAYOUT_BLOB;
    case PMO_TYPE_TUPLE:
    case PMO_TYPE_LIST:
    case PMO_TYPE_PTUPLE:
    case PMO_TYPE_ARRAY:
    case PMO_TYPE_PICKLED:
        return PMO_LAYOUT_SEQUENCE;
    case PMO_TYPE_RAW:
        return PMO_LAYOUT_RAW;
    case PMO_TYPE_FROZENSET:
    case PMO_TYPE_SET:
        return PMO_LAYOUT_SET;
    case PMO_TYPE_DICT:
        return PMO_LAYOUT_DICT;
    default:
        break;
    }
    if (type >= PMO_FIRST_USER_TYPE && type - PMO_FIRST_USER_TYPE < pool->layouts.count) {
        return (int)pool->layouts.items[type - PMO_FIRST_USER_TYPE];
    }
    return -1;
}

static bool geometry_fits(pmo_pool *pool, const pmo_geometry *geometry, int layout) {
    const uint64_t most = 1ull << 40; /* elements; keeps the products below 2^64 */
    if (geometry->capacity > most || geometry->index_slots > most ||
        geometry->heap_capacity > most) {
        return false;
    }
    uint64_t size = pmo_body_bytes(geometry, layout);
    if (geometry->body == 0) {
        return size == 0;
    }
    return geometry->body % 8 == 0 && pmo_bounds(pool, geometry->body, size) == PMO_OK;
}

int pmo_container_at(pmo_pool *pool, uint64_t offset, int layout, pmo_container **container) {
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    int found = pmo_layout_of(pool, header->type);
    if (found < 0) {
        return pmo_corrupt(pool, offset, "a type code that the type table does not have");
    }
    bool wants_table = layout == PMO_LAYOUT_SET || layout == PMO_LAYOUT_DICT;
    bool is_table = found == PMO_LAYOUT_SET || found == PMO_LAYOUT_DICT;
    if (wants_table ? !is_table : found != layout) {
        return PMO_ETYPE;
    }
    PMO_TRY(pmo_bounds(pool, offset, sizeof(pmo_container)));
    pmo_container *at = pmo_at(pool, offset);
    const pmo_state *state = &at->state;
    if (state->check != pmo_state_check(state)) {
        return pmo_corrupt(pool, offset, "a container's state that does not match its check");
    }
    if (at->geometry.check != pmo_geometry_check(&at->geometry)) {
        return pmo_corrupt(pool, offset,
                           "a container's geometry that does not match its check");
    }
    if (state->length > state->used || state->used > at->geometry.capacity ||
        state->heap_used > at->geometry.heap_capacity ||
        pmo_state_garbage(state) > state->heap_used ||
        !geometry_fits(pool, &at->geometry, found)) {
        return pmo_corrupt(pool, offset, "a container whose sizes contradict each other");
    }
    *container = at;
    return PMO_OK;
}
