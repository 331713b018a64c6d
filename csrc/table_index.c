/*
 * Tables (dict, set, attributes): how the entry of a key is found.
 *
 * A slot names an entry by its number, in the low bits that numbers of this table take.
 * Probing is linear from a home slot that the hash's high bits give, and between an
 * entry's home and the slot that names it no slot is free. Above the number a slot holds the
 * distance from the home, so that deleting need not read the entries behind the gap,
 * and then as many bits of the hash as there is room for. A lookup reads only the entries whose
 * distance and bits are the key's: hardly any other's.
 *
 * Half as many slots again as entries: in a full table a search for what is there looks at two
 * slots on average, and one for what is not there at five.
 *
 * A table without an index is searched from its first entry on.
 */
#include "table.h"

pmo_table pmo_table_of(const pmo_pool *pool, pmo_container *container) {
    int layout = pmo_container_layout(pool, container);
    uint64_t capacity = container->geometry.capacity;
    uint32_t numbers = capacity < UINT32_MAX
                           ? UINT32_MAX >> __builtin_clz((uint32_t)capacity | 1)
                           : UINT32_MAX;
    return (pmo_table){
        .container = container,
        .entries = pmo_cells(pool, container),
        .index = pmo_index(pool, container, layout),
        .slots = container->geometry.index_slots,
        .numbers = numbers,
        .distances = PMO_SLOT_DISTANCES * (numbers + 1), /* what does not fit is cut off */
        .width = pmo_width(layout),
        .length = container->state.length,
        .used = container->state.used,
        .capacity = capacity,
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
    /* Even, so that slots can be published by pairs. */
    return capacity > PMO_SMALL_TABLE ? (capacity + capacity / 2 + 1) & ~1ull : 0;
}

int pmo_table_first(pmo_pool *pool, const pmo_table *table, uint64_t *first) {
    const pmo_cell *entry = pmo_table_entry(table, 0);
    *first = 0;
    if (table->used > 0 && entry->tag == PMO_EMPTY) {
        PMO_TRY(pmo_cell_hole(pool, entry, first));
    }
    return *first <= table->used ? PMO_OK
                                 : pmo_corrupt(pool, pmo_offset_of(pool, entry),
                                               "a first entry past a table's last");
}

int pmo_slot_entry(pmo_pool *pool, const pmo_table *table, uint64_t slot, uint64_t *entry) {
    uint32_t named = table->index[slot] & table->numbers;
    if (named < PMO_SLOT_BIAS || named - PMO_SLOT_BIAS >= table->used) {
        return pmo_corrupt(pool, pmo_offset_of(pool, table->index + slot),
                           "an index slot names no entry");
    }
    *entry = named - PMO_SLOT_BIAS;
    return PMO_OK;
}

static inline bool is_composed(const pmo_cell *cell, const pmo_key *key) {
    return key->composed && memcmp(cell, &key->cell, sizeof *cell) == 0;
}

/* PMO_OK: entry i holds the key. PMO_EMISSING: it holds another. */
static int compare(pmo_pool *pool, const pmo_table *table, uint64_t i, const pmo_key *key) {
    const pmo_cell *cell = pmo_table_entry(table, i);
    if (is_composed(cell, key)) {
        return PMO_OK;
    }
    if (cell->tag == PMO_EMPTY) {
        return PMO_EMISSING;
    }
    pmo_key stored;
    PMO_TRY(pmo_key_stored(pool, &table->heap, cell, &stored));
    return pmo_key_equal(&stored, key) ? PMO_OK : PMO_EMISSING;
}

/* Is it a string of the heap with the key's bytes? Its check is another matter. */
static inline bool has_bytes(const pmo_heap *heap, const pmo_cell *cell, const pmo_key *key) {
    return cell->tag == key->tag && cell->len == PMO_LEN_HEAP && cell->extent == key->length &&
           cell->word <= heap->used && cell->extent <= heap->used - cell->word &&
           memcmp(heap->bytes + cell->word, key->bytes, key->length) == 0;
}

/* Is it another key at a glance? A cell that holds its payload itself must match its check:
 * damage must not hide a key. Not for composed cells that are the same. */
static inline bool is_another(const pmo_cell *cell, const pmo_key *key) {
    if (cell->tag == PMO_KEYED || key->tag == PMO_KEYED ||
        (cell->tag != key->tag && cell->tag < PMO_STR && key->tag < PMO_STR)) {
        return false; /* values of different types may be one key */
    }
    if (cell->tag >= PMO_STR && cell->len > PMO_INLINE_MAX) {
        return cell->len == PMO_LEN_HEAP &&
               (cell->tag != key->tag || cell->extent != key->length);
    }
    return pmo_cell_intact(cell);
}

static int locate_among_few(pmo_pool *pool, const pmo_table *table, const pmo_key *key,
                            uint64_t *entry) {
    bool heaped = !key->composed && key->tag != PMO_KEYED;
    for (*entry = 0; *entry < table->used; ++*entry) {
        const pmo_cell *cell = pmo_table_entry(table, *entry);
        if (is_composed(cell, key)) {
            return PMO_OK;
        }
        if (heaped && has_bytes(&table->heap, cell, key)) {
            return compare(pool, table, *entry, key);
        }
    }
    for (*entry = 0; *entry < table->used; ++*entry) {
        int status = is_another(pmo_table_entry(table, *entry), key)
                         ? PMO_EMISSING
                         : compare(pool, table, *entry, key);
        if (status != PMO_EMISSING) {
            return status;
        }
    }
    return PMO_EMISSING;
}

static int no_free_slot(pmo_pool *pool, const pmo_table *table) {
    return pmo_corrupt(pool, pmo_offset_of(pool, table->index), "an index without a free slot");
}

int pmo_table_locate(pmo_pool *pool, const pmo_table *table, pmo_key *key, uint64_t *entry,
                     uint64_t *slot) {
    if (table->slots == 0) {
        return locate_among_few(pool, table, key, entry);
    }
    key->hash = pmo_key_hash(pool, key);
    *slot = pmo_home_slot(table, key->hash);
    uint32_t word = pmo_slot_word(table, *slot, key->hash, 0);
    for (uint64_t probes = 0; probes < table->slots; probes++) {
        uint32_t found = table->index[*slot];
        if (found == PMO_SLOT_FREE) {
            return PMO_EMISSING;
        }
        if (((found ^ word) & ~table->numbers) == 0) {
            PMO_TRY(pmo_slot_entry(pool, table, *slot, entry));
            int status = compare(pool, table, *entry, key);
            if (status != PMO_EMISSING) {
                return status;
            }
        }
        *slot = pmo_next_slot(table, *slot);
        word += (word & table->distances) != table->distances ? table->numbers + 1 : 0;
    }
    return no_free_slot(pool, table);
}

int pmo_slot_distance(pmo_pool *pool, const pmo_table *table, uint64_t slot,
                      uint64_t *distance) {
    uint32_t bits = table->index[slot] & table->distances;
    if (bits != table->distances) {
        *distance = bits / (table->numbers + 1);
        return PMO_OK;
    }
    uint64_t entry;
    pmo_key key;
    PMO_TRY(pmo_slot_entry(pool, table, slot, &entry));
    PMO_TRY(pmo_key_stored(pool, &table->heap, pmo_table_entry(table, entry), &key));
    *distance = pmo_slot_steps(table, pmo_home_slot(table, pmo_key_hash(pool, &key)), slot);
    return PMO_OK;
}

int pmo_free_slot(pmo_pool *pool, const pmo_table *table, uint64_t hash, uint64_t *slot) {
    *slot = pmo_home_slot(table, hash);
    for (uint64_t probes = 0; probes < table->slots; probes++) {
        if (table->index[*slot] == PMO_SLOT_FREE) {
            return PMO_OK;
        }
        *slot = pmo_next_slot(table, *slot);
    }
    return no_free_slot(pool, table);
}

int pmo_name_entry(pmo_pool *pool, const pmo_table *table, uint64_t hash, uint64_t i) {
    uint64_t slot = 0;
    PMO_TRY(pmo_free_slot(pool, table, hash, &slot));
    table->index[slot] = pmo_slot_word(table, slot, hash, i);
    return PMO_OK;
}
