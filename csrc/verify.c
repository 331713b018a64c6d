#include "collector.h"

static int blob_check(pmo_pool *pool, uint64_t offset) {
    pmo_value value;
    return pmo_blob_read(pool, offset, &value);
}

int pmo_object_check(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(pmo_usable(pool));
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    int layout = pmo_layout_of(pool, header->type);
    if (layout < 0) {
        return pmo_corrupt(pool, offset, "an object has an unknown type code");
    }
    if (layout == PMO_LAYOUT_FOREIGN) {
        return PMO_OK;
    }
    if (layout == PMO_LAYOUT_BLOB) {
        return blob_check(pool, offset);
    }
    if (layout == PMO_LAYOUT_RAW) {
        return pmo_raw_verify(pool, offset);
    }
    pmo_container *container = NULL;
    PMO_TRY(pmo_container_at(pool, offset, layout, &container));
    return layout == PMO_LAYOUT_SEQUENCE ? pmo_sequence_verify(pool, container)
                                         : pmo_table_verify(pool, container);
}

/* ---- what garbage refers to --------------------------------------------------------- */

/*
 * Garbage never drops its references, and an interrupted sweep may have taken them
 * off the counts already: with and without them a count is right.
 */
static int credit(pmo_pool *pool, struct pmo_collector *gc, uint64_t offset) {
    PMO_TRY(pmo_gc_plausible(pool, gc, offset));
    bool reached = *pmo_gc_mark_of(gc, offset) & PMO_GC_OBJECT;
    return reached ? pmo_map_add(&gc->credit, offset, 1) : PMO_OK;
}

static uint64_t most_references(struct pmo_collector *gc, uint64_t offset) {
    if (gc->incomplete || gc->opaque) {
        return UINT64_MAX;
    }
    const uint64_t *credit = pmo_map_find(&gc->credit, offset);
    return pmo_gc_references(gc, offset) + (credit != NULL ? *credit : 0);
}

static int credit_from(pmo_pool *pool, struct pmo_collector *gc, uint64_t offset) {
    PMEMoid oid = {pool->uuid_lo, offset};
    pmo_header *header = NULL;
    if (pmemobj_type_num(oid) == PMO_NUM_BODY) {
        return PMO_OK;
    }
    PMO_TRY(pmo_header_at(pool, offset, &header));
    int layout = pmo_layout_of(pool, header->type);
    if (layout == PMO_LAYOUT_BLOB || layout == PMO_LAYOUT_RAW) {
        return PMO_OK;
    }
    if (layout <= PMO_LAYOUT_FOREIGN) {
        return PMO_ETYPE;
    }
    pmo_gc_place place = {.object = offset};
    return pmo_gc_scan(pool, gc, &place, UINT64_MAX, credit);
}

static int credit_some(pmo_pool *pool, struct pmo_collector *gc, uint64_t budget) {
    for (; gc->cursor < gc->garbage.count; budget--) {
        if (budget == 0) {
            return 1;
        }
        uint64_t offset = gc->garbage.items[gc->cursor++];
        gc->report.freed++;
        gc->report.freed_bytes += pmo_taken_bytes(pool, offset);
        if (credit_from(pool, gc, offset) != PMO_OK) {
            gc->opaque = true;
        }
    }
    pmo_gc_advance(gc, PMO_GC_LAST, 0);
    return 1;
}

/* ---- compare --------------------------------------------------------------------------- */

static int compare_storage(pmo_pool *pool, struct pmo_collector *gc, uint64_t offset,
                           int layout) {
    pmo_container *container = NULL;
    if (pmo_container_at(pool, offset, layout, &container) != PMO_OK) {
        return PMO_OK; /* mark has said so */
    }
    uint64_t need = pmo_body_bytes(&container->geometry, layout);
    uint64_t body = pmo_body_apart(pool, container);
    uint64_t room = 0;
    if (body == 0) {
        room = pmo_usable_bytes(pool, offset) - sizeof(pmo_container);
    } else if (pmo_gc_plausible(pool, gc, body) != PMO_OK ||
               !(*pmo_gc_mark_of(gc, body) & PMO_GC_SEEN)) {
        return PMO_OK; /* so has mark, or compare_object */
    } else if (pmemobj_type_num((PMEMoid){pool->uuid_lo, body}) != PMO_NUM_BODY) {
        return pmo_corrupt(pool, offset, "a container's storage has another type number");
    } else {
        room = pmo_usable_bytes(pool, body);
    }
    if (room < need) {
        return pmo_corrupt(pool, offset, "a container's storage is smaller than it says");
    }
    return PMO_OK;
}

