#include <stdlib.h>

#include "internal.h"

#define LAYOUT PMO_LAYOUT_SEQUENCE
/* Moving more live bytes than this inside a body costs more undo log than copying
 * the whole into a new body. */
#define MOVE_MAX 65536u
#define READ_MAX 262144u /* payload bytes of one read */
#define RUN_MIN 4u       /* cells that are worth reading as a run */

static pmo_cell *cells_of(const pmo_pool *pool, const pmo_container *list) {
    return (pmo_cell *)(void *)pmo_elements(pool, list);
}

/* A cursor over a batch; payloads are consumed in order. */
typedef struct feed {
    const pmo_batch *batch;
    uint64_t next;
    uint64_t data_at;
} feed;

static int feed_next(feed *from, pmo_value *value) {
    const pmo_batch *batch = from->batch;
    uint64_t i = from->next++;
    *value = (pmo_value){.tag = batch->tags ? batch->tags[i] : batch->tag,
                         .number = batch->numbers[i],
                         .data = batch->data ? batch->data + from->data_at : ""};
    if (value->tag < PMO_STR) {
        return PMO_OK;
    }
    if (value->number < 0 || (uint64_t)value->number > batch->data_length - from->data_at) {
        return PMO_EINVAL;
    }
    from->data_at += (uint64_t)value->number;
    return PMO_OK;
}

static int feed_heap_need(const pmo_batch *batch, uint64_t *need) {
    feed from = {.batch = batch};
    pmo_value value;
    *need = 0;
    if (batch->tags == NULL && batch->tag < PMO_STR) {
        return PMO_OK;
    }
    while (from.next < batch->count) {
        PMO_TRY(feed_next(&from, &value));
        *need += pmo_cell_heap_need(value.tag, value.number);
    }
    return PMO_OK;
}

static int feed_cell(pmo_pool *pool, pmo_heap *heap, feed *from, pmo_cell *cell) {
    pmo_value value;
    pmo_cell made;
    PMO_TRY(feed_next(from, &value));
    PMO_TRY(pmo_cell_make(pool, heap, value.tag, value.number, value.data, &made));
    *cell = made;
    return PMO_OK;
}

/* All the batch's cells, one after the other from cells on. */
static int feed_cells(pmo_pool *pool, pmo_heap *heap, const pmo_batch *batch, pmo_cell *cells) {
    if (batch->tags == NULL && batch->tag >= PMO_NONE && batch->tag < PMO_REF) {
        pmo_cells_fill(batch->tag, batch->numbers, batch->count, cells);
        return PMO_OK;
    }
    feed source = {.batch = batch};
    for (uint64_t i = 0; i < batch->count; i++) {
        PMO_TRY(feed_cell(pool, heap, &source, &cells[i]));
    }
    return PMO_OK;
}

static int move_cells(pmo_pool *pool, const pmo_heap *from, const pmo_cell *cells,
                      uint64_t count, pmo_heap *to, pmo_cell *target) {
    if (from->used == 0) {
        if (count > 0) {
            memcpy(target, cells, count * sizeof(pmo_cell));
        }
        return PMO_OK;
    }
    for (uint64_t i = 0; i < count; i++) {
        PMO_TRY(pmo_cell_move(pool, from, &cells[i], to, &target[i]));
    }
    return PMO_OK;
}

/* The list in a new body of at least the given room, with cells start..stop-1 replaced by
 * the batch. */
static int rebuild(pmo_pool *pool, pmo_container *list, uint64_t start, uint64_t stop,
                   const pmo_batch *batch, uint64_t capacity, uint64_t heap_capacity) {
    const pmo_cell *old = cells_of(pool, list);
    const pmo_heap from = pmo_heap_of(pool, list, LAYOUT);
    uint64_t used = list->state.used;
    pmo_geometry geometry;
    PMO_TRY(pmo_body_new(pool, LAYOUT, capacity, 0, heap_capacity, &geometry));
    pmo_heap to = pmo_heap_new(pool, &geometry, LAYOUT);
    pmo_cell *cells = pmo_at(pool, geometry.body);
    PMO_TRY(move_cells(pool, &from, old, start, &to, cells));
    PMO_TRY(feed_cells(pool, &to, batch, cells + start));
    PMO_TRY(
        move_cells(pool, &from, old + stop, used - stop, &to, cells + start + batch->count));
    uint64_t length = used - (stop - start) + batch->count;
    return pmo_body_exchange(pool, list, &geometry, length, length, &to, start, stop);
}

