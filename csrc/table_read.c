/*
 * Tables (dict, set, attributes): reading by key and in order, verification. Entries lie in
 * the order of insertion.
 */
#include "table.h"

#define READ_BYTES (256u * 1024u)

/* An entry's value; a set's is its key. */
static int read_value(pmo_pool *pool, const pmo_table *table, pmo_cell *entry,
                      pmo_value *value) {
    const pmo_cell *cell = table->layout == PMO_LAYOUT_DICT ? pmo_entry_value(entry) : entry;
    return pmo_cell_read(pool, &table->heap, cell, value);
}

int pmo_table_find(pmo_pool *pool, uint64_t offset, uint32_t tag, int64_t number,
                   const char *data, const char *canon, uint64_t canon_length,
                   pmo_value *value) {
    PMO_TRY(pmo_usable(pool));
    pmo_table table;
    PMO_TRY(pmo_table_at(pool, offset, &table));
    PMO_TRY(pmo_value_valid(tag, number, data));
    pmo_value given = {.tag = tag, .number = number, .data = data};
    pmo_key key;
    PMO_TRY(pmo_key_make(&given, canon, canon_length, &key));
    uint64_t place;
    uint64_t slot;
    PMO_TRY(pmo_table_locate(pool, &table, &key, &place, &slot));
    return read_value(pool, &table, pmo_table_entry(&table, place), value);
}

static int push(pmo_pool *pool, const pmo_table *table, const pmo_cell *cell,
                pmo_stream *stream) {
    pmo_value value;
    PMO_TRY(pmo_cell_read(pool, &table->heap, cell, &value));
    return pmo_stream_push(stream, &value);
}

int pmo_table_read(pmo_pool *pool, uint64_t offset, uint64_t start, uint64_t stop,
                   pmo_batch *keys, pmo_batch *values, uint64_t *next) {
    PMO_TRY(pmo_usable(pool));
    pmo_table table;
    PMO_TRY(pmo_table_at(pool, offset, &table));
    if (values && table.layout != PMO_LAYOUT_DICT) {
        return PMO_ETYPE;
    }
    pmo_stream_reset(&pool->keys);
    pmo_stream_reset(&pool->values);
    if (stop > table.used) {
        stop = table.used;
    }
    uint64_t at = 0;
    uint64_t ignored;
    PMO_TRY(pmo_table_first(pool, &table, &at));
    at = at < start ? start : at;
    for (; at < stop; at++) {
        pmo_cell *entry = pmo_table_entry(&table, at);
        if (entry->tag == PMO_EMPTY) {
            PMO_TRY(pmo_cell_hole(pool, entry, &ignored));
            continue;
        }
        if (pool->keys.data.length + pool->keys.numbers.length + pool->values.data.length +
                pool->values.numbers.length >=
            READ_BYTES) {
            break;
        }
        PMO_TRY(push(pool, &table, entry, &pool->keys));
        if (values) {
            PMO_TRY(push(pool, &table, pmo_entry_value(entry), &pool->values));
        }
    }
    *next = at;
    pmo_stream_batch(&pool->keys, keys);
    if (values) {
        pmo_stream_batch(&pool->values, values);
    }
    return PMO_OK;
}

int pmo_table_peek(pmo_pool *pool, uint64_t offset, uint64_t start, uint64_t stop,
                   pmo_value *key, pmo_value *value, uint64_t *next) {
    PMO_TRY(pmo_usable(pool));
    pmo_table table;
    PMO_TRY(pmo_table_at(pool, offset, &table));
    if (stop > table.used) {
        stop = table.used;
    }
    uint64_t at;
    PMO_TRY(pmo_table_first(pool, &table, &at));
    for (at = at > start ? at : start; at < stop; at++) {
        pmo_cell *entry = pmo_table_entry(&table, at);
        if (entry->tag != PMO_EMPTY) {
            *next = at + 1;
            PMO_TRY(pmo_cell_read(pool, &table.heap, entry, key));
            return read_value(pool, &table, entry, value);
        }
        uint64_t ignored;
        PMO_TRY(pmo_cell_hole(pool, entry, &ignored));
    }
    return PMO_EMISSING;
}

