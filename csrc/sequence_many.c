/*
 * Sequences (list, tuple): runs of elements, changed with one call and in one transaction.
 */
#include <stdlib.h>

#include "sequence.h"

/* Moving more live bytes than this inside a body costs more undo log than copying
 * the whole into a new body. */
#define MOVE_MAX 65536u

static int feed_heap_need(const pmo_batch *batch, uint64_t *need) {
    pmo_feed from = {.batch = batch};
    pmo_value value;
    *need = 0;
    if (batch->tags == NULL && batch->tag < PMO_STR) {
        return PMO_OK;
    }
    while (from.next < batch->count) {
        PMO_TRY(pmo_feed_next(&from, &value));
        *need += pmo_cell_heap_need(value.tag, value.number);
    }
    return PMO_OK;
}

/* May the transaction go on after this operation, which drops cells start..stop-1?
 * Also an own one stays open when an object of a custom class dies. */
static bool others_may_follow(const pmo_pool *pool, const pmo_op *op, const pmo_cell *cells,
                              uint64_t start, uint64_t stop) {
    bool may = pmo_op_joined(op);
    bool customs = false;
    for (uint64_t i = 0; i < pool->layouts.count; i++) {
        customs |= pool->layouts.items[i] == PMO_LAYOUT_FOREIGN;
    }
    if (!customs) {
        return may;
    }
    for (uint64_t i = start; i < stop && !may; i++) {
        may = cells[i].tag == PMO_REF;
    }
    return may;
}

static int splice_in_place(pmo_pool *pool, const pmo_op *op, pmo_container *list,
                           uint64_t start, uint64_t stop, const pmo_batch *batch) {
    pmo_cell *cells = pmo_cells(pool, list);
    pmo_heap heap = pmo_heap_of(pool, list, PMO_LAYOUT_SEQUENCE);
    uint64_t used = list->state.used;
    uint64_t after = used - (stop - start) + batch->count;
    bool shifts = batch->count != stop - start;
    uint64_t changed = shifts ? used : stop;
    /* Cells that are vacated are no part of the new state, so only a later operation
     * of the same transaction could overwrite them. */
    if (changed > after && !others_may_follow(pool, op, cells, start, stop)) {
        changed = after;
    }
    if (changed > start) {
        PMO_TRY(pmo_undo(pool, &cells[start], (changed - start) * sizeof(pmo_cell)));
    }
    PMO_TRY(pmo_state_undo(pool, list));
    /* The new references are counted before the old ones are dropped: an object may be
     * among both. */
    pmo_buffer *kept = &pool->keys.data;
    kept->length = 0;
    PMO_TRY(pmo_buffer_reserve(kept, (stop - start + 1) * sizeof(pmo_cell)));
    pmo_cell *replaced = (pmo_cell *)(void *)kept->bytes;
    memcpy(replaced, &cells[start], (stop - start) * sizeof(pmo_cell));
    if (shifts) {
        memmove(&cells[start + batch->count], &cells[stop], (used - stop) * sizeof(pmo_cell));
    }
    PMO_TRY(pmo_feed_cells(pool, &heap, batch, cells + start));
    for (uint64_t i = 0; i < stop - start; i++) {
        heap.garbage += pmo_cell_heap_bytes(&replaced[i]);
    }
    PMO_TRY(pmo_discard_cells(pool, replaced, stop - start));
    if (after > used) {
        pmo_fresh(pool, &cells[used], (after - used) * sizeof(pmo_cell));
    }
    pmo_state_put(list, after, after, &heap);
    return PMO_OK;
}

/* A list that fell below a quarter of its room gives the rest back. */
static bool oversized(const pmo_container *list, uint64_t after) {
    return list->geometry.capacity > 64 && after < list->geometry.capacity / 4;
}

static int splice_anew(pmo_pool *pool, pmo_container *list, uint64_t start, uint64_t stop,
                       const pmo_batch *batch, uint64_t heap_need) {
    uint64_t after = list->state.used - (stop - start) + batch->count;
    uint64_t capacity =
        oversized(list, after) ? after + 4 : pmo_grown(pool, list->geometry.capacity, after);
    uint64_t heap = pmo_sequence_heap_live(list) + heap_need;
    if (list->geometry.heap_capacity > 0 && heap > 0) {
        heap = pmo_sequence_heap_room(pool, list, heap_need);
    }
    return pmo_sequence_rebuild(pool, list, start, stop, batch, capacity, heap);
}

