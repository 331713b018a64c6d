/*
 * What is not reachable any more is given back here, without recursion.
 *
 * Freeing takes room in libpmemobj's logs, and a full pool has none to give. So a
 * transaction frees only what fits in the log that libpmemobj has ready; the rest
 * follows after its commit, in transactions of its own. Nothing refers to it by then:
 * after a crash it is garbage, which the next opening collects.
 */
#include <stdlib.h>

#include "internal.h"

/* Frees and undo records that certainly find room in the ready log. */
#define READY_LOG 16u
#define FREES_MAX 1000u /* in one transaction, where the log may grow */

static int push_grave(pmo_pool *pool, const pmo_grave *grave) {
    pmo_graves *graves = &pool->graves;
    if (graves->count == graves->room) {
        uint64_t room = graves->room ? graves->room * 2 : 16;
        pmo_grave *items = realloc(graves->items, room * sizeof *items);
        if (items == NULL) {
            return PMO_ENOMEM;
        }
        graves->items = items;
        graves->room = room;
    }
    graves->items[graves->count++] = *grave;
    return PMO_OK;
}

static int drop_cell(pmo_pool *pool, const pmo_grave *grave, const pmo_cell *cell) {
    uint64_t offset = 0;
    if (!pmo_cell_may_refer(cell)) {
        return PMO_OK;
    }
    PMO_TRY(pmo_cell_reference(pool, &grave->heap, cell, &offset));
    return offset != 0 ? pmo_reference_drop(pool, offset) : PMO_OK;
}

/* Drop the references that the elements hold, with about so many undo records. */
static int drop_elements(pmo_pool *pool, pmo_grave *grave, uint64_t undos) {
    uint64_t before = pool->counters.undo_records;
    bool table = grave->layout != PMO_LAYOUT_SEQUENCE;
    uint64_t stride = pmo_stride(grave->layout);
    uint64_t cells = pmo_width(grave->layout);
    for (; grave->position < grave->stop && pool->counters.undo_records - before < undos;
         grave->position++) {
        const pmo_cell *cell =
            (const pmo_cell *)(const void *)(grave->elements + grave->position * stride);
        bool hole = table && cell->tag == PMO_EMPTY;
        for (uint64_t c = 0; c < cells && !hole; c++) {
            PMO_TRY(drop_cell(pool, grave, &cell[c]));
        }
    }
    return PMO_OK;
}

int pmo_discard_body(pmo_pool *pool, const pmo_container *container, uint64_t start,
                     uint64_t stop) {
    int layout = pmo_container_layout(pool, container);
    uint64_t body = pmo_body_apart(pool, container);
    pmo_grave grave = {
        .body = body,
        .position = start,
        .stop = stop,
        .layout = layout,
        .heap = pmo_heap_of(pool, container, layout),
        .elements = pmo_elements(pool, container),
    };
    if (!grave.heap.refers) {
        grave.position = stop;
    }
    if (body == 0) { /* none, or a small one that is a part of its object */
        return drop_elements(pool, &grave, UINT64_MAX);
    }
    if (grave.position == stop) {
        int status = pmo_deallocate(pool, body);
        if (status != PMO_EFULL) {
            return status;
        }
    }
    pool->writes++;
    return push_grave(pool, &grave);
}

int pmo_discard_cells(pmo_pool *pool, const pmo_cell *cells, uint64_t count) {
    uint64_t referring = 0;
    for (uint64_t i = 0; i < count; i++) {
        referring += pmo_cell_may_refer(&cells[i]);
    }
    if (referring == 0) {
        return PMO_OK;
    }
    pmo_cell *copy = malloc(referring * sizeof *copy);
    if (copy == NULL) {
        return PMO_ENOMEM;
    }
    uint64_t copied = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (pmo_cell_may_refer(&cells[i])) {
            copy[copied++] = cells[i];
        }
    }
    pool->writes++;
    int status = push_grave(pool, &(pmo_grave){
                                      .stop = referring,
                                      .layout = PMO_LAYOUT_SEQUENCE,
                                      .elements = (const char *)copy,
                                      .copy = copy,
                                  });
    if (status != PMO_OK) {
        free(copy);
    }
    return status;
}

/* The count is left at one: libpmemobj frees an object slowly that has a snapshot of its
 * first bytes. So a second death, by a count that is too small, is told otherwise. */
static int die(pmo_pool *pool, uint64_t offset, bool foreign) {
    if (pmo_map_find(&pool->dying, offset) != NULL) {
        return pmo_corrupt(pool, offset, "a reference count that is too small");
    }
    PMO_TRY(pmo_map_add(&pool->dying, offset, 1));
    pool->writes++;
    if (foreign) {
        return pmo_vector_push(&pool->foreign_dead, offset);
    }
    if (pool->tx_open) {
        PMO_TRY(pmo_map_add(&pool->freed, offset, 1));
    }
    return pmo_vector_push(&pool->dead, offset);
}

