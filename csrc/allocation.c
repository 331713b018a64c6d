#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "internal.h"

/*
 * libpmemobj's own allocation classes set whole chunks of 256 KiB and more aside for
 * each of many sizes, up to 4 MiB at a time, and a small pool is full of them long before
 * it is full of data. The first four of these classes take their place for middle sizes;
 * libpmemobj's remain for small ones, and large ones get chunks of their own. Fifteen units of
 * the fourth hold 1 MiB and what is added to it, a block holds four such: powers of two are
 * common, and just too large for whole chunks.
 *
 * A size is served first by what takes least of the pool for it. When that finds no room, the
 * others are tried: they have blocks that are partly free, or need fewer chunks in a row. The
 * last ones, of one block that fills its chunks, serve only then: up to 9.3 chunks libpmemobj
 * by itself wants a block of 16.
 */
#define CHUNK 262144u
#define CHUNKS_OVERHEAD 512u
#define IN_CHUNKS(id, chunks)                                                                  \
    {                                                                                          \
        .unit_size = (chunks)*CHUNK - CHUNKS_OVERHEAD, .units_per_block = 1,                   \
        .header_type = POBJ_HEADER_COMPACT, .class_id = (id)                                   \
    }

static const struct pobj_alloc_class_desc classes[] = {
    {.unit_size = 256,
     .units_per_block = 1000,
     .header_type = POBJ_HEADER_COMPACT,
     .class_id = 201},
    {.unit_size = 4096,
     .units_per_block = 126,
     .header_type = POBJ_HEADER_COMPACT,
     .class_id = 202},
    {.unit_size = 65536,
     .units_per_block = 31,
     .header_type = POBJ_HEADER_COMPACT,
     .class_id = 203},
    {.unit_size = 69952,
     .units_per_block = 63,
     .header_type = POBJ_HEADER_COMPACT,
     .class_id = 204},
    IN_CHUNKS(205, 1),
    IN_CHUNKS(206, 2),
    IN_CHUNKS(207, 3),
    IN_CHUNKS(208, 4),
    IN_CHUNKS(209, 6),
    IN_CHUNKS(210, 8),
    IN_CHUNKS(211, 10),
};
#define CLASSES (sizeof classes / sizeof *classes)
#define SHARED 4u /* of them have several units in a block; */
#define ROOMY 3u  /* the last one's are too large for small pools */
#define ROOMY_POOL (64ull << 20)
#define SMALL 512u
/* One allocation may take at most this many units of a class, */
#define UNITS_MAX 60u
/* and they are of one word of the block's bitmap. */
#define WORD 64u

int pmo_register_classes(PMEMobjpool *pop) {
    for (size_t i = 0; i < CLASSES; i++) {
        struct pobj_alloc_class_desc wanted = classes[i];
        char name[64];
        snprintf(name, sizeof name, "heap.alloc_class.%u.desc", wanted.class_id);
        if (pmemobj_ctl_set(pop, name, &wanted) != 0) {
            return -1;
        }
    }
    return 0;
}

static uint64_t most_units(const struct pobj_alloc_class_desc *class) {
    const uint64_t units = class->units_per_block;
    return units == 1 ? 1 : units <= UNITS_MAX ? units - 1 : UNITS_MAX;
}

static uint64_t block_of(const struct pobj_alloc_class_desc *class) {
    return (class->units_per_block * class->unit_size + CHUNK - 1) / CHUNK * CHUNK;
}

static bool class_holds(const struct pobj_alloc_class_desc *class, uint64_t size) {
    return size + PMO_ALLOCATION_HEADER <= most_units(class) * class->unit_size;
}

uint64_t pmo_class_piece(uint64_t unit, uint64_t free) {
    for (size_t i = 0; i < CLASSES && free > 0; i++) {
        if (classes[i].unit_size == unit) {
            const uint64_t most = most_units(&classes[i]);
            return (free < most ? free : most) * unit - PMO_ALLOCATION_HEADER;
        }
    }
    return 0;
}

