/*
 * Which offsets are allocations. Asked about any other offset, libpmemobj may end the
 * process, and its own walk over all of them need not end in a damaged heap; so the answers
 * are read from the heap's metadata, whose format (version 1) is part of every pool file.
 */
#include "engine.h"
#include "internal.h"

#define CHUNK_SIZE PMO_ENGINE_CHUNK
#define ZONE_METADATA PMO_ENGINE_ZONE_METADATA
#define BLOCK_SIZE_MASK ((1ull << 48) - 1)
#define DEFAULT_BITMAP 304u
#define RUNS_LOOKED_AT 4096u /* each costs the reading of a page */

#define INTERNAL_OBJECT (1ull << 63)

enum chunk_flag { COMPACT_HEADER = 1, NO_HEADER = 2, ALIGNED = 4, FLEXIBLE_BITMAP = 8 };

/* A run's units: the bitmap's bits, and where the first one lies. */
typedef struct run_shape {
    uint64_t count;
    uint64_t first;
} run_shape;

static uint64_t header_bytes(uint16_t flags) {
    if (flags & COMPACT_HEADER) {
        return 16;
    }
    return flags & NO_HEADER ? 0 : 64;
}

static run_shape shape_of(const pmo_engine_run *at, const pmo_engine_chunk *header) {
    uint64_t content = (uint64_t)header->size * CHUNK_SIZE - sizeof(pmo_engine_run);
    uint64_t bitmap = DEFAULT_BITMAP;
    if (header->flags & FLEXIBLE_BITMAP) {
        uint64_t words = (content / at->unit + 63) / 64 + sizeof(pmo_engine_run) / 8;
        bitmap = (words + 7) / 8 * 64 - sizeof(pmo_engine_run);
    }
    run_shape shape = {.first = sizeof(pmo_engine_run) + bitmap};
    if (content > bitmap) {
        shape.count = (content - bitmap) / at->unit;
    }
    return shape;
}

static bool unit_used(const pmo_engine_run *at, uint64_t unit) {
    return at->bitmap[unit / 64] >> (unit % 64) & 1;
}

/* How many units the block that starts at unit spans; 0: damage. */
static uint64_t units_of(const pmo_engine_run *at, run_shape shape, uint16_t flags,
                         uint64_t unit) {
    if (flags & NO_HEADER) {
        return 1;
    }
    uint64_t size = 0;
    const char *block = (const char *)at + shape.first + unit * at->unit;
    memcpy(&size, block + (flags & COMPACT_HEADER ? 0 : 8), sizeof size);
    return ((size & BLOCK_SIZE_MASK) + at->unit - 1) / at->unit;
}

/* Where the bytes of a run's first unit start, and the run's shape. */
static uint64_t first_unit(const char *chunk, const pmo_engine_chunk *header,
                           run_shape *shape) {
    const pmo_engine_run *at = (const pmo_engine_run *)(const void *)chunk;
    *shape = shape_of(at, header);
    uint64_t skew = header_bytes(header->flags);
    if (header->flags & ALIGNED && at->alignment != 0) {
        uint64_t start = (uint64_t)(uintptr_t)(chunk + shape->first) + skew;
        shape->first += (at->alignment - start % at->alignment) % at->alignment;
    }
    return shape->first + skew;
}

static bool block_in_run(const char *chunk, const pmo_engine_chunk *header, uint64_t position) {
    const pmo_engine_run *at = (const pmo_engine_run *)(const void *)chunk;
    if (at->unit == 0 || header->size == 0) {
        return false;
    }
    run_shape shape;
    uint64_t first = first_unit(chunk, header, &shape);
    if (position < first || (position - first) % at->unit != 0) {
        return false;
    }
    uint64_t wanted = (position - first) / at->unit;
    if (wanted >= shape.count || !unit_used(at, wanted)) {
        return false;
    }
    uint64_t unit = 0;
    while (unit < wanted) {
        uint64_t span = unit_used(at, unit) ? units_of(at, shape, header->flags, unit) : 1;
        if (span == 0) {
            return false;
        }
        unit += span;
    }
    return unit == wanted;
}