static int splice(pmo_pool *pool, const pmo_op *op, pmo_container *list, uint64_t start,
                  uint64_t stop, const pmo_batch *batch) {
    uint64_t used = list->state.used;
    if (start > stop || stop > used) {
        return PMO_EINDEX;
    }
    if (start == 0 && stop == used && batch->count == 0) {
        return used == 0 && list->geometry.body == 0 ? PMO_OK : pmo_container_clear(pool, list);
    }
    uint64_t heap_need = 0;
    PMO_TRY(feed_heap_need(batch, &heap_need));
    uint64_t after = used - (stop - start) + batch->count;
    uint64_t moved = batch->count == stop - start ? 0 : used - stop;
    uint64_t touched = (moved + (stop - start)) * sizeof(pmo_cell);
    bool fits = pmo_sequence_has_room(list, after, heap_need);
    if (fits && !oversized(list, after) && touched <= MOVE_MAX) {
        return splice_in_place(pool, op, list, start, stop, batch);
    }
    uint64_t writes = pool->writes;
    int status;
    do {
        status = splice_anew(pool, list, start, stop, batch, heap_need);
    } while (pmo_more_thrift(pool, status, writes));
    /* No room for a new body: what the reserve's log can undo is done in the old one. */
    bool undoable =
        moved == 0 && !others_may_follow(pool, op, pmo_cells(pool, list), start, stop);
    if (status == PMO_EFULL && writes == pool->writes && !pool->injected && fits &&
        (undoable || touched < pool->reserve)) {
        status = splice_in_place(pool, op, list, start, stop, batch);
    }
    return status;
}

int pmo_sequence_splice(pmo_pool *pool, uint64_t offset, uint64_t start, uint64_t stop,
                        const pmo_batch *batch) {
    pmo_op op;
    pmo_container *list = NULL;
    PMO_TRY(pmo_sequence_begin(pool, offset, &op, &list));
    return pmo_op_end(pool, &op, splice(pool, &op, list, start, stop, batch));
}

static int stride_fits(const pmo_container *list, uint64_t start, int64_t step,
                       uint64_t count) {
    if (count == 0) {
        return PMO_OK;
    }
    uint64_t length = list->state.length;
    uint64_t pace = step < 0 ? 0 - (uint64_t)step : (uint64_t)step;
    if (start >= length || pace == 0) {
        return PMO_EINDEX;
    }
    uint64_t room = step < 0 ? start : length - 1 - start;
    return count - 1 <= room / pace ? PMO_OK : PMO_EINDEX;
}

static int set_stride(pmo_pool *pool, pmo_container *list, uint64_t start, int64_t step,
                      const pmo_batch *batch) {
    uint64_t heap_need = 0;
    PMO_TRY(stride_fits(list, start, step, batch->count));
    PMO_TRY(feed_heap_need(batch, &heap_need));
    PMO_TRY(pmo_sequence_reserve(pool, list, 0, heap_need));
    pmo_heap heap = pmo_heap_of(pool, list, PMO_LAYOUT_SEQUENCE);
    pmo_cell *cells = pmo_cells(pool, list);
    pmo_feed source = {.batch = batch};
    for (uint64_t i = 0; i < batch->count; i++) {
        pmo_cell made;
        PMO_TRY(pmo_feed_cell(pool, &heap, &source, &made));
        PMO_TRY(pmo_sequence_overwrite(pool, list, &heap, &cells[start + i * (uint64_t)step],
                                       &made));
    }
    return pmo_sequence_put_heap(pool, list, &heap);
}

int pmo_sequence_set_stride(pmo_pool *pool, uint64_t offset, uint64_t start, int64_t step,
                            const pmo_batch *batch) {
    pmo_op op;
    pmo_container *list = NULL;
    PMO_TRY(pmo_sequence_begin(pool, offset, &op, &list));
    return pmo_op_end(pool, &op, set_stride(pool, list, start, step, batch));
}

