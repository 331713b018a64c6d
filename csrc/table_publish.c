/*
 * Tables: one pair written, and that without a transaction where it can be.
 *
 * Most insertions and replacements change a few words that already were part of the
 * table: state, index slot, value cell. Everything else is written where nothing was.
 * Such a change is published: all of its words, or none.
 */
#include "table.h"

uint64_t pmo_pair_key_need(const pmo_pair *pair) {
    return pair->canon_length
               ? pmo_keyed_heap_need(pair->key.tag, pair->key.number, pair->canon_length)
               : pmo_cell_heap_need(pair->key.tag, pair->key.number);
}

uint64_t pmo_pair_value_need(const pmo_table *table, const pmo_pair *pair) {
    return table->layout == PMO_LAYOUT_DICT
               ? pmo_cell_heap_need(pair->value.tag, pair->value.number)
               : 0;
}

int pmo_pair_valid(const pmo_table *table, const pmo_pair *pair) {
    PMO_TRY(pmo_value_valid(pair->key.tag, pair->key.number, pair->key.data));
    return table->layout == PMO_LAYOUT_DICT
               ? pmo_value_valid(pair->value.tag, pair->value.number, pair->value.data)
               : PMO_OK;
}

int pmo_pair_value(pmo_pool *pool, pmo_table *table, const pmo_pair *pair, pmo_cell *cell) {
    const pmo_value *value = &pair->value;
    return pmo_cell_make(pool, &table->heap, value->tag, value->number, value->data, cell);
}

static int write_key(pmo_pool *pool, pmo_table *table, const pmo_pair *pair, const pmo_key *key,
                     pmo_cell *cell) {
    const pmo_value *given = &pair->key;
    if (pair->canon_length) {
        return pmo_cell_make_keyed(pool, &table->heap, given->tag, given->number, given->data,
                                   pair->canon, pair->canon_length, cell);
    }
    if (key->composed && given->tag != PMO_REF) {
        *cell = key->cell;
        return PMO_OK;
    }
    return pmo_cell_make(pool, &table->heap, given->tag, given->number, given->data, cell);
}

int pmo_pair_write(pmo_pool *pool, pmo_table *table, const pmo_pair *pair, const pmo_key *key) {
    pmo_cell *entry = pmo_table_entry(table, table->used);
    pmo_cell key_cell;
    PMO_TRY(write_key(pool, table, pair, key, &key_cell));
    if (table->layout == PMO_LAYOUT_DICT) {
        pmo_cell value_cell;
        PMO_TRY(pmo_pair_value(pool, table, pair, &value_cell));
        *pmo_entry_value(entry) = value_cell;
    }
    *entry = key_cell;
    return PMO_OK;
}

static bool countless(const pmo_value *value) {
    return pmo_value_countless(value->tag, value->number);
}

static int publish_insertion(pmo_pool *pool, pmo_table *table, const pmo_pair *pair,
                             const pmo_key *key, uint64_t slot) {
    uint64_t need = pmo_pair_key_need(pair) + pmo_pair_value_need(table, pair);
    if (table->used == table->capacity || need > table->heap.capacity - table->heap.used ||
        pair->canon_length > 0 || !countless(&pair->key)) {
        return PMO_EMISSING;
    }
    PMO_TRY(pmo_pair_write(pool, table, pair, key));
    pmo_fresh(pool, pmo_table_entry(table, table->used), pmo_entry_bytes(table));
    pmo_publication change = {.count = 0};
    if (table->slots) {
        uint64_t *place = (uint64_t *)(void *)(table->index + (slot & ~1ull));
        uint32_t pair_of_slots[2];
        uint64_t word;
        memcpy(pair_of_slots, place, sizeof pair_of_slots);
        pair_of_slots[slot & 1] = pmo_slot_word(table, slot, key->hash, table->used);
        memcpy(&word, pair_of_slots, sizeof word);
        pmo_publication_add(&change, place, word);
    }
    pmo_publication_state(&change, table->container, table->length + 1, table->used + 1,
                          &table->heap);
    return pmo_publish(pool, &change);
}

static int publish_replacement(pmo_pool *pool, pmo_table *table, const pmo_pair *pair,
                               uint64_t entry) {
    pmo_cell *place = pmo_entry_value(pmo_table_entry(table, entry));
    if (pmo_cell_may_refer(place) ||
        pmo_pair_value_need(table, pair) > table->heap.capacity - table->heap.used) {
        return PMO_EMISSING;
    }
    pmo_cell cell;
    PMO_TRY(pmo_pair_value(pool, table, pair, &cell));
    table->heap.garbage += pmo_cell_heap_bytes(place);
    pmo_publication change = {.count = 0};
    pmo_publication_cell(&change, place, &cell);
    pmo_publication_state(&change, table->container, table->length, table->used, &table->heap);
    return pmo_publish(pool, &change);
}

int pmo_table_publish(pmo_pool *pool, uint64_t offset, const pmo_pair *pair) {
    pmo_table table;
    PMO_TRY(pmo_table_at(pool, offset, &table));
    bool is_dict = table.layout == PMO_LAYOUT_DICT;
    PMO_TRY(pmo_pair_valid(&table, pair));
    if (is_dict && !countless(&pair->value)) {
        return PMO_EMISSING;
    }
    pmo_activate(pool);
    pmo_key key;
    uint64_t entry;
    uint64_t slot = 0;
    PMO_TRY(pmo_key_make(&pair->key, pair->canon, pair->canon_length, &key));
    int status = pmo_table_locate(pool, &table, &key, &entry, &slot);
    if (status != PMO_EMISSING) {
        PMO_TRY(status);
        return is_dict ? publish_replacement(pool, &table, pair, entry) : PMO_OK;
    }
    return publish_insertion(pool, &table, pair, &key, slot);
}
