#include "internal.h"

static int must_be_open(pmo_pool *pool) {
    PMO_TRY(pmo_usable(pool));
    return pool->tx_open ? PMO_OK : PMO_ENOTX;
}

static int allocated(pmo_pool *pool, uint64_t offset) {
    return pmo_is_allocation(pool, offset) ? PMO_OK : PMO_EINVAL;
}

static uint64_t type_num(const pmo_pool *pool, uint64_t offset) {
    return pmemobj_type_num((PMEMoid){pool->uuid_lo, offset});
}

/* The root block, the type table and containers' bodies are not the caller's to free. */
static int disposable(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(allocated(pool, offset));
    bool own = offset == pmo_offset_of(pool, pool->root) || offset == pool->root->types ||
               type_num(pool, offset) == PMO_NUM_BODY;
    return own ? PMO_EINVAL : PMO_OK;
}

int pmo_alloc(pmo_pool *pool, uint64_t size, uint64_t number, int zero, uint64_t *offset) {
    PMO_TRY(must_be_open(pool));
    if (number == PMO_NUM_BODY) {
        return PMO_EINVAL;
    }
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, pmo_allocate(pool, size, number, zero != 0, offset));
}

static int move(pmo_pool *pool, uint64_t offset, uint64_t size, bool zero, uint64_t *moved) {
    uint64_t old = pmo_usable_bytes(pool, offset);
    uint64_t kept = old < size ? old : size;
    uint64_t number = type_num(pool, offset);
    PMO_TRY(pmo_allocate(pool, size, number, true, moved));
    if (!zero) {
        memcpy(pmo_at(pool, *moved), pmo_at(pool, offset), kept);
        pmo_header *header = NULL;
        bool object = number == PMO_NUM_OBJECT && kept >= sizeof(pmo_header) &&
                      pmo_header_at(pool, offset, &header) == PMO_OK;
        if (object) {
            ((pmo_header *)pmo_at(pool, *moved))->check =
                pmo_header_check(*moved, header->type);
        }
    }
    pmo_map_remove(&pool->pins, offset);
    return pmo_deallocate(pool, offset);
}

int pmo_realloc(pmo_pool *pool, uint64_t offset, uint64_t size, int zero, uint64_t *moved) {
    PMO_TRY(must_be_open(pool));
    PMO_TRY(disposable(pool, offset));
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, move(pool, offset, size, zero != 0, moved));
}

int pmo_free(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(must_be_open(pool));
    PMO_TRY(disposable(pool, offset));
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    int status = pmo_deallocate(pool, offset);
    if (status == PMO_OK) {
        pmo_map_remove(&pool->pins, offset);
    }
    return pmo_op_end(pool, &op, status);
}

int pmo_snapshot(pmo_pool *pool, uint64_t offset, uint64_t size) {
    PMO_TRY(must_be_open(pool));
    if (size == 0 || offset < pmo_heap_start(pool) ||
        pmo_bounds(pool, offset, size) != PMO_OK) {
        return PMO_EINVAL;
    }
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, pmo_undo(pool, pmo_at(pool, offset), size));
}

int64_t pmo_type_num(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(pmo_usable(pool));
    PMO_TRY(allocated(pool, offset));
    return (int64_t)type_num(pool, offset);
}

int64_t pmo_usable_size(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(pmo_usable(pool));
    PMO_TRY(allocated(pool, offset));
    return (int64_t)pmo_usable_bytes(pool, offset);
}

void *pmo_direct(pmo_pool *pool, uint64_t offset) {
    if (pmo_usable(pool) != PMO_OK || !pmo_is_allocation(pool, offset)) {
        return NULL;
    }
    return pmo_at(pool, offset);
}

void *pmo_base(pmo_pool *pool) {
    return pool->base;
}