/* Arrange the cells in a new body: new cell i is old cell order[i], for count cells. */
static int rearrange(pmo_pool *pool, pmo_container *list, const uint64_t *order,
                     uint64_t count) {
    const pmo_cell *old = pmo_cells(pool, list);
    const pmo_heap from = pmo_heap_of(pool, list, PMO_LAYOUT_SEQUENCE);
    pmo_geometry geometry;
    PMO_TRY(pmo_body_new(pool, PMO_LAYOUT_SEQUENCE, count, 0, pmo_sequence_heap_live(list),
                         &geometry));
    pmo_heap to = pmo_heap_new(pool, &geometry, PMO_LAYOUT_SEQUENCE);
    pmo_cell *cells = pmo_at(pool, geometry.body);
    for (uint64_t i = 0; i < count; i++) {
        PMO_TRY(pmo_cell_move(pool, &from, &old[order[i]], &to, &cells[i]));
    }
    return pmo_body_replace(pool, list, &geometry, count, count, &to);
}

static int delete_stride(pmo_pool *pool, pmo_container *list, uint64_t start, uint64_t step,
                         uint64_t count) {
    PMO_TRY(stride_fits(list, start, (int64_t)step, count));
    uint64_t used = list->state.used;
    uint64_t kept = used - count;
    const pmo_cell *old = pmo_cells(pool, list);
    uint64_t *order = malloc((kept + 1) * sizeof(uint64_t));
    if (order == NULL) {
        return PMO_ENOMEM;
    }
    int status = PMO_OK;
    uint64_t next = 0;
    uint64_t gone = 0;
    for (uint64_t i = 0; i < used && status == PMO_OK; i++) {
        if (gone < count && i == start + gone * step) {
            gone++;
            status = pmo_cell_drop(pool, NULL, &old[i]);
        } else {
            order[next++] = i;
        }
    }
    if (status == PMO_OK) {
        status = rearrange(pool, list, order, kept);
    }
    free(order);
    return status;
}

int pmo_sequence_delete_stride(pmo_pool *pool, uint64_t offset, uint64_t start, uint64_t step,
                               uint64_t count) {
    if (step == 0 || step > INT64_MAX) {
        return PMO_EINVAL;
    }
    pmo_op op;
    pmo_container *list = NULL;
    PMO_TRY(pmo_sequence_begin(pool, offset, &op, &list));
    int status = count == 0 ? PMO_OK : delete_stride(pool, list, start, step, count);
    return pmo_op_end(pool, &op, status);
}

static int is_permutation(const uint64_t *order, uint64_t count) {
    uint8_t *seen = calloc(count / 8 + 1, 1);
    if (seen == NULL) {
        return PMO_ENOMEM;
    }
    bool sound = true;
    for (uint64_t i = 0; i < count && sound; i++) {
        sound = order[i] < count && (seen[order[i] / 8] >> (order[i] % 8) & 1) == 0;
        if (sound) {
            seen[order[i] / 8] |= (uint8_t)(1u << (order[i] % 8));
        }
    }
    free(seen);
    return sound ? PMO_OK : PMO_EINVAL;
}

int pmo_sequence_permute(pmo_pool *pool, uint64_t offset, const uint64_t *order,
                         uint64_t count) {
    pmo_op op;
    pmo_container *list = NULL;
    PMO_TRY(pmo_sequence_begin(pool, offset, &op, &list));
    int status = count == list->state.length ? is_permutation(order, count) : PMO_EINVAL;
    if (status == PMO_OK && count > 1) {
        status = rearrange(pool, list, order, count);
    }
    return pmo_op_end(pool, &op, status);
}

static int reverse(pmo_pool *pool, pmo_container *list) {
    uint64_t count = list->state.length;
    uint64_t *order = malloc((count + 1) * sizeof(uint64_t));
    if (order == NULL) {
        return PMO_ENOMEM;
    }
    for (uint64_t i = 0; i < count; i++) {
        order[i] = count - 1 - i;
    }
    int status = count > 1 ? rearrange(pool, list, order, count) : PMO_OK;
    free(order);
    return status;
}

int pmo_sequence_reverse(pmo_pool *pool, uint64_t offset) {
    pmo_op op;
    pmo_container *list = NULL;
    PMO_TRY(pmo_sequence_begin(pool, offset, &op, &list));
    return pmo_op_end(pool, &op, reverse(pool, list));
}
