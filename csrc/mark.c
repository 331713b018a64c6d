#include "collector.h"

#define PREFETCH_DISTANCE 6u

uint64_t pmo_gc_references(struct pmo_collector *gc, uint64_t offset) {
    if (!(*pmo_gc_mark_of(gc, offset) & PMO_GC_EXTRA)) {
        return 1;
    }
    const uint64_t *extra = pmo_map_find(&gc->extra, offset);
    return extra != NULL ? *extra + 1 : 1;
}

static int reach(struct pmo_collector *gc, uint64_t offset, uint8_t flags) {
    *pmo_gc_mark_of(gc, offset) = flags;
    gc->reached++;
    if (gc->verify) {
        PMO_TRY(pmo_vector_push(&gc->all, offset));
    }
    return flags & PMO_GC_OBJECT ? pmo_vector_push(&gc->work, offset) : PMO_OK;
}

int pmo_gc_plausible(pmo_pool *pool, const struct pmo_collector *gc, uint64_t offset) {
    if (offset % PMO_GC_GRAIN != 0 || offset < PMO_POOL_HEADER || offset >= gc->limit) {
        return pmo_corrupt(pool, offset, "a reference to where no object can be");
    }
    return PMO_OK;
}

static int add_reference(pmo_pool *pool, struct pmo_collector *gc, uint64_t offset) {
    PMO_TRY(pmo_gc_plausible(pool, gc, offset));
    uint8_t mark = *pmo_gc_mark_of(gc, offset);
    if (mark & PMO_GC_BODY) {
        return pmo_corrupt(pool, offset, "a reference leads into a container's storage");
    }
    if (mark == 0) {
        return reach(gc, offset, PMO_GC_OBJECT);
    }
    *pmo_gc_mark_of(gc, offset) = mark | PMO_GC_EXTRA;
    return pmo_map_add(&gc->extra, offset, 1);
}

/* A pinned object is reached, but being pinned is no reference that is counted. */
static int add_pinned(pmo_pool *pool, struct pmo_collector *gc, uint64_t offset) {
    PMO_TRY(pmo_gc_plausible(pool, gc, offset));
    PMO_TRY(pmo_map_add(&gc->extra, offset, UINT64_MAX));
    return reach(gc, offset, PMO_GC_OBJECT | PMO_GC_EXTRA);
}

static int add_body(pmo_pool *pool, struct pmo_collector *gc, uint64_t offset) {
    PMO_TRY(pmo_gc_plausible(pool, gc, offset));
    if (*pmo_gc_mark_of(gc, offset) != 0) {
        return pmo_corrupt(pool, offset, "two objects have the same storage");
    }
    return reach(gc, offset, PMO_GC_BODY);
}

static int add_all_roots(pmo_pool *pool, struct pmo_collector *gc) {
    for (uint64_t slot = 0; slot < pool->pins.room; slot++) {
        if (pool->pins.keys[slot] != 0) {
            PMO_TRY(add_pinned(pool, gc, pool->pins.keys[slot]));
        }
    }
    if (pool->root->journal != 0) {
        PMO_TRY(add_body(pool, gc, pool->root->journal));
    }
    uint64_t reserve = pmo_reserve_offset(pool);
    if (reserve != 0) {
        PMO_TRY(add_body(pool, gc, reserve));
    }
    gc->types = pool->root->types;
    if (gc->types != 0) {
        PMO_TRY(add_reference(pool, gc, gc->types));
    }
    pmo_value value;
    uint64_t offset = 0;
    PMO_TRY(pmo_cell_reference(pool, NULL, &pool->root->root, &offset));
    if (offset != 0) {
        PMO_TRY(add_reference(pool, gc, offset));
    }
    PMO_TRY(pmo_cell_read(pool, NULL, &pool->root->root, &value));
    bool known =
        pool->root->magic == PMO_ROOT_MAGIC && pool->root->version == PMO_LAYOUT_VERSION;
    return known || !gc->verify
               ? PMO_OK
               : pmo_corrupt(pool, pmo_offset_of(pool, pool->root), "the root block's start");
}

