/*
 * Tables (dict, set, attributes): what changes them. table_index.c tells how they
 * are searched, table_key.c which keys are the same.
 *
 * An insertion writes its entry past the used ones, where nothing was, and
 * snapshots the state and one index slot. A deletion empties its entry and closes
 * the gap in the index, so that there are no deleted marks to collect. used never
 * ends with a hole. All other movement is a rebuild into a new body.
 */
#include "table.h"

#define MUCH_ROOM 64u /* pairs */

/* ---- one pair ---- */

static int insert(pmo_pool *pool, pmo_change *change, const pmo_pair *pair, pmo_key *key,
                  uint64_t slot) {
    pmo_table *table = &change->table;
    uint64_t need = pmo_pair_key_need(pair) + pmo_pair_value_need(table, pair);
    if (table->used == table->capacity || need > table->heap.capacity - table->heap.used) {
        PMO_TRY(pmo_change_room_for_entries(pool, change));
        if (table->slots) {
            key->hash = pmo_key_hash(pool, key); /* there may have been no index before */
            PMO_TRY(pmo_free_slot(pool, table, key->hash, &slot));
        }
    }
    PMO_TRY(pmo_change_save_state(pool, change));
    if (table->slots) {
        PMO_TRY(pmo_change_save_slot(pool, change, slot));
    }
    PMO_TRY(pmo_pair_write(pool, table, pair, key));
    if (table->slots) {
        table->index[slot] = pmo_slot_word(table, slot, key->hash, table->used);
    }
    table->length++;
    table->used++;
    return PMO_OK;
}

/* The new value is counted before the old one is dropped: they may be the same. */
static int replace(pmo_pool *pool, pmo_change *change, uint64_t i, const pmo_pair *pair) {
    pmo_table *table = &change->table;
    uint64_t need = pmo_pair_value_need(table, pair);
    if (need > table->heap.capacity - table->heap.used) {
        PMO_TRY(pmo_change_room_for_values(pool, change));
    }
    pmo_cell *place = pmo_entry_value(pmo_table_entry(table, i));
    if (need || pmo_cell_heap_bytes(place)) {
        PMO_TRY(pmo_change_save_state(pool, change));
    }
    if (!change->new_body && i < change->fresh_from) {
        PMO_TRY(pmo_undo(pool, place, sizeof(*place)));
    }
    pmo_cell cell;
    bool referred = table->heap.refers;
    PMO_TRY(pmo_pair_value(pool, table, pair, &cell));
    if (table->heap.refers != referred) {
        PMO_TRY(pmo_change_save_state(pool, change));
    }
    PMO_TRY(pmo_cell_drop(pool, &table->heap, place));
    *place = cell;
    return PMO_OK;
}

int pmo_pair_put(pmo_pool *pool, pmo_change *change, const pmo_pair *pair) {
    pmo_key key;
    uint64_t entry;
    uint64_t slot;
    PMO_TRY(pmo_key_make(&pair->key, pair->canon, pair->canon_length, &key));
    int status = pmo_table_locate(pool, &change->table, &key, &entry, &slot);
    if (status == PMO_EMISSING) {
        return insert(pool, change, pair, &key, slot);
    }
    PMO_TRY(status);
    return change->table.layout == PMO_LAYOUT_DICT ? replace(pool, change, entry, pair)
                                                   : PMO_OK;
}

static int set(pmo_pool *pool, uint64_t offset, const pmo_op *op, const pmo_pair *pair,
               bool *grown) {
    pmo_change change;
    PMO_TRY(pmo_change_start(pool, offset, op, &change));
    PMO_TRY(pmo_pair_valid(&change.table, pair));
    const pmo_cell *entries = change.table.entries;
    change.more_entries = 1;
    change.more_heap = pmo_pair_key_need(pair) + pmo_pair_value_need(&change.table, pair);
    PMO_TRY(pmo_pair_put(pool, &change, pair));
    pmo_change_store(pool, &change);
    *grown = pmo_op_joined(op) && entries != change.table.entries &&
             change.table.capacity - change.table.used >= MUCH_ROOM;
    return PMO_OK;
}