static const pmo_batch nothing;

static bool has_room(const pmo_container *list, uint64_t used, uint64_t heap_need) {
    const pmo_state *state = &list->state;
    const pmo_geometry *geometry = &list->geometry;
    return used <= geometry->capacity &&
           heap_need <= geometry->heap_capacity - state->heap_used;
}

static uint64_t heap_live(const pmo_container *list) {
    return list->state.heap_used - list->state.heap_garbage;
}

static uint64_t heap_room_for(const pmo_pool *pool, const pmo_container *list,
                              uint64_t heap_need) {
    uint64_t live = heap_live(list);
    uint64_t most = list->geometry.heap_capacity;
    /* A heap that is mostly garbage is compacted at its size, not grown. */
    return live + heap_need <= most / 2 ? live + heap_need + pmo_spare(pool, most / 4)
                                        : pmo_grown(pool, most, live + heap_need);
}

static int enlarge(pmo_pool *pool, pmo_container *list, uint64_t extra, uint64_t heap_need) {
    uint64_t used = list->state.used;
    uint64_t capacity = list->geometry.capacity;
    capacity = used + extra <= capacity ? capacity : pmo_grown(pool, capacity, used + extra);
    uint64_t heap = list->geometry.heap_capacity;
    if (heap_need > heap - list->state.heap_used) {
        heap = heap_room_for(pool, list, heap_need);
    }
    return rebuild(pool, list, used, used, &nothing, capacity, heap);
}

static int reserve(pmo_pool *pool, pmo_container *list, uint64_t extra, uint64_t heap_need) {
    if (has_room(list, list->state.used + extra, heap_need)) {
        return PMO_OK;
    }
    uint64_t writes = pool->writes;
    int status;
    do {
        status = enlarge(pool, list, extra, heap_need);
    } while (pmo_more_thrift(pool, status, writes));
    return status;
}

static int enter(pmo_pool *pool, uint64_t offset, pmo_op *op, pmo_container **list) {
    PMO_TRY(pmo_op_begin(pool, op));
    int status = pmo_container_at(pool, offset, LAYOUT, list);
    return status == PMO_OK ? PMO_OK : pmo_op_end(pool, op, status);
}

int64_t pmo_length(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(pmo_usable(pool));
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    int layout = pmo_layout_of(pool, header->type);
    if (!pmo_is_container(layout)) {
        return PMO_ETYPE;
    }
    pmo_container *container = NULL;
    PMO_TRY(pmo_container_at(pool, offset, layout, &container));
    return (int64_t)container->state.length;
}

static int position(const pmo_container *list, int64_t index, uint64_t *at) {
    int64_t length = (int64_t)list->state.length;
    index += index < 0 ? length : 0;
    *at = (uint64_t)index;
    return index >= 0 && index < length ? PMO_OK : PMO_EINDEX;
}

int pmo_sequence_get(pmo_pool *pool, uint64_t offset, int64_t index, pmo_value *value) {
    PMO_TRY(pmo_usable(pool));
    pmo_container *list = NULL;
    PMO_TRY(pmo_container_at(pool, offset, LAYOUT, &list));
    uint64_t at = 0;
    PMO_TRY(position(list, index, &at));
    const pmo_heap heap = pmo_heap_of(pool, list, LAYOUT);
    return pmo_cell_read(pool, &heap, &cells_of(pool, list)[at], value);
}

/* Put made into a live cell; the heap may have been bumped for it. */
static int overwrite(pmo_pool *pool, const pmo_container *list, pmo_heap *heap, pmo_cell *cell,
                     const pmo_cell *made) {
    const pmo_cell old = *cell;
    PMO_TRY(pmo_body_undo(pool, list, cell, sizeof *cell));
    *cell = *made;
    return pmo_cell_drop(pool, heap, &old);
}

