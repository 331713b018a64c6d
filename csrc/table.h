/*
 * What the tables' files share. Layers, each calling only those above it:
 *   table_key.c     which keys are the same, and their hashes
 *   table_index.c   slots: what they hold, how the entry of a key is found
 *   table_read.c    reading by key and in order, verification
 *   table_change.c  bodies: room, rebuilding, shrinking
 *   table_publish.c what is done without a transaction
 *   table.c         insertion, replacement, deletion of one
 *   table_many.c    the same for many
 */
#ifndef PMO_TABLE_H
#define PMO_TABLE_H

#include "internal.h"

/* ---- table_key.c ------------------------------------------------------------------------ */

#define PMO_INT64_LIMIT 9223372036854775808.0 /* the first double past int64 */

/* A key's canonical bytes, split: the domain letter, then a word or bytes. */
typedef struct pmo_key {
    uint64_t hash;     /* see pmo_table_locate */
    const char *bytes; /* NULL: word is all */
    uint64_t length;   /* of bytes */
    uint64_t word;
    char domain;
    uint8_t tag;   /* of the value; PMO_KEYED: its canonical bytes were given */
    bool composed; /* cell is that of a stored key with this value */
    pmo_cell cell;
} pmo_key;

/* The key that crossed the interface, without its hash. PMO_EINVAL: its canonical
 * bytes were not given and the core cannot derive them. */
int pmo_key_make(const pmo_value *value, const char *canon, uint64_t canon_length,
                 pmo_key *key);
/* The key in a cell, checked; its bytes lie in the pool. Leaves hash and cell alone. */
int pmo_key_stored(pmo_pool *pool, const pmo_heap *heap, const pmo_cell *cell, pmo_key *key);
/* The same after pmo_cell_move, which has checked what lies in the heap. */
int pmo_key_moved(pmo_pool *pool, const pmo_heap *heap, const pmo_cell *cell, pmo_key *key);
uint64_t pmo_key_hash(const pmo_pool *pool, const pmo_key *key);
bool pmo_key_equal(const pmo_key *a, const pmo_key *b);

/* ---- table_index.c ---------------------------------------------------------------------- */

/* A table while it is read or written; the fields mirror state and geometry. */
typedef struct pmo_table {
    pmo_container *container;
    pmo_cell *entries;
    uint32_t *index; /* slots of them; used only when slots > 0 */
    uint64_t slots;
    uint32_t numbers;   /* bits of a slot that hold an entry's number, */
    uint32_t distances; /* and those that hold the distance from its home */
    uint64_t width;     /* cells of an entry */
    uint64_t length;
    uint64_t used;
    uint64_t capacity;
    pmo_heap heap;
    int layout;
} pmo_table;

pmo_table pmo_table_of(const pmo_pool *pool, pmo_container *container);
/* The table at offset, as pmo_container_at checks it. */
int pmo_table_at(pmo_pool *pool, uint64_t offset, pmo_table *table);
/* Entry number i, which starts with its key. */
static inline pmo_cell *pmo_table_entry(const pmo_table *table, uint64_t i) {
    return table->entries + i * table->width;
}
/* The value of a dict's entry. */
static inline pmo_cell *pmo_entry_value(pmo_cell *entry) {
    return entry + 1;
}
static inline uint64_t pmo_entry_bytes(const pmo_table *table) {
    return table->width * sizeof(pmo_cell);
}
/* Entries before it are holes; found without looking at them. */
int pmo_table_first(pmo_pool *pool, const pmo_table *table, uint64_t *first);
/* Index slots that a table of this capacity has. */
uint64_t pmo_table_slots(uint64_t capacity);
/* The entry an index slot names, checked. */
int pmo_slot_entry(pmo_pool *pool, const pmo_table *table, uint64_t slot, uint64_t *entry);
/* Look key up. PMO_OK: *entry is where it is. PMO_EMISSING: it is not there. In a
 * table with an index *slot is the slot that names it, or the free one that would,
 * and key->hash is set. */
int pmo_table_locate(pmo_pool *pool, const pmo_table *table, pmo_key *key, uint64_t *entry,
                     uint64_t *slot);
