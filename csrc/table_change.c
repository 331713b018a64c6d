#include "table.h"

#define MOST_ENTRIES ((uint64_t)UINT32_MAX - PMO_SLOT_BIAS)
#define SMALLEST 4u         /* entries of the first body, unless a bulk build knows better */
#define WORTH_SHRINKING 64u /* entries */

int pmo_change_start(pmo_pool *pool, uint64_t offset, const pmo_op *op, pmo_change *change) {
    *change = (pmo_change){0};
    PMO_TRY(pmo_table_at(pool, offset, &change->table));
    change->fresh_from = change->table.used;
    change->new_body = pmo_is_safe(pool, change->table.container->geometry.body);
    /* Empty before this transaction: the whole heap may be written as fresh. */
    if (change->table.used == 0 && !pmo_op_joined(op)) {
        change->table.heap.used = 0;
        change->table.heap.garbage = 0;
        change->table.heap.refers = false;
    }
    return PMO_OK;
}

void pmo_change_store(pmo_pool *pool, const pmo_change *change) {
    const pmo_table *table = &change->table;
    if (!change->state_saved) {
        return;
    }
    if (!change->new_body && table->used > change->fresh_from) {
        pmo_fresh(pool, pmo_table_entry(table, change->fresh_from),
                  (table->used - change->fresh_from) * pmo_entry_bytes(table));
    }
    pmo_state_put(table->container, table->length, table->used, &table->heap);
}

int pmo_change_save_state(pmo_pool *pool, pmo_change *change) {
    if (!change->state_saved) {
        PMO_TRY(pmo_state_undo(pool, change->table.container));
        change->state_saved = true;
    }
    return PMO_OK;
}

int pmo_change_save_slot(pmo_pool *pool, const pmo_change *change, uint64_t slot) {
    bool saved = change->new_body || change->index_saved;
    return saved ? PMO_OK : pmo_undo(pool, change->table.index + slot, sizeof(uint32_t));
}

/* Have the index name entry i, which was just moved there. */
static int name_moved(pmo_pool *pool, const pmo_table *table, uint64_t i) {
    pmo_key key;
    if (table->slots == 0) {
        return PMO_OK;
    }
    PMO_TRY(pmo_key_moved(pool, &table->heap, pmo_table_entry(table, i), &key));
    return pmo_name_entry(pool, table, pmo_key_hash(pool, &key), i);
}

static int move_entry(pmo_pool *pool, const pmo_table *from, uint64_t i, pmo_table *to) {
    pmo_cell *old = pmo_table_entry(from, i);
    pmo_cell *entry = pmo_table_entry(to, to->used);
    PMO_TRY(pmo_cell_move(pool, &from->heap, old, &to->heap, entry));
    if (from->layout == PMO_LAYOUT_DICT) {
        PMO_TRY(pmo_cell_move(pool, &from->heap, pmo_entry_value(old), &to->heap,
                              pmo_entry_value(entry)));
    }
    to->used++;
    to->length++;
    return name_moved(pool, to, to->used - 1);
}

static int miscounted(pmo_pool *pool, const pmo_table *table) {
    return pmo_corrupt(pool, pmo_offset_of(pool, table->container),
                       "a table's length is not its number of keys");
}

/* Entries without holes between them, which have nothing in the heap, are copied as they are.
 */
static int copy_entries(pmo_pool *pool, const pmo_table *from, pmo_table *to) {
    memcpy(to->entries, from->entries, from->used * pmo_entry_bytes(from));
    to->heap.refers = from->heap.refers;
    for (uint64_t i = 0; i < from->used; i++) {
        PMO_TRY(name_moved(pool, to, i));
    }
    to->length = to->used = from->used;
    return PMO_OK;
}

static int move_entries(pmo_pool *pool, const pmo_table *from, bool keep_places,
                        pmo_table *to) {
    if (from->used > 0 && from->heap.used == 0 && from->used == from->length &&
        from->used <= to->capacity) {
        return copy_entries(pool, from, to);
    }
    for (uint64_t i = 0; i < from->used; i++) {
        bool hole = pmo_table_entry(from, i)->tag == PMO_EMPTY;
        if (hole && !keep_places) {
            continue;
        }
        if (to->used == to->capacity) {
            return miscounted(pool, from);
        }
        if (hole) {
            uint64_t first = 0;
            pmo_cell *entry = pmo_table_entry(to, to->used++);
            PMO_TRY(pmo_cell_hole(pool, pmo_table_entry(from, i), &first));
            memset(entry, 0, pmo_entry_bytes(to));
            pmo_cell_make_hole(entry, first);
        } else {
            PMO_TRY(move_entry(pool, from, i, to));
        }
    }
    return to->length == from->length ? PMO_OK : miscounted(pool, from);
}

