#include <errno.h>
#include <stdio.h>

#include "internal.h"

/*
 * libpmemobj's own allocation classes set whole chunks of 256 KiB and more aside for
 * each of many sizes, up to 4 MiB at a time, and a small pool is full of them long before
 * it is full of data. The first three of these classes take their place for middle sizes;
 * libpmemobj's remain for small ones, and large ones get chunks of their own.
 *
 * When the class that suits a size best finds no room, the larger ones are tried: they
 * have blocks that are partly free, or need fewer chunks in a row. The last ones, of one
 * block that fills its chunks, serve only then.
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
    IN_CHUNKS(204, 1),
    IN_CHUNKS(205, 2),
    IN_CHUNKS(206, 3),
    IN_CHUNKS(207, 4),
    IN_CHUNKS(208, 6),
    IN_CHUNKS(209, 8),
};
#define CLASSES (sizeof classes / sizeof *classes)
#define SMALL 512u
/* One allocation may take at most this many units of a class. */
#define UNITS_MAX 60u

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

static bool class_holds(const struct pobj_alloc_class_desc *class, uint64_t size) {
    uint64_t units = class->units_per_block;
    if (units > 1) {
        units = units < UNITS_MAX ? units - 1 : UNITS_MAX;
    }
    return size + PMO_ALLOCATION_HEADER <= units * class->unit_size;
}

/* The one that suits the size best; 0: libpmemobj's choice. */
static uint64_t class_of(uint64_t size) {
    for (size_t i = 0; size + PMO_ALLOCATION_HEADER > SMALL && i < CLASSES; i++) {
        if (class_holds(&classes[i], size)) {
            return POBJ_CLASS_ID(classes[i].class_id);
        }
    }
    return 0;
}

static PMEMoid allocate(uint64_t size, uint64_t type_num, uint64_t flags) {
    PMEMoid oid = OID_NULL;
    bool small = size + PMO_ALLOCATION_HEADER <= SMALL;
    if (small) {
        oid = pmemobj_tx_xalloc(size, type_num, flags);
    }
    for (size_t i = 0; OID_IS_NULL(oid) && i < CLASSES; i++) {
        if (class_holds(&classes[i], size)) {
            oid = pmemobj_tx_xalloc(size, type_num, flags | POBJ_CLASS_ID(classes[i].class_id));
        }
    }
    if (OID_IS_NULL(oid) && !small) {
        oid = pmemobj_tx_xalloc(size, type_num, flags);
    }
    return oid;
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
    uint64_t flags = POBJ_XALLOC_NO_ABORT | (zero ? POBJ_XALLOC_ZERO : 0);
    PMEMoid oid = allocate(size, type_num, flags);
    if (OID_IS_NULL(oid)) {
        return errno == ENOMEM ? pmo_fail_full(pool, size) : pmo_fail_system(pool, errno);
    }
    pool->writes++;
    pool->counters.allocations++;
    pool->used += pmo_taken_bytes(pool, oid.off);
    *offset = oid.off;
    pmo_map_remove(&pool->freed, oid.off);
    pmo_map_remove(&pool->dying, oid.off);
    return type_num == PMO_NUM_BODY ? PMO_OK : pmo_vector_push(&pool->created, oid.off);
}

int pmo_deallocate(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(pmo_bounds(pool, offset, 1));
    PMEMoid oid = {pool->uuid_lo, offset};
    uint64_t size = pmo_taken_bytes(pool, offset);
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
    uint64_t flags = class_of(size);
    if (pmemobj_xalloc(pool->pop, &oid, size, type_num, flags, constructor, argument) != 0) {
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