/* The slot from which on an entry with this hash is named. */
static inline uint64_t pmo_home_slot(const pmo_table *table, uint64_t hash) {
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)((wide)hash * table->slots >> 64);
}
static inline uint64_t pmo_next_slot(const pmo_table *table, uint64_t slot) {
    return slot + 1 == table->slots ? 0 : slot + 1;
}
/* From one slot on to another. */
static inline uint64_t pmo_slot_steps(const pmo_table *table, uint64_t from, uint64_t to) {
    return to >= from ? to - from : to + table->slots - from;
}
/* A distance as a slot holds it; the largest stands for all beyond it. */
static inline uint32_t pmo_distance_bits(const pmo_table *table, uint64_t distance) {
    uint32_t one = table->numbers + 1;
    return distance < PMO_SLOT_DISTANCES && distance * one < table->distances
               ? (uint32_t)distance * one
               : table->distances;
}
/* What a slot holds that names entry i. */
static inline uint32_t pmo_slot_word(const pmo_table *table, uint64_t slot, uint64_t hash,
                                     uint64_t i) {
    uint64_t distance = pmo_slot_steps(table, pmo_home_slot(table, hash), slot);
    return ((uint32_t)hash & ~table->numbers & ~table->distances) |
           pmo_distance_bits(table, distance) | (uint32_t)(i + PMO_SLOT_BIAS);
}
/* How far from its home the slot is that names an entry. */
int pmo_slot_distance(pmo_pool *pool, const pmo_table *table, uint64_t slot,
                      uint64_t *distance);
/* Name entry i, which no slot names, in a body that is no part of any state yet. */
int pmo_name_entry(pmo_pool *pool, const pmo_table *table, uint64_t hash, uint64_t i);
/* The free slot that an entry with this hash, which no slot names, is to be named by. */
int pmo_free_slot(pmo_pool *pool, const pmo_table *table, uint64_t hash, uint64_t *slot);

/* ---- table_change.c: rooms and rebuilding -------------------------------------------- */

/* An operation at work: table runs ahead of the container's state until the
 * change is stored. An operation that fails stores nothing. */
typedef struct pmo_change {
    pmo_table table;
    uint64_t fresh_from;   /* entries from here on were written by this operation */
    uint64_t more_entries; /* insertions and heap bytes still to come, at most */
    uint64_t more_heap;
    bool bulk;
    bool new_body; /* made by this transaction: needs no undo */
    bool state_saved;
    bool index_saved;
} pmo_change;

int pmo_change_start(pmo_pool *pool, uint64_t offset, const pmo_op *op, pmo_change *change);
void pmo_change_store(pmo_pool *pool, const pmo_change *change);
/* Snapshots, unless one is not needed any more. */
int pmo_change_save_state(pmo_pool *pool, pmo_change *change);
int pmo_change_save_slot(pmo_pool *pool, const pmo_change *change, uint64_t slot);
/* Room for more_entries and more_heap. Entries move to other places and slots. */
int pmo_change_room_for_entries(pmo_pool *pool, pmo_change *change);
/* Room for more_heap. Entries keep their places: replacing a value must not
 * disturb an iteration. */
int pmo_change_room_for_values(pmo_pool *pool, pmo_change *change);
/* After a deletion: a smaller body, when there is little left in this one. A full
 * pool is no failure here. */
int pmo_change_shrink(pmo_pool *pool, pmo_change *change);
/* Move to a new body, entries keeping their places, so that nothing needs a snapshot any
 * more. A full pool is no failure here. */
int pmo_change_copy(pmo_pool *pool, pmo_change *change);

/* ---- table_publish.c --------------------------------------------------------------------- */

/* A key and, for a dict, its value, as they crossed the interface. */
typedef struct pmo_pair {
    pmo_value key;
    pmo_value value;
    const char *canon;
    uint64_t canon_length;
} pmo_pair;

int pmo_pair_valid(const pmo_table *table, const pmo_pair *pair);
/* Heap bytes that they take. */
uint64_t pmo_pair_key_need(const pmo_pair *pair);
uint64_t pmo_pair_value_need(const pmo_table *table, const pmo_pair *pair);
/* The value's cell. */
int pmo_pair_value(pmo_pool *pool, pmo_table *table, const pmo_pair *pair, pmo_cell *cell);
/* The entry past the used ones; key is the pair's. */
int pmo_pair_write(pmo_pool *pool, pmo_table *table, const pmo_pair *pair, const pmo_key *key);
/* Insert or replace without a transaction. PMO_EMISSING: it takes one, nothing was done. */
int pmo_table_publish(pmo_pool *pool, uint64_t offset, const pmo_pair *pair);

/* ---- table.c: one pair ----------------------------------------------------------------- */

/* Insert or replace. */
int pmo_pair_put(pmo_pool *pool, pmo_change *change, const pmo_pair *pair);
/* Empty entry i, which slot of the index names; without shrinking. */
int pmo_entry_delete(pmo_pool *pool, pmo_change *change, uint64_t i, uint64_t slot);

#endif
