#include "internal.h"

static int must_be_open(const pmo_pool *pool) {
    PMO_TRY(pmo_usable(pool));
    return pool->tx_open ? PMO_OK : PMO_ENOTX;
}

static int plausible(pmo_pool *pool, uint64_t offset) {
    if (offset == 0 || offset % 16 != 0) {
        return PMO_EINVAL;
    }
    return pmo_bounds(pool, offset, 1) == PMO_OK ? PMO_OK : PMO_EINVAL;
}

static uint64_t usable_size(const pmo_pool *pool, uint64_t offset) {
    return pmemobj_alloc_usable_size((PMEMoid){pool->uuid_lo, offset});
}

static uint64_t type_num(const pmo_pool *pool, uint64_t offset) {
    return pmemobj_type_num((PMEMoid){pool->uuid_lo, offset});
}

int pmo_alloc(pmo_pool *pool, uint64_t size, uint64_t number, int zero, uint64_t *offset) {
    PMO_TRY(must_be_open(pool));
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, pmo_allocate(pool, size, number, zero != 0, offset));
}

static int move(pmo_pool *pool, uint64_t offset, uint64_t size, bool zero, uint64_t *moved) {
    uint64_t old = usable_size(pool, offset);
    uint64_t kept = old < size ? old : size;
    uint64_t number = type_num(pool, offset);
    PMO_TRY(pmo_allocate(pool, size, number, true, moved));
    if (!zero) {
        memcpy(pmo_at(pool, *moved), pmo_at(pool, offset), kept);
        pmo_header *header = NULL;
        bool object = number == PMO_NUM_OBJECT && kept >= sizeof(pmo_header) &&
                      pmo_header_at(pool, offset, &header) == PMO_OK;
        if (object) {
            ((pmo_header *)pmo_at(pool, *moved))->check = pmo_header_check(*moved, header->type);
        }
    }
    return pmo_deallocate(pool, offset);
}

int pmo_realloc(pmo_pool *pool, uint64_t offset, uint64_t size, int zero, uint64_t *moved) {
    PMO_TRY(must_be_open(pool));
    PMO_TRY(plausible(pool, offset));
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, move(pool, offset, size, zero != 0, moved));
}

int pmo_free(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(must_be_open(pool));
    PMO_TRY(plausible(pool, offset));
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    if (pmo_map_find(&pool->freed, offset) != NULL) {
        return pmo_op_end(pool, &op, PMO_EINVAL);
    }
    int status = pmo_deallocate(pool, offset);
    if (status == PMO_OK) {
        pmo_map_remove(&pool->pins, offset);
        status = pmo_map_add(&pool->freed, offset, 1);
    }
    return pmo_op_end(pool, &op, status);
}

int pmo_snapshot(pmo_pool *pool, uint64_t offset, uint64_t size) {
    PMO_TRY(must_be_open(pool));
    if (size == 0 || pmo_bounds(pool, offset, size) != PMO_OK) {
        return PMO_EINVAL;
    }
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, pmo_undo(pool, pmo_at(pool, offset), size));
}

int64_t pmo_type_num(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(pmo_usable(pool));
    PMO_TRY(plausible(pool, offset));
    return (int64_t)type_num(pool, offset);
}

int64_t pmo_usable_size(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(pmo_usable(pool));
    PMO_TRY(plausible(pool, offset));
    return (int64_t)usable_size(pool, offset);
}

void *pmo_direct(pmo_pool *pool, uint64_t offset) {
    if (pmo_usable(pool) != PMO_OK || offset == 0 || pmo_bounds(pool, offset, 1) != PMO_OK) {
        return NULL;
    }
    return pmo_at(pool, offset);
}