static int put_heap_state(pmo_pool *pool, pmo_container *list, const pmo_heap *heap) {
    if (heap->used == list->state.heap_used && heap->garbage == list->state.heap_garbage) {
        return PMO_OK;
    }
    PMO_TRY(pmo_state_undo(pool, list));
    pmo_state_put(list, list->state.length, list->state.used, heap);
    return PMO_OK;
}

static int set(pmo_pool *pool, pmo_container *list, int64_t index, uint32_t tag, int64_t number,
               const char *data) {
    uint64_t at = 0;
    PMO_TRY(position(list, index, &at));
    PMO_TRY(pmo_value_valid(tag, number, data));
    PMO_TRY(reserve(pool, list, 0, pmo_cell_heap_need(tag, number)));
    pmo_heap heap = pmo_heap_of(pool, list, LAYOUT);
    pmo_cell made;
    PMO_TRY(pmo_cell_make(pool, &heap, tag, number, data, &made));
    PMO_TRY(overwrite(pool, list, &heap, &cells_of(pool, list)[at], &made));
    return put_heap_state(pool, list, &heap);
}

/* Is it a value without a reference to count, whose payload has room? */
static bool publishable(const pmo_container *list, uint64_t used, uint32_t tag,
                        int64_t number) {
    bool countless =
        tag < PMO_REF || (tag >= PMO_STR && number <= (int64_t)PMO_HEAP_PAYLOAD_MAX);
    return countless && has_room(list, used, pmo_cell_heap_need(tag, number));
}

/* Replace a value without a transaction. PMO_EMISSING: it takes one. */
static int set_published(pmo_pool *pool, uint64_t offset, int64_t index, uint32_t tag,
                         int64_t number, const char *data) {
    pmo_container *list = NULL;
    uint64_t at = 0;
    PMO_TRY(pmo_container_at(pool, offset, LAYOUT, &list));
    PMO_TRY(position(list, index, &at));
    PMO_TRY(pmo_value_valid(tag, number, data));
    uint64_t used = list->state.used;
    pmo_cell *cell = &cells_of(pool, list)[at];
    if (pmo_cell_may_refer(cell) || !publishable(list, used, tag, number)) {
        return PMO_EMISSING;
    }
    pmo_activate(pool);
    pmo_heap heap = pmo_heap_of(pool, list, LAYOUT);
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
    if (pmo_may_publish(pool)) {
        int status = set_published(pool, offset, index, tag, number, data);
        if (status != PMO_EMISSING || brief) {
            return status != PMO_EMISSING ? status : PMO_EBUSY;
        }
    }
    pmo_op op;
    pmo_container *list = NULL;
    PMO_TRY(enter(pool, offset, &op, &list));
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
    PMO_TRY(reserve(pool, list, 1, pmo_cell_heap_need(tag, number)));
    pmo_heap heap = pmo_heap_of(pool, list, LAYOUT);
    pmo_cell made;
    PMO_TRY(pmo_cell_make(pool, &heap, tag, number, data, &made));
    PMO_TRY(pmo_state_undo(pool, list));
    uint64_t used = list->state.used;
    pmo_cell *cell = &cells_of(pool, list)[used];
    *cell = made;
    pmo_fresh(pool, cell, sizeof *cell);
    pmo_state_put(list, used + 1, used + 1, &heap);
    return PMO_OK;
}

/* Append a value without a transaction. PMO_EMISSING: it takes one. */
static int append_published(pmo_pool *pool, uint64_t offset, uint32_t tag, int64_t number,
                            const char *data) {
    pmo_container *list = NULL;
    PMO_TRY(pmo_container_at(pool, offset, LAYOUT, &list));
    PMO_TRY(pmo_value_valid(tag, number, data));
    uint64_t used = list->state.used;
    if (!publishable(list, used + 1, tag, number)) {
        return PMO_EMISSING;
    }
    pmo_activate(pool);
    pmo_heap heap = pmo_heap_of(pool, list, LAYOUT);
    pmo_cell made;
    PMO_TRY(pmo_cell_make(pool, &heap, tag, number, data, &made));
    pmo_cell *cell = &cells_of(pool, list)[used];
    *cell = made;
    pmo_fresh(pool, cell, sizeof *cell);
    pmo_publication change = {.count = 0};
    pmo_publication_state(&change, list, used + 1, used + 1, &heap);
    return pmo_publish(pool, &change);
}