static int compare_extents(pmo_pool *pool, struct pmo_collector *gc, uint64_t offset) {
    pmo_raw *raw = NULL;
    if (pmo_raw_at(pool, offset, &raw) != PMO_OK) {
        return PMO_OK; /* mark has said so */
    }
    for (uint64_t i = 0; i < pmo_raw_extents(raw); i++) {
        uint64_t extent = pmo_raw_extent(raw, i);
        uint64_t need = raw->length - i * (raw->form & ~(uint64_t)PMO_RAW_SEALED);
        if (pmo_gc_plausible(pool, gc, extent) != PMO_OK ||
            !(*pmo_gc_mark_of(gc, extent) & PMO_GC_SEEN)) {
            return PMO_OK; /* so has mark, or compare_object */
        }
        if (need > (raw->form & ~(uint64_t)PMO_RAW_SEALED)) {
            need = raw->form & ~(uint64_t)PMO_RAW_SEALED;
        }
        if (pmemobj_type_num((PMEMoid){pool->uuid_lo, extent}) != PMO_NUM_BODY ||
            pmo_usable_bytes(pool, extent) < need) {
            return pmo_corrupt(pool, offset, "an extent that is not what it should be");
        }
    }
    return PMO_OK;
}

static uint64_t object_size(pmo_pool *pool, uint64_t offset, int layout) {
    if (layout == PMO_LAYOUT_FOREIGN) {
        return sizeof(pmo_header);
    }
    if (layout == PMO_LAYOUT_BLOB) {
        const pmo_blob *blob = pmo_at(pool, offset);
        return sizeof(pmo_blob) + blob->length;
    }
    if (layout == PMO_LAYOUT_RAW) {
        pmo_raw *raw = NULL;
        return pmo_raw_at(pool, offset, &raw) == PMO_OK ? pmo_raw_size(offset, raw) : 0;
    }
    return sizeof(pmo_container);
}

static int compare_object(pmo_pool *pool, struct pmo_collector *gc, uint64_t offset) {
    uint8_t mark = *pmo_gc_mark_of(gc, offset);
    if (!(mark & PMO_GC_SEEN)) {
        return pmo_corrupt(pool, offset, "in use, but libpmemobj holds it for free");
    }
    if (mark & PMO_GC_BODY) {
        return PMO_OK;
    }
    pmo_header *header = NULL;
    if (pmo_header_at(pool, offset, &header) != PMO_OK) {
        return PMO_OK; /* mark has said so */
    }
    int layout = pmo_layout_of(pool, header->type);
    if (layout < 0) {
        return PMO_OK;
    }
    if (header->refcount < pmo_gc_references(gc, offset)) {
        return pmo_corrupt(pool, offset, "an object's reference count is too small");
    }
    if (header->refcount > most_references(gc, offset)) {
        return pmo_corrupt(pool, offset, "an object's reference count is too large");
    }
    if (pmo_usable_bytes(pool, offset) < object_size(pool, offset, layout)) {
        return pmo_corrupt(pool, offset, "an object's memory is smaller than the object");
    }
    if (layout == PMO_LAYOUT_FOREIGN) {
        return PMO_OK;
    }
    if (pmemobj_type_num((PMEMoid){pool->uuid_lo, offset}) != PMO_NUM_OBJECT) {
        return pmo_corrupt(pool, offset, "an object has another type number");
    }
    if (layout == PMO_LAYOUT_RAW) {
        return compare_extents(pool, gc, offset);
    }
    return layout == PMO_LAYOUT_BLOB ? PMO_OK : compare_storage(pool, gc, offset, layout);
}

static int compare_some(pmo_pool *pool, struct pmo_collector *gc, uint64_t budget) {
    for (; gc->cursor < gc->all.count; budget--) {
        if (budget == 0) {
            return 1;
        }
        PMO_TRY(compare_object(pool, gc, gc->all.items[gc->cursor++]));
    }
    pmo_gc_advance(gc, PMO_GC_DONE, 0);
    return 0;
}

int pmo_gc_verify(pmo_pool *pool, uint64_t budget) {
    struct pmo_collector *gc;
    PMO_TRY(pmo_gc_enter(pool, &gc));
    if (gc->phase == PMO_GC_MARK || !gc->verify) {
        return PMO_EINVAL;
    }
    budget = pmo_gc_sane(budget);
    if (gc->phase == PMO_GC_SURVEY) {
        int status = pmo_gc_survey(pool, gc, budget);
        return status < 0 ? status : 1;
    }
    if (gc->phase == PMO_GC_SETTLE) {
        return credit_some(pool, gc, budget);
    }
    return gc->phase == PMO_GC_LAST ? compare_some(pool, gc, budget) : 0;
}
