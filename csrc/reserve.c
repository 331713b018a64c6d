#include "internal.h"

/* Whole chunks of libpmemobj's, or in a small pool a block that shares one with others. */
#define CHUNK 262144u
#define CHUNKS_MAX 4u
#define SMALL_POOL (16u << 20)
#define SMALL_RESERVE 15000u
#define SHARE 256u /* of the pool: one in so many bytes */

static uint64_t check_of(const pmo_root *root) {
    return pmo_fold(root->reserve, root->reserve_size ^ root->hash_key[0]);
}

static uint64_t size_for(uint64_t pool_size) {
    if (pool_size < SMALL_POOL) {
        return SMALL_RESERVE;
    }
    uint64_t chunks = pool_size / SHARE / CHUNK;
    chunks = chunks < 1 ? 1 : chunks > CHUNKS_MAX ? CHUNKS_MAX : chunks;
    return chunks * CHUNK - PMO_ALLOCATION_HEADER;
}

/* No class of ours: their blocks would set more aside than this takes. */
static int allocate_chunks(pmo_pool *pool, uint64_t size, uint64_t *offset) {
    PMEMoid oid = pmemobj_tx_xalloc(size, PMO_NUM_BODY, POBJ_XALLOC_NO_ABORT);
    if (OID_IS_NULL(oid)) {
        return pmo_fail_full(pool, size);
    }
    pool->used += pmo_taken_bytes(pool, oid.off);
    *offset = oid.off;
    return PMO_OK;
}

int pmo_reserve_make(pmo_pool *pool, uint64_t pool_size) {
    uint64_t size = size_for(pool_size != 0 ? pool_size : UINT64_MAX);
    uint64_t offset = 0;
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    int status = size < CHUNK / 2 ? pmo_allocate(pool, size, PMO_NUM_BODY, false, &offset)
                                  : allocate_chunks(pool, size, &offset);
    PMO_TRY(pmo_op_end(pool, &op, status));
    pmo_root *root = pool->root;
    root->reserve = offset;
    root->reserve_size = size;
    root->reserve_check = check_of(root);
    return PMO_OK;
}

uint64_t pmo_reserve_offset(const pmo_pool *pool) {
    return pool->reserve ? pool->root->reserve : 0;
}

void pmo_reserve_find(pmo_pool *pool) {
    const pmo_root *root = pool->root;
    bool sound = root->reserve != 0 && root->reserve_check == check_of(root) &&
                 pmo_is_allocation(pool, root->reserve);
    pool->reserve = sound ? root->reserve_size : 0;
    uint64_t room = pool->limit - pmo_heap_start(pool);
    /* An elastic pool grows, until it fails to. */
    pool->ample = pool->parts != NULL ? UINT64_MAX : room - room / 8;
}

void pmo_reserve_lend(pmo_pool *pool) {
    if (pool->reserve != 0) {
        /* Refused, the transaction is as good as it was without. */
        (void)pmemobj_tx_xlog_append_buffer(TX_LOG_TYPE_SNAPSHOT,
                                            pmo_at(pool, pool->root->reserve), pool->reserve,
                                            POBJ_XLOG_APPEND_BUFFER_NO_ABORT);
    }
}

void pmo_reserve_note_full(pmo_pool *pool) {
    uint64_t ample = pool->used - pool->used / 8;
    pool->ample = ample < pool->ample ? ample : pool->ample;
}