static int set_or_publish(pmo_pool *pool, bool brief, uint64_t offset, const pmo_pair *pair) {
    int status = pmo_may_publish(pool) ? pmo_table_publish(pool, offset, pair) : PMO_EMISSING;
    if (!pmo_needs_transaction(pool, brief, &status)) {
        return status;
    }
    pmo_op op;
    bool grown = false;
    PMO_TRY(pmo_op_begin(pool, &op));
    status = pmo_op_end(pool, &op, set(pool, offset, &op, pair, &grown));
    return status == PMO_OK && grown ? PMO_GROWN : status;
}

static int enter_and_set(pmo_pool *pool, uint64_t offset, const pmo_pair *pair) {
    PMO_TRY(pmo_enter(pool));
    return pmo_leave(pool, set_or_publish(pool, false, offset, pair));
}

int pmo_table_set(pmo_pool *pool, uint64_t offset, uint32_t tag, int64_t number,
                  const char *data, const char *canon, uint64_t canon_length,
                  uint32_t value_tag, int64_t value_number, const char *value_data) {
    const pmo_pair pair = {
        .key = {.tag = tag, .number = number, .data = data},
        .value = {.tag = value_tag, .number = value_number, .data = value_data},
        .canon = canon,
        .canon_length = canon_length,
    };
    int status = enter_and_set(pool, offset, &pair);
    return status == PMO_GROWN ? PMO_OK : status;
}

int pmo_table_set_named(pmo_pool *pool, uint64_t offset, const char *key, int64_t key_length,
                        uint32_t tag, int64_t number, const char *data) {
    const pmo_pair pair = {
        .key = {.tag = PMO_STR, .number = key_length, .data = key},
        .value = {.tag = tag, .number = number, .data = data},
    };
    return enter_and_set(pool, offset, &pair);
}

static int set_briefly(pmo_pool *pool, uint64_t offset, const pmo_pair *pair) {
    PMO_TRY(pmo_enter_briefly(pool));
    return pmo_leave(pool, set_or_publish(pool, true, offset, pair));
}

int pmo_table_set_int(pmo_pool *pool, uint64_t offset, const char *key, int64_t key_length,
                      int64_t number) {
    const pmo_pair pair = {
        .key = {.tag = PMO_STR, .number = key_length, .data = key},
        .value = {.tag = PMO_INT, .number = number, .data = ""},
    };
    return set_briefly(pool, offset, &pair);
}

int pmo_table_set_str(pmo_pool *pool, uint64_t offset, const char *key, int64_t key_length,
                      const char *data, int64_t length) {
    const pmo_pair pair = {
        .key = {.tag = PMO_STR, .number = key_length, .data = key},
        .value = {.tag = PMO_STR, .number = length, .data = data},
    };
    return set_briefly(pool, offset, &pair);
}

int pmo_set_add(pmo_pool *pool, uint64_t offset, uint32_t tag, int64_t number,
                const char *data) {
    return pmo_table_set(pool, offset, tag, number, data, NULL, 0, PMO_NONE, 0, "");
}

/* ---- deleting ---- */

/* Snapshot entries that are about to change, unless this transaction made them. */
static int save(pmo_pool *pool, const pmo_change *change, void *place, uint64_t size) {
    return change->new_body ? PMO_OK : pmo_undo(pool, place, size);
}

/* Free a slot and move back those behind it that were pushed past it. */
static int close_gap(pmo_pool *pool, const pmo_change *change, uint64_t gap) {
    const pmo_table *table = &change->table;
    PMO_TRY(pmo_change_save_slot(pool, change, gap));
    uint64_t next = pmo_next_slot(table, gap);
    for (uint64_t probes = 1; table->index[next] != PMO_SLOT_FREE; probes++) {
        if (probes == table->slots) {
            return pmo_corrupt(pool, pmo_offset_of(pool, table->index),
                               "an index without a free slot");
        }
        uint64_t distance;
        uint64_t back = pmo_slot_steps(table, gap, next);
        PMO_TRY(pmo_slot_distance(pool, table, next, &distance));
        if (distance >= back) {
            PMO_TRY(pmo_change_save_slot(pool, change, next));
            table->index[gap] = (table->index[next] & ~table->distances) |
                                pmo_distance_bits(table, distance - back);
            gap = next;
        }
        next = pmo_next_slot(table, next);
    }
    table->index[gap] = PMO_SLOT_FREE;
    return PMO_OK;
}

/* Take back the last entry, which was just emptied, and the holes before it. Later
 * in the same transaction they may be written as fresh, so they are snapshotted. */
