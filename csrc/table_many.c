/*
 * Tables (dict, set, attributes): many keys or pairs with one call and in one transaction.
 */
#include "table.h"

#define LARGE_PART 32u /* keys */

typedef struct pair_cursor {
    const pmo_keys *source;
    pmo_feed keys;
    pmo_feed values;
    uint64_t canon;
} pair_cursor;

static pair_cursor pairs_of(const pmo_keys *keys, const pmo_batch *values) {
    return (pair_cursor){
        .source = keys, .keys = {.batch = &keys->values}, .values = {.batch = values}};
}

static int next_pair(pair_cursor *at, pmo_pair *pair) {
    const int64_t *lengths = at->source->canon_lengths;
    int64_t length = lengths ? lengths[at->keys.next] : 0;
    pair->canon_length = length > 0 ? (uint64_t)length : 0;
    pair->canon = pair->canon_length ? at->source->canon + at->canon : NULL;
    at->canon += pair->canon_length;
    PMO_TRY(pmo_feed_next(&at->keys, &pair->key));
    return at->values.batch ? pmo_feed_next(&at->values, &pair->value) : PMO_OK;
}

/* Are all keys of a form that is known? Checked before anything is done. */
static int measure_keys(const pmo_keys *keys) {
    pair_cursor at = pairs_of(keys, NULL);
    for (uint64_t i = 0; i < keys->values.count; i++) {
        pmo_pair pair;
        PMO_TRY(next_pair(&at, &pair));
        PMO_TRY(pmo_value_valid(pair.key.tag, pair.key.number, pair.key.data));
    }
    return PMO_OK;
}

/* Look the cursor's next key up, see pmo_table_locate. */
static int locate_next(pmo_pool *pool, const pmo_table *table, pair_cursor *at, uint64_t *entry,
                       uint64_t *slot) {
    pmo_pair pair;
    pmo_key key;
    PMO_TRY(next_pair(at, &pair));
    PMO_TRY(pmo_key_make(&pair.key, pair.canon, pair.canon_length, &key));
    return pmo_table_locate(pool, table, &key, entry, slot);
}

/* Check every pair before the first is written, and sum up what they need. */
static int measure(pmo_change *change, const pmo_keys *keys, const pmo_batch *values) {
    pair_cursor at = pairs_of(keys, values);
    for (uint64_t i = 0; i < keys->values.count; i++) {
        pmo_pair pair;
        PMO_TRY(next_pair(&at, &pair));
        PMO_TRY(pmo_pair_valid(&change->table, &pair));
        change->more_heap +=
            pmo_pair_key_need(&pair) + pmo_pair_value_need(&change->table, &pair);
    }
    change->more_entries = keys->values.count;
    return PMO_OK;
}

/* One snapshot of the whole index where most of its pages change anyway. */
static int save_index(pmo_pool *pool, pmo_change *change) {
    const pmo_table *table = &change->table;
    if (table->slots && !change->new_body && change->more_entries >= table->slots / 32 &&
        change->more_entries <= table->capacity - table->used) {
        PMO_TRY(pmo_undo(pool, table->index, table->slots * sizeof(uint32_t)));
        change->index_saved = true;
    }
    return PMO_OK;
}

static int update(pmo_pool *pool, uint64_t offset, const pmo_op *op, const pmo_keys *keys,
                  const pmo_batch *values) {
    pmo_change change;
    PMO_TRY(pmo_change_start(pool, offset, op, &change));
    if (change.table.layout != PMO_LAYOUT_DICT) {
        values = NULL;
    } else if (values == NULL || values->count != keys->values.count) {
        return PMO_EINVAL;
    }
    PMO_TRY(measure(&change, keys, values));
    change.bulk = true;
    PMO_TRY(save_index(pool, &change));
    pair_cursor at = pairs_of(keys, values);
    for (uint64_t i = 0; i < keys->values.count; i++) {
        pmo_pair pair;
        PMO_TRY(next_pair(&at, &pair));
        PMO_TRY(pmo_pair_put(pool, &change, &pair));
        change.more_entries--;
        change.more_heap -=
            pmo_pair_key_need(&pair) + pmo_pair_value_need(&change.table, &pair);
    }
    pmo_change_store(pool, &change);
    return PMO_OK;
}

