/*
 * Sequences (list, tuple): one element changed, and that without a transaction where it can
 * be; reading, verification.
 */
#include "sequence.h"

#define READ_MAX 262144u /* payload bytes of one read */
#define RUN_MIN 4u       /* cells that are worth reading as a run */

static int position(const pmo_container *list, int64_t index, uint64_t *at) {
    int64_t length = (int64_t)list->state.length;
    index += index < 0 ? length : 0;
    *at = (uint64_t)index;
    return index >= 0 && index < length ? PMO_OK : PMO_EINDEX;
}

int pmo_sequence_get(pmo_pool *pool, uint64_t offset, int64_t index, pmo_value *value) {
    PMO_TRY(pmo_usable(pool));
    pmo_container *list = NULL;
    PMO_TRY(pmo_container_at(pool, offset, PMO_LAYOUT_SEQUENCE, &list));
    uint64_t at = 0;
    PMO_TRY(position(list, index, &at));
    const pmo_heap heap = pmo_heap_of(pool, list, PMO_LAYOUT_SEQUENCE);
    return pmo_cell_read(pool, &heap, &pmo_cells(pool, list)[at], value);
}

static int set(pmo_pool *pool, pmo_container *list, int64_t index, uint32_t tag, int64_t number,
               const char *data) {
    uint64_t at = 0;
    PMO_TRY(position(list, index, &at));
    PMO_TRY(pmo_value_valid(tag, number, data));
    PMO_TRY(pmo_sequence_reserve(pool, list, 0, pmo_cell_heap_need(tag, number)));
    pmo_heap heap = pmo_heap_of(pool, list, PMO_LAYOUT_SEQUENCE);
    pmo_cell made;
    PMO_TRY(pmo_cell_make(pool, &heap, tag, number, data, &made));
    PMO_TRY(pmo_sequence_overwrite(pool, list, &heap, &pmo_cells(pool, list)[at], &made));
    return pmo_sequence_put_heap(pool, list, &heap);
}

/* Is it a value without a reference to count, whose payload has room? */
static bool publishable(const pmo_container *list, uint64_t used, uint32_t tag,
                        int64_t number) {
    return pmo_value_countless(tag, number) &&
           pmo_sequence_has_room(list, used, pmo_cell_heap_need(tag, number));
}

/* Replace a value without a transaction. PMO_EMISSING: it takes one. */
static int set_published(pmo_pool *pool, uint64_t offset, int64_t index, uint32_t tag,
                         int64_t number, const char *data) {
    pmo_container *list = NULL;
    uint64_t at = 0;
    PMO_TRY(pmo_container_at(pool, offset, PMO_LAYOUT_SEQUENCE, &list));
    PMO_TRY(position(list, index, &at));
    PMO_TRY(pmo_value_valid(tag, number, data));
    uint64_t used = list->state.used;
    pmo_cell *cell = &pmo_cells(pool, list)[at];
    if (pmo_cell_may_refer(cell) || !publishable(list, used, tag, number)) {
        return PMO_EMISSING;
    }
    pmo_activate(pool);
    pmo_heap heap = pmo_heap_of(pool, list, PMO_LAYOUT_SEQUENCE);
    pmo_cell made;
    PMO_TRY(pmo_cell_make(pool, &heap, tag, number, data, &made));
    heap.garbage += pmo_cell_heap_bytes(cell);
    pmo_publication change = {.count = 0};
    pmo_publication_cell(&change, cell, &made);
    pmo_publication_state(&change, list, used, used, &heap);
    return pmo_publish(pool, &change);
}

static int set_or_publish(pmo_pool *pool, bool brief, uint64_t offset, int64_t index,
                          uint32_t tag, int64_t number, const char *data) {
    int status = pmo_may_publish(pool) ? set_published(pool, offset, index, tag, number, data)
                                       : PMO_EMISSING;
    if (!pmo_needs_transaction(pool, brief, &status)) {
        return status;
    }
    pmo_op op;
    pmo_container *list = NULL;
    PMO_TRY(pmo_sequence_begin(pool, offset, &op, &list));
    return pmo_op_end(pool, &op, set(pool, list, index, tag, number, data));
}

int pmo_sequence_set(pmo_pool *pool, uint64_t offset, int64_t index, uint32_t tag,
                     int64_t number, const char *data) {
    PMO_TRY(pmo_enter(pool));
    return pmo_leave(pool, set_or_publish(pool, false, offset, index, tag, number, data));
}

int pmo_sequence_set_int(pmo_pool *pool, uint64_t offset, int64_t index, int64_t number) {
    PMO_TRY(pmo_enter_briefly(pool));
    return pmo_leave(pool, set_or_publish(pool, true, offset, index, PMO_INT, number, ""));
}

static int append(pmo_pool *pool, pmo_container *list, uint32_t tag, int64_t number,
                  const char *data) {
    PMO_TRY(pmo_value_valid(tag, number, data));
    PMO_TRY(pmo_sequence_reserve(pool, list, 1, pmo_cell_heap_need(tag, number)));
    pmo_heap heap = pmo_heap_of(pool, list, PMO_LAYOUT_SEQUENCE);
    pmo_cell made;
    PMO_TRY(pmo_cell_make(pool, &heap, tag, number, data, &made));
    PMO_TRY(pmo_state_undo(pool, list));
    uint64_t used = list->state.used;
    pmo_cell *cell = &pmo_cells(pool, list)[used];
    *cell = made;
    pmo_fresh(pool, cell, sizeof *cell);
    pmo_state_put(list, used + 1, used + 1, &heap);
    return PMO_OK;
}