static int verify_shape(pmo_pool *pool, const pmo_table *table) {
    uint64_t offset = pmo_offset_of(pool, table->container);
    if (table->length > table->used || table->used > table->capacity) {
        return pmo_corrupt(pool, offset, "a table's length, used and capacity disagree");
    }
    if (table->slots != pmo_table_slots(table->capacity)) {
        return pmo_corrupt(pool, offset, "a table's index has a wrong size");
    }
    if (table->used && pmo_table_entry(table, table->used - 1)->tag == PMO_EMPTY) {
        return pmo_corrupt(pool, offset, "a table ends with a hole");
    }
    return PMO_OK;
}

static int verify_hole(pmo_pool *pool, const pmo_table *table, uint64_t i) {
    static const pmo_cell zero;
    pmo_cell *entry = pmo_table_entry(table, i);
    uint64_t first = 0;
    PMO_TRY(pmo_cell_hole(pool, entry, &first));
    if ((i > 0 && first != 0) || (table->layout == PMO_LAYOUT_DICT &&
                                  memcmp(pmo_entry_value(entry), &zero, sizeof zero) != 0)) {
        return pmo_corrupt(pool, pmo_offset_of(pool, entry), "a hole that is not empty");
    }
    return PMO_OK;
}

/* Looking up its own key must lead to the entry itself: then the index names it, with the
 * right hash, and no earlier entry has the same key. */
static int verify_entry(pmo_pool *pool, const pmo_table *table, uint64_t i, uint64_t *named) {
    pmo_cell *entry = pmo_table_entry(table, i);
    pmo_value value;
    PMO_TRY(pmo_cell_read(pool, &table->heap, entry, &value));
    *named += pmo_cell_heap_bytes(entry);
    pmo_key key = {.tag = PMO_KEYED};
    PMO_TRY(pmo_key_stored(pool, &table->heap, entry, &key));
    uint64_t found;
    uint64_t slot;
    int status = pmo_table_locate(pool, table, &key, &found, &slot);
    if (status == PMO_EMISSING) {
        return pmo_corrupt(pool, pmo_offset_of(pool, entry), "a key cannot be found");
    }
    PMO_TRY(status);
    if (found != i) {
        return pmo_corrupt(pool, pmo_offset_of(pool, entry), "a key is there twice");
    }
    if (table->layout == PMO_LAYOUT_DICT) {
        PMO_TRY(pmo_cell_read(pool, &table->heap, pmo_entry_value(entry), &value));
        *named += pmo_cell_heap_bytes(pmo_entry_value(entry));
    }
    return PMO_OK;
}

int pmo_table_verify(pmo_pool *pool, pmo_container *container) {
    pmo_table table = pmo_table_of(pool, container);
    PMO_TRY(verify_shape(pool, &table));
    uint64_t live = 0;
    uint64_t named = 0;
    uint64_t first = 0;
    PMO_TRY(pmo_table_first(pool, &table, &first));
    for (uint64_t i = 0; i < table.used; i++) {
        const pmo_cell *entry = pmo_table_entry(&table, i);
        if (entry->tag == PMO_EMPTY) {
            PMO_TRY(verify_hole(pool, &table, i));
            continue;
        }
        if (i < first) {
            return pmo_corrupt(pool, pmo_offset_of(pool, entry),
                               "a key before a table's first");
        }
        live++;
        PMO_TRY(verify_entry(pool, &table, i, &named));
    }
    uint64_t offset = pmo_offset_of(pool, container);
    if (live != table.length) {
        return pmo_corrupt(pool, offset, "a table's length is not its number of keys");
    }
    if (table.heap.used > table.heap.capacity || table.heap.garbage > table.heap.used ||
        table.heap.used - table.heap.garbage != named) {
        return pmo_corrupt(pool, offset, "a table's heap is not the sum of its cells");
    }
    uint64_t taken = 0;
    for (uint64_t slot = 0; slot < table.slots; slot++) {
        if (table.index[slot] != PMO_SLOT_FREE) {
            uint64_t entry;
            PMO_TRY(pmo_slot_entry(pool, &table, slot, &entry));
            taken++;
        }
    }
    if (table.slots && taken != table.length) {
        return pmo_corrupt(pool, offset, "a table's index names an entry twice");
    }
    return PMO_OK;
}
