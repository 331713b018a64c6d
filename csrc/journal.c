/*
 * Undo records for the bytes of raws. libpmemobj's own undo log takes three times as long
 * for a large range. Records are valid as long as the root's serial is what it was when
 * the transaction began; the transaction itself raises it, so that the records' validity
 * ends, and comes back, together with everything else it changes.
 *
 * While no transaction is open, the chain is at most one block, and that is empty.
 */
#include <stdlib.h>

#include "internal.h"

#define BLOCK_MIN (64u * 1024)
#define BLOCK_KEPT (8u << 20) /* a larger one is given back after its transaction */
#define RECORD_MAX (256u << 20)
#define TRACKED_MIN 4096u /* a shorter range that is saved twice is no loss */

static uint64_t block_check(uint64_t offset, const pmo_journal_block *block) {
    return pmo_fold(block->capacity, offset);
}

static uint64_t record_check(uint64_t offset, const pmo_record *record) {
    return pmo_fold(pmo_fold(record->target, record->size), offset);
}

static uint64_t record_bytes(uint64_t size) {
    return sizeof(pmo_record) + ((size + 7) & ~7ull);
}

static int block_at(pmo_pool *pool, uint64_t offset, pmo_journal_block **block) {
    if (offset % 8 != 0) {
        return pmo_corrupt(pool, offset, "a journal that starts nowhere");
    }
    PMO_TRY(pmo_bounds(pool, offset, sizeof(pmo_journal_block)));
    pmo_journal_block *at = pmo_at(pool, offset);
    if (at->check != block_check(offset, at) || at->used > at->capacity) {
        return pmo_corrupt(pool, offset, "a journal that does not match its check");
    }
    PMO_TRY(pmo_bounds(pool, offset + sizeof *at, at->capacity));
    *block = at;
    return PMO_OK;
}

static void put_word(pmo_pool *pool, uint64_t *place, uint64_t value) {
    *place = value;
    pmemobj_persist(pool->pop, place, sizeof *place);
}

/* ---- saving ------------------------------------------------------------------------- */

static int open_journal(pmo_pool *pool) {
    if (pool->journal_open) {
        return PMO_OK;
    }
    pmo_root *root = pool->root;
    put_word(pool, &root->journal_serial, root->serial);
    PMO_TRY(pmo_undo(pool, &root->serial, sizeof root->serial));
    root->serial++;
    pool->journal_open = true;
    return PMO_OK;
}

static int construct(PMEMobjpool *pop, void *address, void *argument) {
    pmo_journal_block *block = address;
    *block = *(const pmo_journal_block *)argument;
    block->check = block_check((uint64_t)((char *)address - (char *)pop), block);
    pmemobj_persist(pop, block, sizeof *block);
    return 0;
}

static int room_for(pmo_pool *pool, uint64_t bytes, pmo_journal_block **block) {
    uint64_t newest = pool->root->journal;
    if (newest != 0) {
        PMO_TRY(block_at(pool, newest, block));
        if (bytes <= (*block)->capacity - (*block)->used) {
            return PMO_OK;
        }
    }
    uint64_t least =
        newest != 0 && 2 * (*block)->capacity < BLOCK_KEPT ? 2 * (*block)->capacity : BLOCK_MIN;
    pmo_journal_block made = {.next = newest, .capacity = bytes > least ? bytes : least};
    uint64_t offset = 0;
    PMO_TRY(pmo_allocate_now(pool, sizeof made + made.capacity, PMO_NUM_BODY, construct, &made,
                             &offset));
    put_word(pool, &pool->root->journal, offset);
    *block = pmo_at(pool, offset);
    return PMO_OK;
}

static int save(pmo_pool *pool, uint64_t target, uint64_t size) {
    PMO_TRY(open_journal(pool));
    pmo_journal_block *block = NULL;
    PMO_TRY(room_for(pool, record_bytes(size), &block));
    pmo_record *record = (pmo_record *)(void *)((char *)(block + 1) + block->used);
    *record = (pmo_record){.target = target, .size = size};
    record->check = record_check(pmo_offset_of(pool, record), record);
    memcpy(record + 1, pmo_at(pool, target), size);
    pmemobj_persist(pool->pop, record, sizeof *record + size);
    put_word(pool, &block->used, block->used + record_bytes(size));
    pool->writes++;
    pool->counters.undo_records++;
    pool->counters.undo_bytes += size;
    return PMO_OK;
}

static int save_in_parts(pmo_pool *pool, uint64_t target, uint64_t size) {
    while (size > 0) {
        uint64_t part = size < RECORD_MAX ? size : RECORD_MAX;
        PMO_TRY(save(pool, target, part));
        target += part;
        size -= part;
    }
    return PMO_OK;
}

/* The tracked ranges are start, end pairs, in order and apart from each other. Gives the
 * index of the first one that ends behind target. */