/* Append a value without a transaction. PMO_EMISSING: it takes one. */
static int append_published(pmo_pool *pool, uint64_t offset, uint32_t tag, int64_t number,
                            const char *data) {
    pmo_container *list = NULL;
    PMO_TRY(pmo_container_at(pool, offset, PMO_LAYOUT_SEQUENCE, &list));
    PMO_TRY(pmo_value_valid(tag, number, data));
    uint64_t used = list->state.used;
    if (!publishable(list, used + 1, tag, number)) {
        return PMO_EMISSING;
    }
    pmo_activate(pool);
    pmo_heap heap = pmo_heap_of(pool, list, PMO_LAYOUT_SEQUENCE);
    pmo_cell made;
    PMO_TRY(pmo_cell_make(pool, &heap, tag, number, data, &made));
    pmo_cell *cell = &pmo_cells(pool, list)[used];
    *cell = made;
    pmo_fresh(pool, cell, sizeof *cell);
    pmo_publication change = {.count = 0};
    pmo_publication_state(&change, list, used + 1, used + 1, &heap);
    return pmo_publish(pool, &change);
}

static int append_or_publish(pmo_pool *pool, bool brief, uint64_t offset, uint32_t tag,
                             int64_t number, const char *data) {
    int status = pmo_may_publish(pool) ? append_published(pool, offset, tag, number, data)
                                       : PMO_EMISSING;
    if (!pmo_needs_transaction(pool, brief, &status)) {
        return status;
    }
    pmo_op op;
    pmo_container *list = NULL;
    PMO_TRY(pmo_sequence_begin(pool, offset, &op, &list));
    return pmo_op_end(pool, &op, append(pool, list, tag, number, data));
}

int pmo_sequence_append(pmo_pool *pool, uint64_t offset, uint32_t tag, int64_t number,
                        const char *data) {
    PMO_TRY(pmo_enter(pool));
    return pmo_leave(pool, append_or_publish(pool, false, offset, tag, number, data));
}

int pmo_sequence_append_int(pmo_pool *pool, uint64_t offset, int64_t number) {
    PMO_TRY(pmo_enter_briefly(pool));
    return pmo_leave(pool, append_or_publish(pool, true, offset, PMO_INT, number, ""));
}

/* A run of ints or floats, which is what long lists mostly are. */
static int read_numbers(const pmo_cell *cells, uint64_t stop, uint64_t *i, pmo_stream *stream) {
    const pmo_cell *first = &cells[*i];
    uint64_t count = first->tag == PMO_INT || first->tag == PMO_FLOAT;
    while (count > 0 && count < stop - *i && first[count].tag == first->tag) {
        count++;
    }
    if (count < RUN_MIN) {
        return PMO_OK;
    }
    int64_t *numbers = NULL;
    PMO_TRY(pmo_stream_extend(stream, first->tag, count, &numbers));
    uint64_t done = pmo_cells_numbers(first, count, numbers);
    pmo_stream_cut(stream, count - done);
    *i += done;
    return PMO_OK;
}

int pmo_sequence_read(pmo_pool *pool, uint64_t offset, uint64_t start, uint64_t limit,
                      pmo_batch *batch) {
    PMO_TRY(pmo_usable(pool));
    pmo_container *list = NULL;
    PMO_TRY(pmo_container_at(pool, offset, PMO_LAYOUT_SEQUENCE, &list));
    const pmo_heap heap = pmo_heap_of(pool, list, PMO_LAYOUT_SEQUENCE);
    const pmo_cell *cells = pmo_cells(pool, list);
    pmo_stream *stream = &pool->values;
    pmo_stream_reset(stream);
    uint64_t length = list->state.length;
    uint64_t stop = start < length && limit < length - start ? start + limit : length;
    for (uint64_t i = start; i < stop && stream->data.length < READ_MAX; i++) {
        PMO_TRY(read_numbers(cells, stop, &i, stream));
        if (i == stop) {
            break;
        }
        pmo_value value;
        PMO_TRY(pmo_cell_read(pool, &heap, &cells[i], &value));
        PMO_TRY(pmo_stream_push(stream, &value));
    }
    pmo_stream_batch(stream, batch);
    return PMO_OK;
}

int pmo_sequence_verify(pmo_pool *pool, pmo_container *list) {
    const pmo_heap heap = pmo_heap_of(pool, list, PMO_LAYOUT_SEQUENCE);
    const pmo_cell *cells = pmo_cells(pool, list);
    uint64_t offset = pmo_offset_of(pool, list);
    if (list->state.length != list->state.used || list->geometry.index_slots != 0) {
        return pmo_corrupt(pool, offset, "a sequence with holes or an index");
    }
    uint64_t named = 0;
    for (uint64_t i = 0; i < list->state.used; i++) {
        pmo_value value;
        PMO_TRY(pmo_cell_read(pool, &heap, &cells[i], &value));
        if (cells[i].tag == PMO_KEYED) {
            return pmo_corrupt(pool, offset, "a key's cell in a sequence");
        }
        named += pmo_cell_heap_bytes(&cells[i]);
    }
    if (named != pmo_sequence_heap_live(list)) {
        return pmo_corrupt(pool, offset,
                           "a heap whose live bytes are not those its cells name");
    }
    return PMO_OK;
}