/* pmo_cell_reference passes cells by that say they refer to nothing; if that is a lie
 * told by a damaged cell, what it referred to would be freed. */
static int cell_reference(pmo_pool *pool, const pmo_heap *heap, const pmo_cell *cell,
                          uint64_t *offset) {
    bool heaped = cell->tag >= PMO_STR && cell->len == PMO_LEN_HEAP;
    if (!heaped && !pmo_cell_may_refer(cell)) {
        pmo_value value;
        return pmo_cell_read(pool, heap, cell, &value);
    }
    if (heaped && (cell->word > heap->used || cell->extent > heap->used - cell->word)) {
        return pmo_corrupt(pool, pmo_offset_of(pool, cell), "a cell that points past its heap");
    }
    return pmo_cell_reference(pool, heap, cell, offset);
}

static int unannounced(pmo_pool *pool, const pmo_cell *cell) {
    return pmo_corrupt(pool, pmo_offset_of(pool, cell),
                       "a reference in a container that says it has none");
}

static int visit_element(pmo_pool *pool, struct pmo_collector *gc, const pmo_heap *heap,
                         const pmo_cell *cells, uint64_t count, pmo_gc_visit visit) {
    for (uint64_t i = 0; i < count; i++) {
        uint64_t offset = 0;
        PMO_TRY(cell_reference(pool, heap, &cells[i], &offset));
        if (offset != 0) {
            PMO_TRY(heap->refers ? visit(pool, gc, offset) : unannounced(pool, &cells[i]));
        }
    }
    return PMO_OK;
}

static int scan(pmo_pool *pool, struct pmo_collector *gc, pmo_gc_place *place, uint64_t limit,
                pmo_gc_visit visit) {
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, place->object, &header));
    int layout = pmo_layout_of(pool, header->type);
    pmo_container *container = NULL;
    PMO_TRY(pmo_container_at(pool, place->object, layout, &container));
    pmo_heap heap = pmo_heap_of(pool, container, layout);
    uint64_t stride = pmo_stride(layout);
    bool table = layout != PMO_LAYOUT_SEQUENCE;
    uint64_t cells = pmo_width(layout);
    uint64_t used = container->state.used;
    uint64_t stop = used - place->position < limit ? used : place->position + limit;
    const char *elements = pmo_elements(pool, container);
    for (; place->position < stop; place->position++) {
        const void *element = elements + place->position * stride;
        const pmo_cell *cell = element;
        uint64_t ignored;
        bool hole = table && cell->tag == PMO_EMPTY;
        place->live += !hole;
        int status = hole ? pmo_cell_hole(pool, cell, &ignored)
                          : visit_element(pool, gc, &heap, cell, cells, visit);
        if (status != PMO_OK && !(status == PMO_ECORRUPT && place->damaged)) {
            return status;
        }
    }
    if (place->position < used) {
        return PMO_OK;
    }
    if (place->live != container->state.length && !place->damaged) {
        return pmo_corrupt(pool, place->object, "a container with another number of elements");
    }
    place->object = 0;
    return PMO_OK;
}

int pmo_gc_scan(pmo_pool *pool, struct pmo_collector *gc, pmo_gc_place *place, uint64_t limit,
                pmo_gc_visit visit) {
    int status = scan(pool, gc, place, limit, visit);
    if (status != PMO_OK) {
        place->object = 0;
    }
    return status;
}

static int add_extents(pmo_pool *pool, struct pmo_collector *gc, uint64_t offset) {
    pmo_raw *raw = NULL;
    PMO_TRY(pmo_raw_at(pool, offset, &raw));
    for (uint64_t i = 0; i < pmo_raw_extents(raw); i++) {
        PMO_TRY(add_body(pool, gc, pmo_raw_extent(raw, i)));
    }
    return PMO_OK;
}