static int trim(pmo_pool *pool, pmo_change *change) {
    pmo_table *table = &change->table;
    uint64_t last = table->used - 1;
    uint64_t used = last;
    while (used > 0 && pmo_table_entry(table, used - 1)->tag == PMO_EMPTY) {
        used--;
    }
    if (used < last) {
        PMO_TRY(save(pool, change, pmo_table_entry(table, used),
                     (last - used) * pmo_entry_bytes(table)));
    }
    table->used = used;
    return PMO_OK;
}

/* Keep the number of the first live entry in the hole before it, if that is entry 0: who
 * always deletes the first one is then led past the holes. Each is passed once here. */
static int note_first(pmo_pool *pool, const pmo_change *change, uint64_t emptied) {
    const pmo_table *table = &change->table;
    uint64_t first = 0;
    PMO_TRY(pmo_table_first(pool, table, &first));
    if (emptied != first) {
        return PMO_OK;
    }
    while (first < table->used && pmo_table_entry(table, first)->tag == PMO_EMPTY) {
        first++;
    }
    pmo_cell *zeroth = pmo_table_entry(table, 0);
    if (emptied > 0) {
        PMO_TRY(save(pool, change, zeroth, sizeof *zeroth));
    }
    pmo_cell_make_hole(zeroth, first);
    return PMO_OK;
}

int pmo_entry_delete(pmo_pool *pool, pmo_change *change, uint64_t i, uint64_t slot) {
    pmo_table *table = &change->table;
    pmo_cell *entry = pmo_table_entry(table, i);
    PMO_TRY(pmo_change_save_state(pool, change));
    PMO_TRY(save(pool, change, entry, pmo_entry_bytes(table)));
    if (table->slots) {
        PMO_TRY(close_gap(pool, change, slot));
    }
    PMO_TRY(pmo_cell_drop(pool, &table->heap, entry));
    if (table->layout == PMO_LAYOUT_DICT) {
        PMO_TRY(pmo_cell_drop(pool, &table->heap, pmo_entry_value(entry)));
    }
    memset(entry, 0, pmo_entry_bytes(table));
    pmo_cell_make_hole(entry, 0);
    table->length--;
    return i == table->used - 1 ? trim(pool, change) : note_first(pool, change, i);
}

static int delete_key(pmo_pool *pool, uint64_t offset, const pmo_op *op, const pmo_pair *pair) {
    pmo_change change;
    pmo_key key;
    uint64_t entry;
    uint64_t slot;
    PMO_TRY(pmo_change_start(pool, offset, op, &change));
    PMO_TRY(pmo_value_valid(pair->key.tag, pair->key.number, pair->key.data));
    PMO_TRY(pmo_key_make(&pair->key, pair->canon, pair->canon_length, &key));
    PMO_TRY(pmo_table_locate(pool, &change.table, &key, &entry, &slot));
    PMO_TRY(pmo_entry_delete(pool, &change, entry, slot));
    PMO_TRY(pmo_change_shrink(pool, &change));
    pmo_change_store(pool, &change);
    return PMO_OK;
}

int pmo_table_delete(pmo_pool *pool, uint64_t offset, uint32_t tag, int64_t number,
                     const char *data, const char *canon, uint64_t canon_length) {
    const pmo_pair pair = {
        .key = {.tag = tag, .number = number, .data = data},
        .canon = canon,
        .canon_length = canon_length,
    };
    pmo_op op;
    PMO_TRY(pmo_enter(pool));
    int status = pmo_op_begin(pool, &op);
    if (status == PMO_OK) {
        status = pmo_op_end(pool, &op, delete_key(pool, offset, &op, &pair));
    }
    return pmo_leave(pool, status);
}

int pmo_table_delete_named(pmo_pool *pool, uint64_t offset, const char *key,
                           int64_t key_length) {
    return pmo_table_delete(pool, offset, PMO_STR, key_length, key, NULL, 0);
}

static int clear(pmo_pool *pool, uint64_t offset) {
    pmo_container *container;
    PMO_TRY(pmo_container_at(pool, offset, PMO_LAYOUT_DICT, &container));
    return pmo_container_clear(pool, container);
}

int pmo_table_clear(pmo_pool *pool, uint64_t offset) {
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, clear(pool, offset));
}
