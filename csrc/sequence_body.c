/*
 * Sequences (list, tuple): the storage of their cells, and moving to another one.
 */
#include "sequence.h"

static const pmo_batch nothing;

int pmo_feed_cell(pmo_pool *pool, pmo_heap *heap, pmo_feed *from, pmo_cell *cell) {
    pmo_value value;
    pmo_cell made;
    PMO_TRY(pmo_feed_next(from, &value));
    PMO_TRY(pmo_cell_make(pool, heap, value.tag, value.number, value.data, &made));
    *cell = made;
    return PMO_OK;
}

int pmo_feed_cells(pmo_pool *pool, pmo_heap *heap, const pmo_batch *batch, pmo_cell *cells) {
    if (batch->tags == NULL && batch->tag >= PMO_NONE && batch->tag < PMO_REF) {
        pmo_cells_fill(batch->tag, batch->numbers, batch->count, cells);
        return PMO_OK;
    }
    pmo_feed source = {.batch = batch};
    for (uint64_t i = 0; i < batch->count; i++) {
        PMO_TRY(pmo_feed_cell(pool, heap, &source, &cells[i]));
    }
    return PMO_OK;
}

static int move_cells(pmo_pool *pool, const pmo_heap *from, const pmo_cell *cells,
                      uint64_t count, pmo_heap *to, pmo_cell *target) {
    if (from->used == 0) {
        if (count > 0) {
            memcpy(target, cells, count * sizeof(pmo_cell));
            to->refers |= from->refers;
        }
        return PMO_OK;
    }
    for (uint64_t i = 0; i < count; i++) {
        PMO_TRY(pmo_cell_move(pool, from, &cells[i], to, &target[i]));
    }
    return PMO_OK;
}

int pmo_sequence_rebuild(pmo_pool *pool, pmo_container *list, uint64_t start, uint64_t stop,
                         const pmo_batch *batch, uint64_t capacity, uint64_t heap_capacity) {
    const pmo_cell *old = pmo_cells(pool, list);
    const pmo_heap from = pmo_heap_of(pool, list, PMO_LAYOUT_SEQUENCE);
    uint64_t used = list->state.used;
    pmo_geometry geometry;
    PMO_TRY(pmo_body_new(pool, PMO_LAYOUT_SEQUENCE, capacity, 0, heap_capacity, &geometry));
    pmo_heap to = pmo_heap_new(pool, &geometry, PMO_LAYOUT_SEQUENCE);
    pmo_cell *cells = pmo_at(pool, geometry.body);
    PMO_TRY(move_cells(pool, &from, old, start, &to, cells));
    PMO_TRY(pmo_feed_cells(pool, &to, batch, cells + start));
    PMO_TRY(
        move_cells(pool, &from, old + stop, used - stop, &to, cells + start + batch->count));
    uint64_t length = used - (stop - start) + batch->count;
    return pmo_body_exchange(pool, list, &geometry, length, length, &to, start, stop);
}

bool pmo_sequence_has_room(const pmo_container *list, uint64_t used, uint64_t heap_need) {
    const pmo_state *state = &list->state;
    const pmo_geometry *geometry = &list->geometry;
    return used <= geometry->capacity &&
           heap_need <= geometry->heap_capacity - state->heap_used;
}

uint64_t pmo_sequence_heap_room(const pmo_pool *pool, const pmo_container *list,
                                uint64_t heap_need) {
    uint64_t live = pmo_sequence_heap_live(list);
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
        heap = pmo_sequence_heap_room(pool, list, heap_need);
    }
    return pmo_sequence_rebuild(pool, list, used, used, &nothing, capacity, heap);
}

int pmo_sequence_reserve(pmo_pool *pool, pmo_container *list, uint64_t extra,
                         uint64_t heap_need) {
    if (pmo_sequence_has_room(list, list->state.used + extra, heap_need)) {
        return PMO_OK;
    }
    uint64_t writes = pool->writes;
    int status;
    do {
        status = enlarge(pool, list, extra, heap_need);
    } while (pmo_more_thrift(pool, status, writes));
    return status;
}

int pmo_sequence_begin(pmo_pool *pool, uint64_t offset, pmo_op *op, pmo_container **list) {
    PMO_TRY(pmo_op_begin(pool, op));
    int status = pmo_container_at(pool, offset, PMO_LAYOUT_SEQUENCE, list);
    return status == PMO_OK ? PMO_OK : pmo_op_end(pool, op, status);
}

int pmo_sequence_overwrite(pmo_pool *pool, const pmo_container *list, pmo_heap *heap,
                           pmo_cell *cell, const pmo_cell *made) {
    const pmo_cell old = *cell;
    PMO_TRY(pmo_body_undo(pool, list, cell, sizeof *cell));
    *cell = *made;
    return pmo_cell_drop(pool, heap, &old);
}

int pmo_sequence_put_heap(pmo_pool *pool, pmo_container *list, const pmo_heap *heap) {
    const pmo_heap before = pmo_heap_of(pool, list, PMO_LAYOUT_SEQUENCE);
    if (heap->used == before.used && heap->garbage == before.garbage &&
        heap->refers == before.refers) {
        return PMO_OK;
    }
    PMO_TRY(pmo_state_undo(pool, list));
    pmo_state_put(list, list->state.length, list->state.used, heap);
    return PMO_OK;
}
