#include <stdlib.h>
#include <sys/mman.h>

#include "collector.h"

int pmo_gc_enter(pmo_pool *pool, struct pmo_collector **gc) {
    PMO_TRY(pmo_usable(pool));
    if (pool->tx_open) {
        return PMO_EINTX;
    }
    *gc = pool->collector;
    if (*gc == NULL || (*gc)->writes != pool->writes) {
        return PMO_EINVAL;
    }
    return PMO_OK;
}

static void discard(pmo_pool *pool) {
    struct pmo_collector *gc = pool->collector;
    if (gc == NULL) {
        return;
    }
    if (gc->marks != NULL) {
        munmap(gc->marks, gc->limit / PMO_GC_GRAIN);
    }
    pmo_map_clear(&gc->extra);
    pmo_map_clear(&gc->credit);
    free(gc->all.items);
    free(gc->work.items);
    free(gc->garbage.items);
    free(gc->wrong.items);
    free(gc);
    pool->collector = NULL;
}

int pmo_gc_start(pmo_pool *pool, int verify) {
    PMO_TRY(pmo_usable(pool));
    if (pool->tx_open) {
        return PMO_EINTX;
    }
    discard(pool);
    struct pmo_collector *gc = calloc(1, sizeof *gc);
    if (gc == NULL) {
        return PMO_ENOMEM;
    }
    uint64_t limit = pmo_measure_files(pool);
    gc->limit = (limit > pool->limit ? limit : pool->limit) & ~4095ull;
    void *marks = mmap(NULL, gc->limit / PMO_GC_GRAIN, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (marks == MAP_FAILED) {
        free(gc);
        return PMO_ENOMEM;
    }
    gc->marks = marks;
    gc->verify = verify != 0;
    gc->recount = pool->info.was_dirty;
    gc->writes = pool->writes;
    gc->batch = PMO_GC_BATCH;
    pool->collector = gc;
    return PMO_OK;
}

/* ---- survey and sweep ------------------------------------------------------------ */

static int survey_one(pmo_pool *pool, struct pmo_collector *gc, uint64_t offset) {
    gc->used += gc->walk.taken;
    uint8_t *mark = pmo_gc_mark_of(gc, offset);
    if (*mark == 0) {
        return pmo_vector_push(&gc->garbage, offset);
    }
    gc->seen++;
    *mark |= PMO_GC_SEEN;
    if (gc->verify || (*mark & PMO_GC_BODY)) {
        return PMO_OK;
    }
    const pmo_header *header = pmo_at(pool, offset);
    bool right = header->refcount == pmo_gc_references(gc, offset);
    return right ? PMO_OK : pmo_vector_push(&gc->wrong, offset);
}

int pmo_gc_survey(pmo_pool *pool, struct pmo_collector *gc, uint64_t budget) {
    uint64_t looks = budget * PMO_GC_LOOKS;
    for (;;) {
        uint64_t offset = 0;
        if (looks-- == 0) {
            return 1;
        }
        int status = pmo_heap_next(pool, &gc->walk, &offset);
        gc->incomplete |= status != PMO_OK;
        PMO_TRY(status);
        if (offset == 0) {
            break;
        }
        PMO_TRY(pmo_gc_plausible(pool, gc, offset));
        PMO_TRY(survey_one(pool, gc, offset));
    }
    if (gc->recount) {
        pool->used = gc->used;
    }
    pmo_gc_advance(gc, PMO_GC_SETTLE, 0);
    return 0;
}

static int correct(pmo_pool *pool, struct pmo_collector *gc, uint64_t offset) {
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    PMO_TRY(pmo_undo(pool, &header->refcount, sizeof header->refcount));
    header->refcount = pmo_gc_references(gc, offset);
    return PMO_OK;
}

static int release(pmo_pool *pool, struct pmo_collector *gc, uint64_t offset) {
    (void)gc;
    return pmo_deallocate(pool, offset);
}

/* Apply change to the next entries of a vector in one transaction. 1: call again. */
static int change_some(pmo_pool *pool, struct pmo_collector *gc, const pmo_vector *vector,
                       uint64_t budget, pmo_gc_visit change, uint64_t *done) {
    uint64_t count = vector->count - gc->cursor;
    count = count < gc->batch ? count : gc->batch;
    count = count < budget ? count : budget;
    const uint64_t *offsets = vector->items + gc->cursor;
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    int status = PMO_OK;
    for (uint64_t i = 0; i < count && status == PMO_OK; i++) {
        status = change(pool, gc, offsets[i]);
    }
    status = pmo_op_end(pool, &op, status);
    gc->writes = pool->writes;
    if (status == PMO_EFULL && count > 1) {
        /* In a full pool a long transaction finds no room for its own log. */
        gc->batch = count / 8 > 1 ? count / 8 : 1;
        return 1;
    }
    PMO_TRY(status);
    gc->cursor += count;
    *done += count;
    gc->batch = gc->batch * 2 < PMO_GC_BATCH ? gc->batch * 2 : PMO_GC_BATCH;
    return gc->cursor < vector->count;
}

static int sweep(pmo_pool *pool, struct pmo_collector *gc, uint64_t budget) {
    if (gc->phase == PMO_GC_SURVEY) {
        int status = pmo_gc_survey(pool, gc, budget);
        if (status == 0 && gc->incomplete) {
            pmo_gc_advance(gc, PMO_GC_DONE, 0);
        } else if (status == 0 && gc->seen != gc->reached) {
            gc->incomplete = true;
            return pmo_corrupt(pool, 0, "objects are in use that libpmemobj holds for free");
        }
        return status < 0 ? status : 1;
    }
    if (gc->phase == PMO_GC_SETTLE) {
        if (gc->cursor < gc->wrong.count) {
            int status =
                change_some(pool, gc, &gc->wrong, budget, correct, &gc->report.corrected);
            return status < 0 ? status : 1;
        }
        pmo_gc_advance(gc, PMO_GC_LAST, 0);
    }
    if (gc->phase == PMO_GC_LAST) {
        if (gc->cursor < gc->garbage.count) {
            uint64_t before = pool->used;
            int status =
                change_some(pool, gc, &gc->garbage, budget, release, &gc->report.freed);
            gc->report.freed_bytes += before - pool->used;
            return status < 0 ? status : 1;
        }
        pmo_gc_advance(gc, PMO_GC_DONE, 0);
    }
    return 0;
}

int pmo_gc_sweep(pmo_pool *pool, uint64_t budget) {
    struct pmo_collector *gc;
    PMO_TRY(pmo_gc_enter(pool, &gc));
    if (gc->phase == PMO_GC_MARK || gc->verify) {
        return PMO_EINVAL;
    }
    return sweep(pool, gc, pmo_gc_sane(budget));
}

int pmo_gc_finish(pmo_pool *pool, pmo_gc_report *report) {
    struct pmo_collector *gc = pool->collector;
    if (report != NULL) {
        *report = gc != NULL ? gc->report : (pmo_gc_report){0};
    }
    discard(pool);
    return pmo_usable(pool);
}