static int append_or_publish(pmo_pool *pool, bool brief, uint64_t offset, uint32_t tag,
                             int64_t number, const char *data) {
    if (pmo_may_publish(pool)) {
        int status = append_published(pool, offset, tag, number, data);
        if (status != PMO_EMISSING || brief) {
            return status != PMO_EMISSING ? status : PMO_EBUSY;
        }
    }
    pmo_op op;
    pmo_container *list = NULL;
    PMO_TRY(enter(pool, offset, &op, &list));
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
    pmo_cell *cells = cells_of(pool, list);
    pmo_heap heap = pmo_heap_of(pool, list, LAYOUT);
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
    PMO_TRY(feed_cells(pool, &heap, batch, cells + start));
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
    uint64_t heap = heap_live(list) + heap_need;
    if (list->geometry.heap_capacity > 0 && heap > 0) {
        heap = heap_room_for(pool, list, heap_need);
    }
    return rebuild(pool, list, start, stop, batch, capacity, heap);
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
    bool fits = has_room(list, after, heap_need);
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
        moved == 0 && !others_may_follow(pool, op, cells_of(pool, list), start, stop);
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
    PMO_TRY(enter(pool, offset, &op, &list));
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
    PMO_TRY(reserve(pool, list, 0, heap_need));
    pmo_heap heap = pmo_heap_of(pool, list, LAYOUT);
    pmo_cell *cells = cells_of(pool, list);
    feed source = {.batch = batch};
    for (uint64_t i = 0; i < batch->count; i++) {
        pmo_cell made;
        PMO_TRY(feed_cell(pool, &heap, &source, &made));
        PMO_TRY(overwrite(pool, list, &heap, &cells[start + i * (uint64_t)step], &made));
    }
    return put_heap_state(pool, list, &heap);
}

int pmo_sequence_set_stride(pmo_pool *pool, uint64_t offset, uint64_t start, int64_t step,
                            const pmo_batch *batch) {
    pmo_op op;
    pmo_container *list = NULL;
    PMO_TRY(enter(pool, offset, &op, &list));
    return pmo_op_end(pool, &op, set_stride(pool, list, start, step, batch));
}

/* Arrange the cells in a new body: new cell i is old cell order[i], for count cells. */
static int rearrange(pmo_pool *pool, pmo_container *list, const uint64_t *order,
                     uint64_t count) {
    const pmo_cell *old = cells_of(pool, list);
    const pmo_heap from = pmo_heap_of(pool, list, LAYOUT);
    pmo_geometry geometry;
    PMO_TRY(pmo_body_new(pool, LAYOUT, count, 0, heap_live(list), &geometry));
    pmo_heap to = pmo_heap_new(pool, &geometry, LAYOUT);
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
    const pmo_cell *old = cells_of(pool, list);
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
    PMO_TRY(enter(pool, offset, &op, &list));
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
    PMO_TRY(enter(pool, offset, &op, &list));
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
    PMO_TRY(enter(pool, offset, &op, &list));
    return pmo_op_end(pool, &op, reverse(pool, list));
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
    PMO_TRY(pmo_container_at(pool, offset, LAYOUT, &list));
    const pmo_heap heap = pmo_heap_of(pool, list, LAYOUT);
    const pmo_cell *cells = cells_of(pool, list);
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
    const pmo_heap heap = pmo_heap_of(pool, list, LAYOUT);
    const pmo_cell *cells = cells_of(pool, list);
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
    if (named != heap_live(list)) {
        return pmo_corrupt(pool, offset,
                           "a heap whose live bytes are not those its cells name");
    }
    return PMO_OK;
}