/* How many allocations of a size a block of the class has room for. */
static uint64_t fit_of(const struct pobj_alloc_class_desc *class, uint64_t size) {
    const uint64_t units =
        (size + PMO_ALLOCATION_HEADER + class->unit_size - 1) / class->unit_size;
    const uint64_t there = (block_of(class) - CHUNKS_OVERHEAD) / class->unit_size;
    return there / WORD * (WORD / units) + there % WORD / units;
}

/* In a small pool the first class whose blocks can be shared: libpmemobj's own logs need many
 * chunks in a row, so as few as possible are divided up. */
static size_t frugal_class(uint64_t size) {
    for (size_t i = 0; i < ROOMY; i++) {
        if (class_holds(&classes[i], size) && fit_of(&classes[i], size) > 1) {
            return i;
        }
    }
    return CLASSES;
}

/* The class for a size; CLASSES: libpmemobj's choice, whole chunks unless the size is small. */
static size_t best_class(const pmo_pool *pool, uint64_t size) {
    const uint64_t whole = size + PMO_ALLOCATION_HEADER;
    size_t best = CLASSES;
    if (whole <= SMALL || whole <= classes[1].unit_size) {
        return whole <= SMALL ? CLASSES : 0;
    }
    if (pool->parts == NULL && pool->limit < ROOMY_POOL) {
        return frugal_class(size);
    }
    uint64_t least = (whole + CHUNK - 1) / CHUNK * CHUNK;
    for (size_t i = 0; i < SHARED; i++) {
        if (class_holds(&classes[i], size)) {
            const uint64_t share = block_of(&classes[i]) / fit_of(&classes[i], size);
            best = share <= least ? i : best;
            least = share <= least ? share : least;
        }
    }
    return best;
}

/* The one to try after *class, of those that are worse than the best. */
static bool next_class(const pmo_pool *pool, uint64_t size, size_t *class) {
    const size_t best = best_class(pool, size);
    size_t next = *class == best ? 0 : *class + 1;
    while (next == best || (next < CLASSES && !class_holds(&classes[next], size))) {
        next++;
    }
    *class = next;
    return next <= CLASSES;
}

static uint64_t flag_of(size_t class) {
    return class < CLASSES ? POBJ_CLASS_ID(classes[class].class_id) : 0;
}

static PMEMoid allocate(const pmo_pool *pool, uint64_t size, uint64_t type_num,
                        uint64_t flags) {
    size_t class = best_class(pool, size);
    PMEMoid oid;
    do {
        oid = pmemobj_tx_xalloc(size, type_num, flags | flag_of(class));
    } while (OID_IS_NULL(oid) && next_class(pool, size, &class));
    return oid;
}

/* ---- many together ---------------------------------------------------------------------- */

#define TOGETHER_MOST 4096u /* reservations that enter the transaction at once */

/* Bytes of one page and the next: what lies between them is flushed with them. */
static bool follows(const pmo_extent *extent, uint64_t start) {
    return start >= extent->start && start <= extent->end + PMO_RAW_PAGE;
}

static void flush_extent(pmo_pool *pool, pmo_extent *extent) {
    if (extent->end > extent->start) {
        pmo_fresh(pool, pmo_at(pool, extent->start), extent->end - extent->start);
    }
}

/* What lies in rows is flushed in one piece, in the end. Sizes that belong to several classes
 * make several rows side by side. */
static int note_new(pmo_together *all, uint64_t start, uint64_t end) {
    for (uint64_t i = 0; i < PMO_ROWS; i++) {
        pmo_extent *row = &all->rows[i];
        if (row->end != 0 && follows(row, start)) {
            row->end = end > row->end ? end : row->end;
            return PMO_OK;
        }
    }
    pmo_extent *oldest = &all->rows[all->next_row++ % PMO_ROWS];
    if (oldest->end != 0) {
        PMO_TRY(pmo_vector_push(&all->extents, oldest->start));
        PMO_TRY(pmo_vector_push(&all->extents, oldest->end));
    }
    *oldest = (pmo_extent){.start = start, .end = end};
    return PMO_OK;
}

