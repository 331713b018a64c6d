/*
 * Tables (dict, set, attributes): lookup, reading in order, verification.
 *
 * Entries lie in the order of insertion. The index is probed linearly from
 * hash & (slots - 1); a slot names an entry, and between an entry's first slot
 * and the one that names it no slot is free. A table without an index is
 * searched from its first entry on.
 */
#include "table.h"

#define READ_BYTES (256u * 1024u)

_Static_assert(offsetof(pmo_dict_entry, hash) == offsetof(pmo_set_entry, hash) &&
                   offsetof(pmo_dict_entry, key) == offsetof(pmo_set_entry, key),
               "a set's entry is the start of a dict's");

pmo_table pmo_table_of(const pmo_pool *pool, pmo_container *container) {
    int layout = pmo_container_layout(pool, container);
    return (pmo_table){
        .container = container,
        .entries = pmo_elements(pool, container),
        .index = pmo_index(pool, container, layout),
        .slots = container->geometry.index_slots,
        .stride = pmo_stride(layout),
        .length = container->state.length,
        .used = container->state.used,
        .capacity = container->geometry.capacity,
        .heap = pmo_heap_of(pool, container, layout),
        .layout = layout,
    };
}

int pmo_table_at(pmo_pool *pool, uint64_t offset, pmo_table *table) {
    pmo_container *container = NULL;
    PMO_TRY(pmo_container_at(pool, offset, PMO_LAYOUT_DICT, &container));
    *table = pmo_table_of(pool, container);
    return PMO_OK;
}

uint64_t pmo_table_slots(uint64_t capacity) {
    if (capacity <= PMO_SMALL_TABLE) {
        return 0;
    }
    uint64_t slots = 2 * PMO_SMALL_TABLE;
    while (slots < capacity + capacity / 2) {
        slots *= 2;
    }
    return slots;
}

int pmo_table_first(pmo_pool *pool, const pmo_table *table, uint64_t *first) {
    const pmo_set_entry *entry = pmo_table_entry(table, 0);
    *first = 0;
    if (table->used > 0 && entry->key.tag == PMO_EMPTY) {
        PMO_TRY(pmo_cell_hole(pool, &entry->key, first));
    }
    return *first <= table->used ? PMO_OK
                                 : pmo_corrupt(pool, pmo_offset_of(pool, entry),
                                               "a first entry past a table's last");
}

int pmo_slot_entry(pmo_pool *pool, const pmo_table *table, uint64_t slot, uint64_t *entry) {
    uint32_t named = table->index[slot];
    if (named < PMO_SLOT_BIAS || named - PMO_SLOT_BIAS >= table->used) {
        return pmo_corrupt(pool, pmo_offset_of(pool, table->index + slot),
                           "an index slot names no entry");
    }
    *entry = named - PMO_SLOT_BIAS;
    return PMO_OK;
}

/* PMO_OK: entry i holds the key. PMO_EMISSING: it holds another. */
static int compare(pmo_pool *pool, const pmo_table *table, uint64_t i, const pmo_key *key) {
    const pmo_set_entry *entry = pmo_table_entry(table, i);
    if (entry->hash != key->hash || entry->key.tag == PMO_EMPTY) {
        return PMO_EMISSING;
    }
    pmo_key stored;
    PMO_TRY(pmo_key_stored(pool, &table->heap, &entry->key, &stored));
    return pmo_key_equal(&stored, key) ? PMO_OK : PMO_EMISSING;
}

