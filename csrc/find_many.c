/*
 * Handles for many objects at once: pinned, and what small ones hold read with it, so that
 * reading on in a list of records takes no further call.
 */
#include <stdlib.h>

#include "table.h"
#include "tokens.h"

#define FEW 16u               /* elements of a container that is read with its handle */
#define SHORT 512u            /* bytes of a payload */
#define INNER_MAX 4096u       /* objects that containers refer to, all together */
#define CONTENTS_MAX 1048576u /* bytes of all contents together */

static bool is_short(const pmo_value *value) {
    return value->tag < PMO_STR || value->number <= (int64_t)SHORT;
}

/* Known before it is read: to check a payload is to read all of it. */
static bool is_long(const pmo_cell *cell) {
    return (cell->tag >= PMO_STR && cell->len == PMO_LEN_BLOB) ||
           pmo_cell_heap_bytes(cell) > SHORT;
}

/* Their handles need nothing but what is read here. */
static bool is_common(uint32_t type) {
    return type == PMO_TYPE_LIST || type == PMO_TYPE_DICT || type == PMO_TYPE_SET;
}

/* Floats are left out: what is equal to one as a key may be another. */
static bool is_plain_key(const pmo_value *key) {
    return key->tag != PMO_FLOAT && key->tag != PMO_REF && is_short(key);
}

typedef struct found {
    pmo_buffer contents;
    bool wants_inner;
    pmo_buffer inner;  /* for each: the number of its container, its offset */
    pmo_buffer labels; /* and its index or key there */
    uint64_t number;   /* of the container that is being read */
} found;

typedef struct mark {
    uint64_t contents;
    uint64_t inner;
    uint64_t labels;
} mark;

static mark marked(const found *to) {
    return (mark){to->contents.length, to->inner.length, to->labels.length};
}

static void back_to(found *to, mark at) {
    to->contents.length = at.contents;
    to->inner.length = at.inner;
    to->labels.length = at.labels;
}

static int put_inner(found *to, const pmo_value *key, const pmo_value *value) {
    const uint64_t pair[2] = {to->number, (uint64_t)value->number};
    if (!to->wants_inner || !is_common(value->type) ||
        to->inner.length >= INNER_MAX * sizeof pair) {
        return PMO_OK;
    }
    PMO_TRY(pmo_token_bytes(&to->inner, pair, sizeof pair));
    return pmo_token_value(&to->labels, key, true);
}

/* One item; what a stream cannot have is left out. */
static int put_item(found *to, const pmo_value *key, const pmo_value *value) {
    if (!is_plain_key(key) || !is_short(value)) {
        return PMO_OK;
    }
    const mark before = marked(to);
    int status = PMO_OK;
    if (value->tag == PMO_REF) {
        status = put_inner(to, key, value);
    } else {
        status = pmo_token_value(&to->contents, key, true);
        if (status == PMO_OK) {
            status = pmo_token_value(&to->contents, value, false);
        }
    }
    if (status == PMO_EINVAL) {
        back_to(to, before);
        return PMO_OK;
    }
    return status;
}

static int put_cells(pmo_pool *pool, found *to, pmo_container *list) {
    const pmo_heap heap = pmo_heap_of(pool, list, PMO_LAYOUT_SEQUENCE);
    const pmo_cell *cells = pmo_cells(pool, list);
    for (uint64_t i = 0; i < list->state.length; i++) {
        const pmo_value index = {.tag = PMO_INT, .number = (int64_t)i};
        pmo_value value;
        if (is_long(&cells[i])) {
            continue;
        }
        PMO_TRY(pmo_cell_read(pool, &heap, &cells[i], &value));
        PMO_TRY(put_item(to, &index, &value));
    }
    return PMO_OK;
}

static int put_entries(pmo_pool *pool, found *to, pmo_container *container) {
    const pmo_table table = pmo_table_of(pool, container);
    for (uint64_t i = 0; i < table.used; i++) {
        pmo_cell *entry = pmo_table_entry(&table, i);
        const pmo_cell *cell = pmo_entry_value(entry);
        if (entry->tag == PMO_EMPTY || is_long(entry) || is_long(cell)) {
            continue;
        }
        pmo_value key;
        pmo_value value;
        PMO_TRY(pmo_cell_read(pool, &table.heap, entry, &key));
        PMO_TRY(pmo_cell_read(pool, &table.heap, cell, &value));
        PMO_TRY(put_item(to, &key, &value));
    }
    return PMO_OK;
}

/* What a small list or dict holds, by index or key; of anything else, nothing. Damage is for
 * who reads the element: nothing is told of it here. */
static int put_content(pmo_pool *pool, found *to, uint64_t offset, uint32_t type) {
    PMO_TRY(pmo_token_letter(&to->contents, '{'));
    const mark start = marked(to);
    pmo_container *container = NULL;
    bool kind = type == PMO_TYPE_LIST || type == PMO_TYPE_DICT;
    if (kind && start.contents < CONTENTS_MAX &&
        pmo_container_at(pool, offset, pmo_layout_of(pool, type), &container) == PMO_OK &&
        container->state.used <= FEW) {
        int status = type == PMO_TYPE_DICT ? put_entries(pool, to, container)
                                           : put_cells(pool, to, container);
        if (status == PMO_ENOMEM) {
            return status;
        }
        if (status != PMO_OK) {
            back_to(to, start);
        }
    }
    return pmo_token_letter(&to->contents, '0');
}

static int find_one(pmo_pool *pool, found *to, uint64_t offset, uint32_t *type) {
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    *type = header->type;
    PMO_TRY(put_content(pool, to, offset, *type));
    to->number++;
    return is_common(*type) ? pmo_map_add(&pool->pins, offset, 1) : PMO_OK;
}

static int find_all(pmo_pool *pool, found *to, const uint64_t *offsets, uint64_t count,
                    uint32_t *types) {
    PMO_TRY(pmo_token_counted(&to->contents, '[', count));
    PMO_TRY(pmo_token_counted(&to->labels, '[', 0));
    for (uint64_t i = 0; i < count; i++) {
        int status = find_one(pool, to, offsets[i], &types[i]);
        if (status != PMO_OK) {
            while (i-- > 0) {
                if (is_common(types[i])) {
                    pmo_unpin(pool, offsets[i]);
                }
            }
            return status;
        }
    }
    return PMO_OK;
}

int pmo_find_many(pmo_pool *pool, const uint64_t *offsets, uint64_t count, uint32_t *types,
                  pmo_batch *contents, pmo_batch *inner) {
    PMO_TRY(pmo_usable(pool));
    found to = {.wants_inner = inner != NULL};
    *contents = (pmo_batch){0};
    int status = find_all(pool, &to, offsets, count, types);
    if (status == PMO_OK) {
        contents->data = contents->owned[2] = to.contents.bytes;
        contents->data_length = to.contents.length;
    } else {
        free(to.contents.bytes);
    }
    if (status == PMO_OK && inner != NULL) {
        const uint32_t members = (uint32_t)(to.inner.length / (2 * sizeof(uint64_t)));
        memcpy(to.labels.bytes + 1, &members, sizeof members);
        *inner = (pmo_batch){
            .count = members,
            .numbers = (const int64_t *)(const void *)to.inner.bytes,
            .data = to.labels.bytes,
            .data_length = to.labels.length,
            .owned = {NULL, to.inner.bytes, to.labels.bytes},
        };
    } else {
        free(to.inner.bytes);
        free(to.labels.bytes);
    }
    return status;
}