static void flush_new(pmo_pool *pool) {
    pmo_together *all = &pool->together;
    for (uint64_t i = 0; i < PMO_ROWS; i++) {
        flush_extent(pool, &all->rows[i]);
    }
    for (uint64_t i = 0; i < all->extents.count; i += 2) {
        flush_extent(pool, &(pmo_extent){.start = all->extents.items[i],
                                         .end = all->extents.items[i + 1]});
    }
}

/* The reservations become a part of the transaction. */
static int enter(pmo_pool *pool) {
    pmo_together *all = &pool->together;
    if (all->count > 0 &&
        pmemobj_tx_xpublish(all->actions, all->count, POBJ_XPUBLISH_NO_ABORT) != 0) {
        return errno == ENOMEM ? pmo_fail_full(pool, 64) : pmo_fail_system(pool, errno);
    }
    all->count = 0;
    return PMO_OK;
}

static int room_for_one(pmo_pool *pool) {
    pmo_together *all = &pool->together;
    if (all->count == TOGETHER_MOST) {
        PMO_TRY(enter(pool));
    }
    if (all->count == all->room) {
        uint64_t room = all->room ? all->room * 2 : 16;
        struct pobj_action *moved = realloc(all->actions, room * sizeof *moved);
        if (moved == NULL) {
            return PMO_ENOMEM;
        }
        all->actions = moved;
        all->room = room;
    }
    return PMO_OK;
}

void pmo_together_start(pmo_pool *pool) {
    pool->together = (pmo_together){.on = true};
    pool->reserved = true;
}

int pmo_together_end(pmo_pool *pool, int status) {
    pmo_together *all = &pool->together;
    if (status == PMO_OK) {
        status = enter(pool);
    }
    if (status == PMO_OK) {
        flush_new(pool);
    } else {
        pmemobj_cancel(pool->pop, all->actions, all->count);
    }
    free(all->actions);
    pmo_vector_free(&all->extents);
    *all = (pmo_together){0};
    return status;
}

int pmo_cover(pmo_pool *pool, uint64_t offset) {
    int error =
        pmemobj_tx_xadd_range_direct(pmo_at(pool, offset), pmo_usable_bytes(pool, offset),
                                     POBJ_XADD_NO_SNAPSHOT | POBJ_XADD_NO_ABORT);
    return error == 0 ? PMO_OK : pmo_fail_system(pool, error);
}

static int reserve(pmo_pool *pool, uint64_t size, uint64_t type_num, PMEMoid *oid) {
    PMO_TRY(room_for_one(pool));
    pmo_together *all = &pool->together;
    struct pobj_action *action = &all->actions[all->count];
    size_t class = best_class(pool, size);
    do {
        *oid = pmemobj_xreserve(pool->pop, action, size, type_num, flag_of(class));
    } while (OID_IS_NULL(*oid) && next_class(pool, size, &class));
    if (OID_IS_NULL(*oid)) {
        return errno == ENOMEM ? pmo_fail_full(pool, size) : pmo_fail_system(pool, errno);
    }
    all->count++;
    pool->used += action->heap.usable_size + PMO_ALLOCATION_HEADER;
    return type_num == PMO_NUM_BODY ? pmo_cover(pool, oid->off)
                                    : note_new(all, oid->off, oid->off + size);
}

static int allocate_one(pmo_pool *pool, uint64_t size, uint64_t type_num, uint64_t flags,
                        PMEMoid *oid) {
    *oid = allocate(pool, size, type_num, flags | POBJ_XALLOC_NO_ABORT);
    if (OID_IS_NULL(*oid)) {
        return errno == ENOMEM ? pmo_fail_full(pool, size) : pmo_fail_system(pool, errno);
    }
    pool->used += pmo_taken_bytes(pool, oid->off);
    return PMO_OK;
}