int pmo_table_locate(pmo_pool *pool, const pmo_table *table, const pmo_key *key,
                     uint64_t *entry, uint64_t *slot) {
    if (table->slots == 0) {
        for (*entry = 0; *entry < table->used; ++*entry) {
            int status = compare(pool, table, *entry, key);
            if (status != PMO_EMISSING) {
                return status;
            }
        }
        return PMO_EMISSING;
    }
    *slot = key->hash & (table->slots - 1);
    for (uint64_t probes = 0; probes < table->slots; probes++) {
        if (table->index[*slot] == PMO_SLOT_FREE) {
            return PMO_EMISSING;
        }
        PMO_TRY(pmo_slot_entry(pool, table, *slot, entry));
        int status = compare(pool, table, *entry, key);
        if (status != PMO_EMISSING) {
            return status;
        }
        *slot = (*slot + 1) & (table->slots - 1);
    }
    return pmo_corrupt(pool, pmo_offset_of(pool, table->index), "an index without a free slot");
}

/* An entry's value; a set's is its key. */
static int read_value(pmo_pool *pool, const pmo_table *table, pmo_set_entry *entry,
                      pmo_value *value) {
    const pmo_cell *cell =
        table->layout == PMO_LAYOUT_DICT ? pmo_entry_value(entry) : &entry->key;
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
    PMO_TRY(pmo_key_make(pool, &given, canon, canon_length, &key));
    uint64_t place;
    uint64_t slot;
    PMO_TRY(pmo_table_locate(pool, &table, &key, &place, &slot));
    pmo_set_entry *entry = pmo_table_entry(&table, place);
    return read_value(pool, &table, entry, value);
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
        pmo_set_entry *entry = pmo_table_entry(&table, at);
        if (entry->key.tag == PMO_EMPTY) {
            PMO_TRY(pmo_cell_hole(pool, &entry->key, &ignored));
            continue;
        }
        if (pool->keys.data.length + pool->keys.numbers.length + pool->values.data.length +
                pool->values.numbers.length >=
            READ_BYTES) {
            break;
        }
        PMO_TRY(push(pool, &table, &entry->key, &pool->keys));
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
        pmo_set_entry *entry = pmo_table_entry(&table, at);
        if (entry->key.tag != PMO_EMPTY) {
            *next = at + 1;
            PMO_TRY(pmo_cell_read(pool, &table.heap, &entry->key, key));
            return read_value(pool, &table, entry, value);
        }
        uint64_t ignored;
        PMO_TRY(pmo_cell_hole(pool, &entry->key, &ignored));
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
    if (table->used && pmo_table_entry(table, table->used - 1)->key.tag == PMO_EMPTY) {
        return pmo_corrupt(pool, offset, "a table ends with a hole");
    }
    return PMO_OK;
}

static int verify_hole(pmo_pool *pool, const pmo_table *table, uint64_t i) {
    static const char zero[sizeof(pmo_cell)];
    const pmo_set_entry *entry = pmo_table_entry(table, i);
    uint64_t first = 0;
    PMO_TRY(pmo_cell_hole(pool, &entry->key, &first));
    if (entry->hash != 0 || (i > 0 && first != 0) ||
        memcmp(&entry->key + 1, zero, table->stride - sizeof *entry) != 0) {
        return pmo_corrupt(pool, pmo_offset_of(pool, entry), "a hole that is not empty");
    }
    return PMO_OK;
}

/* Looking up its own key must lead to the entry itself: then its hash is right,
 * the index names it and no earlier entry has the same key. */
static int verify_entry(pmo_pool *pool, const pmo_table *table, uint64_t i, uint64_t *named) {
    pmo_set_entry *entry = pmo_table_entry(table, i);
    pmo_value value;
    PMO_TRY(pmo_cell_read(pool, &table->heap, &entry->key, &value));
    *named += pmo_cell_heap_bytes(&entry->key);
    pmo_key key;
    PMO_TRY(pmo_key_stored(pool, &table->heap, &entry->key, &key));
    key.hash = pmo_key_hash(pool, &key);
    if (key.hash != entry->hash) {
        return pmo_corrupt(pool, pmo_offset_of(pool, entry), "a key's hash is wrong");
    }
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
        pmo_set_entry *entry = pmo_table_entry(&table, i);
        if (entry->key.tag == PMO_EMPTY) {
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
