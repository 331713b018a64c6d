#include "internal.h"

int pmo_container_layout(const pmo_pool *pool, const pmo_container *container) {
    return pmo_layout_of(pool, container->head.type);
}

uint64_t pmo_stride(int layout) {
    switch (layout) {
    case PMO_LAYOUT_DICT:
        return sizeof(pmo_dict_entry);
    case PMO_LAYOUT_SET:
        return sizeof(pmo_set_entry);
    default:
        return sizeof(pmo_cell);
    }
}

uint64_t pmo_body_bytes(const pmo_geometry *geometry, int layout) {
    return geometry->capacity * pmo_stride(layout) + geometry->index_slots * sizeof(uint32_t) +
           geometry->heap_capacity;
}

uint64_t pmo_body_apart(const pmo_pool *pool, const pmo_container *container) {
    uint64_t inside = pmo_offset_of(pool, container) + sizeof(pmo_container);
    return container->geometry.body != inside ? container->geometry.body : 0;
}

uint32_t *pmo_index(const pmo_pool *pool, const pmo_container *container, int layout) {
    return pmo_at(pool,
                  container->geometry.body + container->geometry.capacity * pmo_stride(layout));
}

static pmo_heap heap_in(const pmo_pool *pool, const pmo_geometry *geometry, int layout) {
    uint64_t start = geometry->body + geometry->capacity * pmo_stride(layout) +
                     geometry->index_slots * sizeof(uint32_t);
    return (pmo_heap){.bytes = pmo_at(pool, start), .capacity = geometry->heap_capacity};
}

pmo_heap pmo_heap_of(const pmo_pool *pool, const pmo_container *container, int layout) {
    pmo_heap heap = heap_in(pool, &container->geometry, layout);
    heap.used = container->state.heap_used;
    heap.garbage = container->state.heap_garbage;
    return heap;
}

pmo_heap pmo_heap_new(const pmo_pool *pool, const pmo_geometry *geometry, int layout) {
    pmo_heap heap = heap_in(pool, geometry, layout);
    heap.in_new_body = true;
    return heap;
}

uint64_t pmo_state_check(const pmo_state *state) {
    return pmo_fold(pmo_fold(state->length, state->used),
                    pmo_fold(state->heap_used, state->heap_garbage));
}

uint64_t pmo_geometry_check(const pmo_geometry *geometry) {
    return pmo_fold(pmo_fold(geometry->body, geometry->capacity),
                    pmo_fold(geometry->index_slots, geometry->heap_capacity));
}

int pmo_state_undo(pmo_pool *pool, pmo_container *container) {
    return pmo_undo(pool, &container->state, sizeof(pmo_state));
}

void pmo_state_put(pmo_container *container, uint64_t length, uint64_t used,
                   const pmo_heap *heap) {
    container->state = (pmo_state){
        .length = length,
        .used = used,
        .heap_used = heap->used,
        .heap_garbage = heap->garbage,
    };
    container->state.check = pmo_state_check(&container->state);
}

uint64_t pmo_grown(uint64_t capacity, uint64_t needed) {
    if (capacity == 0 || needed <= capacity) {
        return needed;
    }
    uint64_t spare = needed < 65536 ? needed / 2 : needed / 4;
    return needed + spare + 4;
}

int pmo_body_new(pmo_pool *pool, int layout, uint64_t capacity, uint64_t index_slots,
                 uint64_t heap_capacity, pmo_geometry *geometry) {
    *geometry = (pmo_geometry){
        .capacity = capacity, .index_slots = index_slots, .heap_capacity = heap_capacity};
    uint64_t most = PMEMOBJ_MAX_ALLOC_SIZE;
    if (capacity > most / pmo_stride(layout) || index_slots > most || heap_capacity > most) {
        pool->failure = (pmo_failure_info){.requested = capacity};
        return PMO_ETOOBIG;
    }
    uint64_t size = pmo_body_bytes(geometry, layout);
    if (size > 0) {
        PMO_TRY(pmo_allocate(pool, size, PMO_NUM_BODY, false, &geometry->body));
        uint64_t index = geometry->body + capacity * pmo_stride(layout);
        memset(pmo_at(pool, index), 0, index_slots * sizeof(uint32_t));
    }
    geometry->check = pmo_geometry_check(geometry);
    return PMO_OK;
}

int pmo_body_replace(pmo_pool *pool, pmo_container *container, const pmo_geometry *geometry,
                     uint64_t length, uint64_t used, const pmo_heap *heap) {
    uint64_t old = pmo_body_apart(pool, container);
    PMO_TRY(pmo_undo(pool, &container->state, sizeof(pmo_state) + sizeof(pmo_geometry)));
    container->geometry = *geometry;
    pmo_state_put(container, length, used, heap);
    return old != 0 ? pmo_deallocate(pool, old) : PMO_OK;
}

static int drop_reference(pmo_pool *pool, const pmo_heap *heap, const pmo_cell *cell) {
    uint64_t offset = 0;
    PMO_TRY(pmo_cell_reference(pool, heap, cell, &offset));
    return offset != 0 ? pmo_reference_drop(pool, offset) : PMO_OK;
}

int pmo_container_drop_all(pmo_pool *pool, pmo_container *container) {
    int layout = pmo_container_layout(pool, container);
    const pmo_heap heap = pmo_heap_of(pool, container, layout);
    uint64_t stride = pmo_stride(layout);
    /* The cells of an element, from its first one on: a hash comes before a key. */
    uint64_t cells = layout == PMO_LAYOUT_DICT ? 2 : 1;
    const char *first = pmo_elements(pool, container);
    first += layout == PMO_LAYOUT_SEQUENCE ? 0 : offsetof(pmo_dict_entry, key);
    for (uint64_t i = 0; i < container->state.used; i++) {
        const pmo_cell *cell = (const pmo_cell *)(const void *)(first + i * stride);
        bool hole = layout != PMO_LAYOUT_SEQUENCE && cell->tag == PMO_EMPTY;
        for (uint64_t c = 0; c < cells && !hole; c++) {
            if (pmo_cell_may_refer(&cell[c])) {
                PMO_TRY(drop_reference(pool, &heap, &cell[c]));
            }
        }
    }
    return PMO_OK;
}

int pmo_container_clear(pmo_pool *pool, pmo_container *container) {
    PMO_TRY(pmo_container_drop_all(pool, container));
    pmo_geometry nothing = {0};
    nothing.check = pmo_geometry_check(&nothing);
    const pmo_heap heap = {0};
    return pmo_body_replace(pool, container, &nothing, 0, 0, &heap);
}