int pmo_allocate(pmo_pool *pool, uint64_t size, uint64_t type_num, bool zero,
                 uint64_t *offset) {
    if (size == 0) {
        return PMO_EINVAL;
    }
    if (size > PMEMOBJ_MAX_ALLOC_SIZE) {
        pool->failure = (pmo_failure_info){.requested = size};
        return PMO_ETOOBIG;
    }
    if (pmo_injected(pool)) {
        return pmo_fail_full(pool, size);
    }
    PMEMoid oid;
    PMO_TRY(pool->together.on && !zero
                ? reserve(pool, size, type_num, &oid)
                : allocate_one(pool, size, type_num, zero ? POBJ_XALLOC_ZERO : 0, &oid));
    pool->writes++;
    pool->counters.allocations++;
    *offset = oid.off;
    pmo_map_remove(&pool->freed, oid.off);
    pmo_map_remove(&pool->dying, oid.off);
    return type_num == PMO_NUM_BODY ? PMO_OK : pmo_vector_push(&pool->created, oid.off);
}

int pmo_deallocate(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(pmo_bounds(pool, offset, 1));
    PMEMoid oid = {pool->uuid_lo, offset};
    uint64_t size = pmo_taken_bytes(pool, offset);
    /* libpmemobj takes back what the transaction itself has made only if it finds it so. */
    if (pool->reserved && pmo_is_created(pool, offset)) {
        PMO_TRY(pmo_cover(pool, offset));
    } else if (pool->reserved && pool->known_to < pool->created.count) {
        return PMO_ENOMEM;
    }
    int error = pmemobj_tx_xfree(oid, POBJ_XFREE_NO_ABORT);
    if (error != 0) {
        return error == ENOMEM ? pmo_fail_full(pool, 64) : pmo_fail_system(pool, error);
    }
    pmo_map_remove(&pool->safe, offset);
    pool->writes++;
    pool->counters.frees++;
    pool->used -= size < pool->used ? size : pool->used;
    return pool->tx_open ? pmo_map_add(&pool->freed, offset, 1) : PMO_OK;
}

int pmo_allocate_now(pmo_pool *pool, uint64_t size, uint64_t type_num,
                     pmemobj_constr constructor, void *argument, uint64_t *offset) {
    if (size > PMEMOBJ_MAX_ALLOC_SIZE) {
        pool->failure = (pmo_failure_info){.requested = size};
        return PMO_ETOOBIG;
    }
    if (!pool->tx_open && pmemobj_tx_stage() != TX_STAGE_NONE) {
        return PMO_EOTHERPOOL;
    }
    if (pmo_injected(pool)) {
        return pmo_fail_full(pool, size);
    }
    pmo_activate(pool);
    PMEMoid oid = OID_NULL;
    size_t class = best_class(pool, size);
    int failed;
    do {
        failed = pmemobj_xalloc(pool->pop, &oid, size, type_num, flag_of(class), constructor,
                                argument);
    } while (failed != 0 && errno == ENOMEM && next_class(pool, size, &class));
    if (failed != 0) {
        return errno == ENOMEM ? pmo_fail_full(pool, size) : pmo_fail_system(pool, errno);
    }
    uint64_t bytes = pmo_taken_bytes(pool, oid.off);
    pool->writes++;
    pool->counters.allocations++;
    pool->used += bytes;
    pool->used_before += bytes;
    *offset = oid.off;
    return PMO_OK;
}

void pmo_deallocate_now(pmo_pool *pool, uint64_t offset) {
    PMEMoid oid = {pool->uuid_lo, offset};
    uint64_t bytes = pmo_taken_bytes(pool, offset);
    pmo_activate(pool);
    pmemobj_free(&oid);
    pool->writes++;
    pool->counters.frees++;
    pool->used -= bytes < pool->used ? bytes : pool->used;
    pool->used_before -= bytes < pool->used_before ? bytes : pool->used_before;
}