static uint64_t first_behind(const pmo_vector *tracked, uint64_t target) {
    uint64_t low = 0;
    uint64_t high = tracked->count / 2;
    while (low < high) {
        uint64_t middle = (low + high) / 2;
        if (tracked->items[2 * middle + 1] <= target) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Ranges from..to-1 of the tracked ones become one: [start, end). */
static int track(pmo_vector *tracked, uint64_t from, uint64_t to, uint64_t start,
                 uint64_t end) {
    if (from == to) {
        PMO_TRY(pmo_vector_push(tracked, 0));
        PMO_TRY(pmo_vector_push(tracked, 0));
        to++;
        uint64_t *place = tracked->items + 2 * from;
        memmove(place + 2, place, (tracked->count - 2 * to) * sizeof *place);
        place[0] = start;
        place[1] = end;
        return PMO_OK;
    }
    uint64_t *place = tracked->items + 2 * from;
    uint64_t last = tracked->items[2 * to - 1];
    place[0] = start < place[0] ? start : place[0];
    place[1] = end > last ? end : last;
    memmove(place + 2, tracked->items + 2 * to, (tracked->count - 2 * to) * sizeof *place);
    tracked->count -= 2 * (to - from - 1);
    return PMO_OK;
}

int pmo_journal_save(pmo_pool *pool, uint64_t target, uint64_t size) {
    PMO_TRY(pmo_bounds(pool, target, size));
    pmo_vector *tracked = &pool->saved;
    uint64_t end = target + size;
    uint64_t from = first_behind(tracked, target);
    uint64_t to = from;
    uint64_t next = target;
    for (; to < tracked->count / 2 && tracked->items[2 * to] < end; to++) {
        uint64_t start = tracked->items[2 * to];
        if (start > next) {
            PMO_TRY(save_in_parts(pool, next, start - next));
        }
        next = tracked->items[2 * to + 1];
    }
    if (next < end) {
        PMO_TRY(save_in_parts(pool, next, end - next));
    }
    return size >= TRACKED_MIN ? track(tracked, from, to, target, end) : PMO_OK;
}

/* ---- the end of a transaction --------------------------------------------------------- */

/* Places of all records, oldest first. */
static int collect(pmo_pool *pool, pmo_vector *records) {
    pmo_vector blocks = {0};
    int status = PMO_OK;
    for (uint64_t offset = pool->root->journal; offset != 0 && status == PMO_OK;) {
        pmo_journal_block *block = NULL;
        status = block_at(pool, offset, &block);
        if (status == PMO_OK) {
            status = pmo_vector_push(&blocks, offset);
            offset = block->next;
        }
        if (blocks.count > pool->limit / BLOCK_MIN) {
            status = pmo_corrupt(pool, offset, "a journal without end");
        }
    }
    while (blocks.count > 0 && status == PMO_OK) {
        uint64_t start = blocks.items[--blocks.count];
        const pmo_journal_block *block = pmo_at(pool, start);
        uint64_t end = start + sizeof *block + block->used;
        for (uint64_t at = start + sizeof *block; at < end && status == PMO_OK;) {
            const pmo_record *record = pmo_at(pool, at);
            bool sound = end - at >= sizeof *record &&
                         record->check == record_check(at, record) &&
                         record->size <= RECORD_MAX && record_bytes(record->size) <= end - at;
            if (!sound) {
                status = pmo_corrupt(pool, at, "a journal record that makes no sense");
                break;
            }
            status = pmo_bounds(pool, record->target, record->size);
            if (status == PMO_OK) {
                status = pmo_vector_push(records, at);
            }
            at += record_bytes(record->size);
        }
    }
    pmo_vector_free(&blocks);
    return status;
}

/* Nothing is valid any more; one block of moderate size stays, for the next transaction. */
static void empty_chain(pmo_pool *pool) {
    pmo_root *root = pool->root;
    pmo_journal_block *block = NULL;
    for (uint64_t at = root->journal; at != 0 && block_at(pool, at, &block) == PMO_OK;) {
        put_word(pool, &block->used, 0);
        at = block->next;
    }
    if (block_at(pool, root->journal, &block) != PMO_OK) {
        return;
    }
    uint64_t rest = block->next;
    if (block->capacity <= BLOCK_KEPT) {
        put_word(pool, &block->next, 0);
    } else {
        rest = root->journal;
        put_word(pool, &root->journal, 0);
    }
    while (rest != 0 && block_at(pool, rest, &block) == PMO_OK) {
        uint64_t following = block->next;
        pmo_deallocate_now(pool, rest);
        rest = following;
    }
}

static void forget(pmo_pool *pool) {
    pool->journal_open = false;
    pool->saved.count = 0;
}

void pmo_journal_flush(pmo_pool *pool) {
    pmo_vector records = {0};
    if (pool->journal_open && collect(pool, &records) == PMO_OK) {
        for (uint64_t i = 0; i < records.count; i++) {
            const pmo_record *record = pmo_at(pool, records.items[i]);
            pmemobj_flush(pool->pop, pmo_at(pool, record->target), record->size);
        }
        pmemobj_drain(pool->pop);
    }
    pmo_vector_free(&records);
}

void pmo_journal_drop(pmo_pool *pool) {
    if (pool->journal_open) {
        empty_chain(pool);
    }
    forget(pool);
}

static int revert(pmo_pool *pool) {
    pmo_vector records = {0};
    int status = collect(pool, &records);
    for (uint64_t i = records.count; i > 0 && status == PMO_OK; i--) {
        const pmo_record *record = pmo_at(pool, records.items[i - 1]);
        char *target = pmo_at(pool, record->target);
        memcpy(target, record + 1, record->size);
        pmemobj_persist(pool->pop, target, record->size);
    }
    pmo_vector_free(&records);
    return status;
}

void pmo_journal_revert(pmo_pool *pool) {
    if (pool->journal_open) {
        (void)revert(pool);
        empty_chain(pool);
    }
    forget(pool);
}

int pmo_journal_recover(pmo_pool *pool) {
    pmo_root *root = pool->root;
    if (root->journal == 0) {
        return PMO_OK;
    }
    pmo_journal_block *block = NULL;
    PMO_TRY(block_at(pool, root->journal, &block));
    if (block->used == 0 && block->next == 0) {
        return PMO_OK;
    }
    if (root->serial == root->journal_serial) {
        PMO_TRY(revert(pool));
    }
    /* The blocks are garbage now, for the collection after an unclean end. */
    put_word(pool, &root->journal, 0);
    return PMO_OK;
}