/* Chunks of the zone at this offset; 0: there is none, or it was never used. */
static uint64_t chunks_of(pmo_pool *pool, uint64_t zone) {
    uint32_t start[2] = {0, 0}; /* magic, chunks */
    if (pmo_bounds(pool, zone, ZONE_METADATA) == PMO_OK) {
        memcpy(start, pmo_at(pool, zone), sizeof start);
    }
    return start[0] == PMO_ENGINE_ZONE_MAGIC && start[1] <= PMO_ENGINE_MOST_CHUNKS ? start[1]
                                                                                   : 0;
}

static bool block_in_zone(pmo_pool *pool, uint64_t zone, uint64_t position) {
    if (position < ZONE_METADATA) {
        return false;
    }
    uint64_t number = (position - ZONE_METADATA) / CHUNK_SIZE;
    if (number >= chunks_of(pool, zone)) {
        return false;
    }
    const pmo_engine_chunk *headers = pmo_at(pool, zone + PMO_ENGINE_ZONE_HEADER);
    if (headers[number].type == PMO_ENGINE_RUN_DATA && headers[number].size <= number) {
        number -= headers[number].size;
    }
    const pmo_engine_chunk *header = &headers[number];
    position -= ZONE_METADATA + number * CHUNK_SIZE;
    if (header->type == PMO_ENGINE_USED) {
        return position == header_bytes(header->flags);
    }
    const char *chunk = pmo_at(pool, zone + ZONE_METADATA + number * CHUNK_SIZE);
    return header->type == PMO_ENGINE_RUN && block_in_run(chunk, header, position);
}

uint64_t pmo_heap_start(const pmo_pool *pool) {
    uint64_t heap = 0;
    memcpy(&heap, pool->base + PMO_ENGINE_HEAP_OFFSET_AT, sizeof heap);
    return heap;
}

/* The heap is of the one kind that this file can read. */
static bool known(pmo_pool *pool) {
    uint64_t heap = pmo_heap_start(pool);
    uint64_t major = 0;
    if (pmo_bounds(pool, heap, PMO_ENGINE_HEAP_HEADER) != PMO_OK) {
        return false;
    }
    memcpy(&major, pmo_at(pool, heap + PMO_ENGINE_HEAP_MAJOR_AT), sizeof major);
    return memcmp(pmo_at(pool, heap), PMO_ENGINE_HEAP_SIGNATURE, 16) == 0 &&
           major == PMO_ENGINE_HEAP_MAJOR;
}

static bool committed(pmo_pool *pool, uint64_t offset) {
    uint64_t heap = pmo_heap_start(pool);
    if (offset < heap + PMO_ENGINE_HEAP_HEADER ||
        pmo_bounds(pool, heap, PMO_ENGINE_HEAP_HEADER) != PMO_OK) {
        return false;
    }
    if (!known(pool)) {
        return true;
    }
    uint64_t position = offset - heap - PMO_ENGINE_HEAP_HEADER;
    return block_in_zone(pool, offset - position % PMO_ENGINE_ZONE, position % PMO_ENGINE_ZONE);
}

bool pmo_is_created(pmo_pool *pool, uint64_t offset) {
    for (; pool->known_to < pool->created.count; pool->known_to++) {
        if (pmo_map_add(&pool->known, pool->created.items[pool->known_to], 1) != PMO_OK) {
            return false;
        }
    }
    return pmo_map_find(&pool->known, offset) != NULL;
}

bool pmo_is_allocation(pmo_pool *pool, uint64_t offset) {
    if (offset % 16 != 0 || pmo_bounds(pool, offset, 1) != PMO_OK) {
        return false;
    }
    if (pool->tx_open && pmo_map_find(&pool->freed, offset) != NULL) {
        return false;
    }
    return committed(pool, offset) || (pool->tx_open && pmo_is_created(pool, offset));
}

/* ---- the walk over everything ------------------------------------------------------------ */

static uint64_t first_zone(const pmo_pool *pool) {
    return pmo_heap_start(pool) + PMO_ENGINE_HEAP_HEADER;
}