int pmo_table_update(pmo_pool *pool, uint64_t offset, const pmo_keys *keys,
                     const pmo_batch *values) {
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, update(pool, offset, &op, keys, values));
}

static bool counts_nothing(const pmo_table *table) {
    for (uint64_t i = 0; i < table->used; i++) {
        if (pmo_cell_may_refer(pmo_entry_value(pmo_table_entry(table, i)))) {
            return false;
        }
    }
    return true;
}

int pmo_table_room(pmo_pool *pool, uint64_t offset, uint64_t *pairs, uint64_t *heap) {
    *pairs = 0;
    *heap = 0;
    PMO_TRY(pmo_usable(pool));
    pmo_container *container = NULL;
    PMO_TRY(pmo_container_at(pool, offset, PMO_LAYOUT_DICT, &container));
    const pmo_table table = pmo_table_of(pool, container);
    if (table.layout == PMO_LAYOUT_DICT && pmo_is_safe(pool, offset) &&
        pmo_is_safe(pool, container->geometry.body) && counts_nothing(&table)) {
        *pairs = table.capacity - table.used;
        *heap = table.heap.capacity - table.heap.used;
    }
    return PMO_OK;
}

/* ---- deleting ---- */

/* Where a large part goes, entries are emptied in a copy, which needs no snapshots. */
static int copy_if_worth_it(pmo_pool *pool, pmo_change *change, uint64_t keys) {
    return keys >= LARGE_PART && keys >= change->table.length / 8
               ? pmo_change_copy(pool, change)
               : PMO_OK;
}

static int delete_many(pmo_pool *pool, uint64_t offset, const pmo_op *op,
                       const pmo_keys *keys) {
    pmo_change change;
    PMO_TRY(pmo_change_start(pool, offset, op, &change));
    PMO_TRY(measure_keys(keys));
    PMO_TRY(copy_if_worth_it(pool, &change, keys->values.count));
    pair_cursor at = pairs_of(keys, NULL);
    for (uint64_t i = 0; i < keys->values.count; i++) {
        uint64_t entry = 0;
        uint64_t slot = 0;
        int status = locate_next(pool, &change.table, &at, &entry, &slot);
        if (status != PMO_EMISSING) {
            PMO_TRY(status);
            PMO_TRY(pmo_entry_delete(pool, &change, entry, slot));
        }
    }
    PMO_TRY(pmo_change_shrink(pool, &change));
    pmo_change_store(pool, &change);
    return PMO_OK;
}

int pmo_table_delete_many(pmo_pool *pool, uint64_t offset, const pmo_keys *keys) {
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, delete_many(pool, offset, &op, keys));
}

/* ---- looking up ---- */

int pmo_table_places(pmo_pool *pool, uint64_t offset, const pmo_keys *keys, int64_t *places,
                     pmo_batch *values) {
    PMO_TRY(pmo_usable(pool));
    pmo_table table;
    PMO_TRY(pmo_table_at(pool, offset, &table));
    if (values != NULL && table.layout != PMO_LAYOUT_DICT) {
        return PMO_ETYPE;
    }
    PMO_TRY(measure_keys(keys));
    pmo_stream_reset(&pool->values);
    pair_cursor at = pairs_of(keys, NULL);
    for (uint64_t i = 0; i < keys->values.count; i++) {
        uint64_t entry = 0;
        uint64_t slot = 0;
        int status = locate_next(pool, &table, &at, &entry, &slot);
        places[i] = status == PMO_OK ? (int64_t)entry : -1;
        PMO_TRY(status != PMO_EMISSING ? status : PMO_OK);
        if (status == PMO_OK && values != NULL) {
            pmo_value value;
            PMO_TRY(pmo_cell_read(pool, &table.heap,
                                  pmo_entry_value(pmo_table_entry(&table, entry)), &value));
            PMO_TRY(pmo_stream_push(&pool->values, &value));
        }
    }
    if (values != NULL) {
        pmo_stream_batch(&pool->values, values);
    }
    return PMO_OK;
}