/* Move everything to a new body; without keep_places the holes are squeezed out.
 * *no_body is PMO_EFULL when there was no room for one: nothing was changed then. */
static int rebuild(pmo_pool *pool, pmo_change *change, uint64_t capacity,
                   uint64_t heap_capacity, bool keep_places, int *no_body) {
    pmo_table *table = &change->table;
    pmo_container shape = {.head = table->container->head};
    *no_body = pmo_body_new(pool, table->layout, capacity, pmo_table_slots(capacity),
                            heap_capacity, &shape.geometry);
    PMO_TRY(*no_body);
    pmo_table next = pmo_table_of(pool, &shape);
    next.heap = pmo_heap_new(pool, &shape.geometry, table->layout);
    next.container = table->container;
    PMO_TRY(move_entries(pool, table, keep_places, &next));
    PMO_TRY(pmo_body_replace(pool, table->container, &shape.geometry, next.length, next.used,
                             &next.heap));
    *table = next;
    change->new_body = true;
    change->state_saved = true;
    return PMO_OK;
}

static uint64_t live_heap(const pmo_table *table) {
    return table->heap.used - table->heap.garbage;
}

/* Geometric, so that an insertion is O(1) amortised. */
static uint64_t grown(const pmo_pool *pool, uint64_t length, uint64_t more, uint64_t needed) {
    uint64_t capacity = length + pmo_spare(pool, more) + SMALLEST;
    if (needed <= PMO_SMALL_TABLE && capacity > PMO_SMALL_TABLE) {
        capacity = PMO_SMALL_TABLE;
    }
    if (capacity > MOST_ENTRIES) {
        capacity = MOST_ENTRIES;
    }
    return needed > capacity ? needed : capacity;
}

static int room_for_entries(pmo_pool *pool, pmo_change *change) {
    const pmo_table *table = &change->table;
    uint64_t capacity = table->length + change->more_entries;
    uint64_t heap = live_heap(table) + change->more_heap;
    if (capacity > MOST_ENTRIES) {
        pool->failure = (pmo_failure_info){.requested = capacity};
        return PMO_ETOOBIG;
    }
    if (!change->bulk || table->length > 0) {
        /* Where this transaction has filled a body, more is likely to follow, and bodies are
         * dear: their pages are new ones. */
        const uint64_t part = change->new_body ? 1 : 2;
        capacity = grown(pool, table->length, table->length / part, capacity);
        heap += pmo_spare(pool, heap / part);
        bool tight = change->more_heap > table->heap.capacity - table->heap.used;
        if (tight || (change->new_body && heap > 0)) { /* names that are counted get longer */
            heap += pmo_spare(pool, capacity * pmo_entry_bytes(table) / 8);
        }
    }
    int no_body;
    return rebuild(pool, change, capacity, heap, false, &no_body);
}

static int room_for_values(pmo_pool *pool, pmo_change *change) {
    const pmo_table *table = &change->table;
    uint64_t heap = live_heap(table) + change->more_heap;
    /* The slack pays for moving the entries too, not only the heap. */
    heap += pmo_spare(pool, heap / 2 + table->used * pmo_entry_bytes(table) / 8);
    int no_body;
    return rebuild(pool, change, table->capacity, heap, true, &no_body);
}

static int make_room(pmo_pool *pool, pmo_change *change, bool keep_places) {
    uint64_t writes = pool->writes;
    int status;
    do {
        status = keep_places ? room_for_values(pool, change) : room_for_entries(pool, change);
    } while (pmo_more_thrift(pool, status, writes));
    return status;
}

int pmo_change_room_for_entries(pmo_pool *pool, pmo_change *change) {
    return make_room(pool, change, false);
}

int pmo_change_room_for_values(pmo_pool *pool, pmo_change *change) {
    return make_room(pool, change, true);
}

int pmo_change_copy(pmo_pool *pool, pmo_change *change) {
    const pmo_table *table = &change->table;
    int no_body;
    int status = rebuild(pool, change, table->capacity, live_heap(table), true, &no_body);
    return no_body == PMO_EFULL ? PMO_OK : status;
}

int pmo_change_shrink(pmo_pool *pool, pmo_change *change) {
    const pmo_table *table = &change->table;
    bool holes = table->used > WORTH_SHRINKING && table->used - table->length > table->length;
    bool idle = table->capacity > WORTH_SHRINKING && table->capacity / 8 > table->length;
    bool garbage = pmo_heap_wasteful(&table->heap) &&
                   table->heap.garbage > table->length * pmo_entry_bytes(table);
    if (!holes && !idle && !garbage) {
        return PMO_OK;
    }
    uint64_t heap = live_heap(table);
    int no_body;
    int status =
        rebuild(pool, change, grown(pool, table->length, table->length / 2, table->length),
                heap + heap / 2, false, &no_body);
    return no_body == PMO_EFULL ? PMO_OK : status;
}