static uint64_t chunk_offset(const pmo_heap_walk *at) {
    return at->zone + ZONE_METADATA + at->chunk * CHUNK_SIZE;
}

/* The header of a block of chunks, checked, so that a walk goes on and comes to its end. */
static int block_at(pmo_pool *pool, const pmo_heap_walk *at, uint64_t chunks,
                    const pmo_engine_chunk **found) {
    const pmo_engine_chunk *headers = pmo_at(pool, at->zone + PMO_ENGINE_ZONE_HEADER);
    const pmo_engine_chunk *header = &headers[at->chunk];
    bool sound = header->type >= PMO_ENGINE_FREE && header->type <= PMO_ENGINE_RUN &&
                 header->size > 0 && header->size <= chunks - at->chunk;
    if (sound && header->type != PMO_ENGINE_FREE) {
        sound =
            pmo_bounds(pool, chunk_offset(at), header->size * (uint64_t)CHUNK_SIZE) == PMO_OK;
    }
    if (sound && header->type == PMO_ENGINE_RUN) {
        sound = ((const pmo_engine_run *)pmo_at(pool, chunk_offset(at)))->unit >= 16;
    }
    if (!sound) {
        return pmo_corrupt(pool, pmo_offset_of(pool, header),
                           "libpmemobj's list of memory chunks is damaged");
    }
    *found = header;
    return PMO_OK;
}

static bool internal(const pmo_pool *pool, uint64_t offset, uint16_t flags) {
    uint64_t size = 0;
    uint64_t header = header_bytes(flags);
    if (header != 0) {
        memcpy(&size, pool->base + offset - header + (flags & COMPACT_HEADER ? 0 : 8),
               sizeof size);
    }
    return size & INTERNAL_OBJECT;
}

/* What a block of so many bytes, its header included, counts for. */
static uint64_t taken(uint64_t bytes, uint16_t flags) {
    return bytes - header_bytes(flags) + PMO_ALLOCATION_HEADER;
}

/* The next allocation in a run from at->unit on; moves at->unit past it. 0: none. */
static int next_in_run(pmo_pool *pool, pmo_heap_walk *at, const pmo_engine_chunk *header,
                       uint64_t *found) {
    const char *chunk = pmo_at(pool, chunk_offset(at));
    const pmo_engine_run *blocks = (const pmo_engine_run *)(const void *)chunk;
    run_shape shape;
    uint64_t first = first_unit(chunk, header, &shape);
    *found = 0;
    while (at->unit < shape.count) {
        if (!unit_used(blocks, at->unit)) {
            at->unit++;
            continue;
        }
        uint64_t span = units_of(blocks, shape, header->flags, at->unit);
        uint64_t offset = chunk_offset(at) + first + at->unit * blocks->unit;
        if (span == 0 || span > shape.count - at->unit) {
            at->unit = shape.count;
            return pmo_corrupt(pool, offset, "libpmemobj's header of an allocation is damaged");
        }
        at->unit += span;
        if (!internal(pool, offset, header->flags)) {
            *found = offset;
            at->taken = taken(span * blocks->unit, header->flags);
            return PMO_OK;
        }
    }
    return PMO_OK;
}

static int next_in_zone(pmo_pool *pool, pmo_heap_walk *at, uint64_t chunks, uint64_t *found) {
    *found = 0;
    while (at->chunk < chunks) {
        const pmo_engine_chunk *header = NULL;
        int status = block_at(pool, at, chunks, &header);
        if (status != PMO_OK) {
            at->chunk = chunks;
            return status;
        }
        if (header->type == PMO_ENGINE_RUN) {
            PMO_TRY(next_in_run(pool, at, header, found));
        } else if (header->type == PMO_ENGINE_USED && at->unit == 0) {
            uint64_t offset = chunk_offset(at) + header_bytes(header->flags);
            *found = internal(pool, offset, header->flags) ? 0 : offset;
            at->taken = taken(header->size * (uint64_t)CHUNK_SIZE, header->flags);
            at->unit = 1;
        }
        if (*found != 0) {
            return PMO_OK;
        }
        at->chunk += header->size;
        at->unit = 0;
    }
    return PMO_OK;
}