int pmo_reference_drop(pmo_pool *pool, uint64_t offset) {
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    if (header->refcount == 0) {
        return pmo_corrupt(pool, offset, "a reference count that is too small");
    }
    if (header->refcount == 1 && pmo_map_find(&pool->pins, offset) == NULL) {
        return die(pool, offset, pmo_layout_of(pool, header->type) == PMO_LAYOUT_FOREIGN);
    }
    PMO_TRY(pmo_undo(pool, &header->refcount, sizeof(uint64_t)));
    header->refcount--;
    return PMO_OK;
}

int pmo_release_orphan(pmo_pool *pool, uint64_t offset) {
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    return header->refcount == 0
               ? die(pool, offset, pmo_layout_of(pool, header->type) == PMO_LAYOUT_FOREIGN)
               : PMO_OK;
}

static int open_grave(pmo_pool *pool, uint64_t offset) {
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    pmo_grave grave = {.object = offset, .layout = pmo_layout_of(pool, header->type)};
    if (grave.layout == PMO_LAYOUT_RAW) {
        pmo_raw *raw = NULL;
        PMO_TRY(pmo_raw_at(pool, offset, &raw));
        grave.stop = pmo_raw_extents(raw);
    } else if (pmo_is_container(grave.layout)) {
        pmo_container *container = NULL;
        PMO_TRY(pmo_container_at(pool, offset, grave.layout, &container));
        grave.body = pmo_body_apart(pool, container);
        grave.heap = pmo_heap_of(pool, container, grave.layout);
        grave.stop = grave.heap.refers ? container->state.used : 0;
        grave.elements = pmo_elements(pool, container);
    }
    return push_grave(pool, &grave);
}

/* A free that finds no room in the log leaves no trace: it is for the next transaction. */
static int free_one(pmo_pool *pool, uint64_t *offset) {
    if (pool->allowance.frees == 0) {
        return PMO_OK;
    }
    int status = pmo_deallocate(pool, *offset);
    if (status == PMO_EFULL) {
        pool->allowance.frees = 0;
        return PMO_OK;
    }
    PMO_TRY(status);
    *offset = 0;
    pool->allowance.frees--;
    return PMO_OK;
}

/* The pieces of a large block of bytes, before the object that knows them. */
static int free_extents(pmo_pool *pool, pmo_grave *grave) {
    pmo_raw *raw = NULL;
    PMO_TRY(pmo_raw_at(pool, grave->object, &raw));
    while (grave->position < grave->stop) {
        uint64_t extent = pmo_raw_extent(raw, grave->position);
        PMO_TRY(free_one(pool, &extent));
        if (extent != 0) {
            break;
        }
        grave->position++;
    }
    return PMO_OK;
}

static int drop_allowed(pmo_pool *pool, pmo_grave *grave) {
    uint64_t before = pool->counters.undo_records;
    PMO_TRY(drop_elements(pool, grave, pool->allowance.undos));
    uint64_t spent = pool->counters.undo_records - before;
    pool->allowance.undos -= spent < pool->allowance.undos ? spent : pool->allowance.undos;
    return PMO_OK;
}

/* Go on with one grave as far as allowed. The object first: a body alone is garbage that
 * nobody reads. */
static int fill(pmo_pool *pool, pmo_grave *grave) {
    if (grave->position < grave->stop) {
        PMO_TRY(grave->layout == PMO_LAYOUT_RAW ? free_extents(pool, grave)
                                                : drop_allowed(pool, grave));
    }
    if (grave->position < grave->stop) {
        return PMO_OK;
    }
    if (grave->object != 0) {
        PMO_TRY(free_one(pool, &grave->object));
    }
    return grave->body != 0 ? free_one(pool, &grave->body) : PMO_OK;
}

static int bury(pmo_pool *pool) {
    while (pmo_burials_left(pool) && pool->allowance.frees > 0 && pool->allowance.undos > 0) {
        if (pool->graves.count == 0) {
            PMO_TRY(open_grave(pool, pool->dead.items[--pool->dead.count]));
        }
        pmo_grave *grave = &pool->graves.items[pool->graves.count - 1];
        PMO_TRY(fill(pool, grave));
        if (grave->position == grave->stop && grave->body == 0 && grave->object == 0) {
            pmo_cut_burials(pool, UINT64_MAX, pool->graves.count - 1);
        }
    }
    return PMO_OK;
}

int pmo_bury(pmo_pool *pool) {
    int status = bury(pool);
    pool->writes += status != PMO_OK; /* so that a joined transaction is doomed */
    return status;
}

void pmo_allow_burials(pmo_pool *pool, bool ready_log_only) {
    pool->allowance = (pmo_allowance){
        .frees = ready_log_only ? READY_LOG : FREES_MAX,
        .undos = READY_LOG,
    };
}

void pmo_cut_burials(pmo_pool *pool, uint64_t dead, uint64_t graves) {
    pool->dead.count = dead < pool->dead.count ? dead : pool->dead.count;
    while (pool->graves.count > graves) {
        free(pool->graves.items[--pool->graves.count].copy);
    }
}

void pmo_forget_burials(pmo_pool *pool) {
    pmo_cut_burials(pool, 0, 0);
    pool->foreign_dead.count = 0;
}
