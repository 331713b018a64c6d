#include "internal.h"

/* A sixteenth of the usual growth, then a 256th. */
#define THRIFT_SHIFT 4u
#define THRIFT_MOST 2u

int pmo_container_layout(const pmo_pool *pool, const pmo_container *container) {
    return pmo_layout_of(pool, container->head.type);
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
    heap.garbage = pmo_state_garbage(&container->state);
    heap.refers = container->state.heap_garbage & PMO_STATE_REFERS;
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
    uint64_t offset = pmo_offset_of(pool, container);
    if (pmo_is_safe(pool, offset)) {
        pool->writes++;
        return PMO_OK;
    }
    PMO_TRY(pmo_undo(pool, &container->state, sizeof(pmo_state)));
    pmo_mark_safe(pool, offset);
    return PMO_OK;
}

int pmo_body_undo(pmo_pool *pool, const pmo_container *container, void *address,
                  uint64_t size) {
    if (pmo_is_safe(pool, container->geometry.body)) {
        pool->writes++;
        return PMO_OK;
    }
    return pmo_undo(pool, address, size);
}

static pmo_state unchecked(uint64_t length, uint64_t used, const pmo_heap *heap) {
    return (pmo_state){
        .length = length,
        .used = used,
        .heap_used = heap->used,
        .heap_garbage = heap->garbage | (heap->refers ? PMO_STATE_REFERS : 0),
    };
}

void pmo_state_put(pmo_container *container, uint64_t length, uint64_t used,
                   const pmo_heap *heap) {
    container->state = unchecked(length, used, heap);
    container->state.check = pmo_state_check(&container->state);
}

void pmo_publication_state(pmo_publication *change, pmo_container *container, uint64_t length,
                           uint64_t used, const pmo_heap *heap) {
    pmo_state *state = &container->state;
    pmo_state after = unchecked(length, used, heap);
    if (memcmp(&after, state, offsetof(pmo_state, check)) == 0) {
        return;
    }
    after.check = pmo_state_check(&after);
    const uint64_t values[] = {after.length, after.used, after.heap_used, after.heap_garbage,
                               after.check};
    uint64_t *const places[] = {&state->length, &state->used, &state->heap_used,
                                &state->heap_garbage, &state->check};
    for (uint32_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (*places[i] != values[i]) {
            pmo_publication_add(change, places[i], values[i]);
        }
    }
}

void pmo_publication_cell(pmo_publication *change, pmo_cell *place, const pmo_cell *cell) {
    uint64_t *words = (uint64_t *)(void *)place;
    uint64_t value[2];
    memcpy(value, cell, sizeof value);
    pmo_publication_add(change, &words[0], value[0]);
    pmo_publication_add(change, &words[1], value[1]);
}

uint64_t pmo_spare(const pmo_pool *pool, uint64_t most) {
    return most >> THRIFT_SHIFT * pool->thrift;
}

uint64_t pmo_grown(const pmo_pool *pool, uint64_t capacity, uint64_t needed) {
    if (capacity == 0 || needed <= capacity) {
        return needed;
    }
    uint64_t spare = needed < 65536 ? needed / 2 : needed / 4;
    return needed + pmo_spare(pool, spare) + 4;
}

bool pmo_more_thrift(pmo_pool *pool, int status, uint64_t writes) {
    bool again = status == PMO_EFULL && pool->writes == writes && !pool->injected &&
                 pool->thrift < THRIFT_MOST;
    pool->thrift = again ? pool->thrift + 1 : 0;
    return again;
}

int pmo_body_reserve(pmo_pool *pool, int layout, uint64_t capacity, uint64_t index_slots,
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
        pmo_mark_safe(pool, geometry->body);
    }
    geometry->check = pmo_geometry_check(geometry);
    return PMO_OK;
}

int pmo_body_new(pmo_pool *pool, int layout, uint64_t capacity, uint64_t index_slots,
                 uint64_t heap_capacity, pmo_geometry *geometry) {
    PMO_TRY(pmo_body_reserve(pool, layout, capacity, index_slots, heap_capacity, geometry));
    if (geometry->body != 0) {
        pmo_populate(pool, geometry->body, pmo_body_bytes(geometry, layout));
        uint64_t index = geometry->body + capacity * pmo_stride(layout);
        memset(pmo_at(pool, index), 0, index_slots * sizeof(uint32_t));
    }
    return PMO_OK;
}

int pmo_body_replace(pmo_pool *pool, pmo_container *container, const pmo_geometry *geometry,
                     uint64_t length, uint64_t used, const pmo_heap *heap) {
    return pmo_body_exchange(pool, container, geometry, length, used, heap, 0, 0);
}

int pmo_body_exchange(pmo_pool *pool, pmo_container *container, const pmo_geometry *geometry,
                      uint64_t length, uint64_t used, const pmo_heap *heap, uint64_t start,
                      uint64_t stop) {
    PMO_TRY(pmo_undo(pool, &container->state, sizeof(pmo_state) + sizeof(pmo_geometry)));
    pmo_mark_safe(pool, pmo_offset_of(pool, container));
    PMO_TRY(pmo_discard_body(pool, container, start, stop));
    container->geometry = *geometry;
    pmo_state_put(container, length, used, heap);
    return PMO_OK;
}

int pmo_container_clear(pmo_pool *pool, pmo_container *container) {
    pmo_geometry nothing = {0};
    nothing.check = pmo_geometry_check(&nothing);
    const pmo_heap heap = {0};
    return pmo_body_exchange(pool, container, &nothing, 0, 0, &heap, 0, container->state.used);
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