static int next_unknown(pmo_pool *pool, pmo_heap_walk *at, uint64_t *found) {
    PMEMoid oid = at->unit == 0 ? pmemobj_first(pool->pop)
                                : pmemobj_next((PMEMoid){pool->uuid_lo, at->unit});
    if (oid.off != 0 && oid.off <= at->unit) {
        return pmo_corrupt(pool, oid.off, "libpmemobj's list of allocations goes in a circle");
    }
    *found = at->unit = oid.off;
    at->taken = oid.off != 0 ? pmo_taken_bytes(pool, oid.off) : 0;
    return PMO_OK;
}

int pmo_heap_next(pmo_pool *pool, pmo_heap_walk *at, uint64_t *found) {
    if (!known(pool)) {
        return next_unknown(pool, at, found);
    }
    *found = 0;
    for (at->zone = at->zone ? at->zone : first_zone(pool); at->zone < pool->limit;
         at->zone += PMO_ENGINE_ZONE) {
        PMO_TRY(next_in_zone(pool, at, chunks_of(pool, at->zone), found));
        if (*found != 0) {
            return PMO_OK;
        }
        at->chunk = 0;
    }
    return PMO_OK;
}

/* Called with each block of chunks. */
typedef void (*look_at)(pmo_pool *pool, const pmo_heap_walk *at, const pmo_engine_chunk *block,
                        void *seen);

static int walk_chunks(pmo_pool *pool, look_at look, void *seen) {
    pmo_heap_walk at = {0};
    if (!known(pool)) {
        return PMO_OK;
    }
    for (at.zone = first_zone(pool); at.zone < pool->limit; at.zone += PMO_ENGINE_ZONE) {
        uint64_t chunks = chunks_of(pool, at.zone);
        for (at.chunk = 0; at.chunk < chunks;) {
            const pmo_engine_chunk *header = NULL;
            PMO_TRY(block_at(pool, &at, chunks, &header));
            if (look != NULL) {
                look(pool, &at, header, seen);
            }
            at.chunk += header->size;
        }
    }
    return PMO_OK;
}

int pmo_heap_check(pmo_pool *pool) {
    return walk_chunks(pool, NULL, NULL);
}

typedef struct pieces {
    uint64_t largest;
    uint64_t row; /* free chunks up to here */
    uint64_t next;
    uint64_t runs;
} pieces;

/* The most free units in a row of one word of the bitmap. */
static uint64_t free_units(const pmo_engine_run *at, run_shape shape) {
    uint64_t most = 0;
    uint64_t row = 0;
    for (uint64_t unit = 0; unit < shape.count; unit++) {
        row = unit_used(at, unit) ? 0 : unit % 64 == 0 ? 1 : row + 1;
        most = row > most ? row : most;
    }
    return most;
}

static void measure(pmo_pool *pool, const pmo_heap_walk *at, const pmo_engine_chunk *block,
                    void *seen) {
    pieces *found = seen;
    uint64_t bytes = 0;
    const uint64_t start = chunk_offset(at);
    if (block->type == PMO_ENGINE_FREE) {
        found->row = start == found->next ? found->row + block->size : block->size;
        found->next = start + block->size * (uint64_t)CHUNK_SIZE;
        bytes = found->row * CHUNK_SIZE - PMO_ALLOCATION_HEADER;
    } else if (block->type == PMO_ENGINE_RUN && found->runs++ < RUNS_LOOKED_AT) {
        const pmo_engine_run *run = pmo_at(pool, start);
        if (pmo_class_piece(run->unit, 1) != 0) {
            bytes = pmo_class_piece(run->unit, free_units(run, shape_of(run, block)));
        }
    }
    found->largest = bytes > found->largest ? bytes : found->largest;
}

uint64_t pmo_heap_largest(pmo_pool *pool) {
    pieces found = {0};
    (void)walk_chunks(pool, measure, &found);
    return found.largest;
}