/* Begin the visit of one object: *foreign is set when only the caller can go on. */
static int visit_object(pmo_pool *pool, struct pmo_collector *gc, uint64_t offset,
                        uint64_t *foreign) {
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    int status = gc->verify ? pmo_object_check(pool, offset) : PMO_OK;
    if (status != PMO_OK && status != PMO_ECORRUPT) {
        return status;
    }
    gc->report.objects += offset != gc->types;
    int layout = pmo_layout_of(pool, header->type);
    if (layout < 0) {
        return pmo_corrupt(pool, offset, "an object has an unknown type code");
    }
    if (layout == PMO_LAYOUT_FOREIGN) {
        *foreign = offset;
    }
    if (layout == PMO_LAYOUT_FOREIGN || layout == PMO_LAYOUT_BLOB) {
        return status;
    }
    if (layout == PMO_LAYOUT_RAW) {
        PMO_TRY(add_extents(pool, gc, offset));
        return status;
    }
    pmo_container *container = NULL;
    PMO_TRY(pmo_container_at(pool, offset, layout, &container));
    if (container->geometry.body != 0) {
        uint64_t body = pmo_body_apart(pool, container);
        if (body != 0) {
            PMO_TRY(add_body(pool, gc, body));
        }
        if (gc->verify || pmo_heap_of(pool, container, layout).refers) {
            gc->place = (pmo_gc_place){.object = offset, .damaged = status != PMO_OK};
        }
    }
    return status;
}

static int mark(pmo_pool *pool, struct pmo_collector *gc, uint64_t budget, uint64_t *foreign) {
    if (!gc->rooted) {
        gc->rooted = true;
        PMO_TRY(add_all_roots(pool, gc));
    }
    while (budget > 0) {
        if (gc->place.object != 0) {
            uint64_t start = gc->place.position;
            PMO_TRY(pmo_gc_scan(pool, gc, &gc->place, budget * PMO_GC_LOOKS, add_reference));
            budget -= (gc->place.position - start) / PMO_GC_LOOKS;
            continue;
        }
        if (gc->work.count == 0) {
            pmo_gc_advance(gc, PMO_GC_SURVEY, 0);
            return 0;
        }
        uint64_t offset = gc->work.items[--gc->work.count];
        if (gc->work.count >= PREFETCH_DISTANCE) {
            uint64_t soon = gc->work.items[gc->work.count - PREFETCH_DISTANCE];
            __builtin_prefetch(pool->base + soon);
        }
        budget--;
        PMO_TRY(visit_object(pool, gc, offset, foreign));
        if (*foreign != 0) {
            return 2;
        }
    }
    return 1;
}

int pmo_gc_mark(pmo_pool *pool, uint64_t budget, uint64_t *foreign) {
    struct pmo_collector *gc;
    PMO_TRY(pmo_gc_enter(pool, &gc));
    *foreign = 0;
    if (gc->phase != PMO_GC_MARK) {
        return 0;
    }
    int status = mark(pool, gc, pmo_gc_sane(budget), foreign);
    gc->incomplete |= status < 0;
    return status;
}

static int mark_from_caller(pmo_pool *pool, uint64_t offset, bool is_object) {
    struct pmo_collector *gc;
    PMO_TRY(pmo_gc_enter(pool, &gc));
    if (gc->phase != PMO_GC_MARK) {
        return PMO_EINVAL;
    }
    if (is_object && offset == 0) {
        gc->incomplete = true;
        return PMO_OK;
    }
    int status = PMO_OK;
    if (is_object) {
        pmo_header *header = NULL;
        status = pmo_header_at(pool, offset, &header);
    }
    if (status == PMO_OK) {
        status = is_object ? add_reference(pool, gc, offset) : add_body(pool, gc, offset);
    }
    gc->incomplete |= status != PMO_OK;
    return status;
}

int pmo_gc_reference(pmo_pool *pool, uint64_t offset) {
    return mark_from_caller(pool, offset, true);
}

int pmo_gc_keep(pmo_pool *pool, uint64_t offset) {
    return mark_from_caller(pool, offset, false);
}
