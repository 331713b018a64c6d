/*
 * What the sequences' files share. Layers, each calling only those above it:
 *   sequence_body.c  the storage of the cells, and moving to another one
 *   sequence.c       one element; reading, verification
 *   sequence_many.c  runs of elements
 */
#ifndef PMO_SEQUENCE_H
#define PMO_SEQUENCE_H

#include "internal.h"

/* Begin the operation and find the sequence; after PMO_OK every path must reach pmo_op_end. */
int pmo_sequence_begin(pmo_pool *pool, uint64_t offset, pmo_op *op, pmo_container **list);
/* Do so many cells, and so many more bytes of heap, fit in the body? */
bool pmo_sequence_has_room(const pmo_container *list, uint64_t used, uint64_t heap_need);
/* Room for extra more cells and heap_need more bytes. Cells may move. */
int pmo_sequence_reserve(pmo_pool *pool, pmo_container *list, uint64_t extra,
                         uint64_t heap_need);
/* The list in a new body of at least the given room, with cells start..stop-1 replaced by
 * the batch. */
int pmo_sequence_rebuild(pmo_pool *pool, pmo_container *list, uint64_t start, uint64_t stop,
                         const pmo_batch *batch, uint64_t capacity, uint64_t heap_capacity);
/* Bytes to ask for as the heap of a new body. */
uint64_t pmo_sequence_heap_room(const pmo_pool *pool, const pmo_container *list,
                                uint64_t heap_need);
static inline uint64_t pmo_sequence_heap_live(const pmo_container *list) {
    return list->state.heap_used - pmo_state_garbage(&list->state);
}
/* The cell of the feed's next value; the cells of all the batch's, from cells on. */
int pmo_feed_cell(pmo_pool *pool, pmo_heap *heap, pmo_feed *from, pmo_cell *cell);
int pmo_feed_cells(pmo_pool *pool, pmo_heap *heap, const pmo_batch *batch, pmo_cell *cells);
/* Put made into a live cell; the heap may have been bumped for it. */
int pmo_sequence_overwrite(pmo_pool *pool, const pmo_container *list, pmo_heap *heap,
                           pmo_cell *cell, const pmo_cell *made);
/* Store what became of the heap, if anything did. */
int pmo_sequence_put_heap(pmo_pool *pool, pmo_container *list, const pmo_heap *heap);

#endif
