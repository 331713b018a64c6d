/*
 * The state of one collection, shared by mark.c, collector.c (sweep) and verify.c.
 *
 * A collection goes through its phases in order. Mark finds everything that the
 * roots and the pinned objects lead to; the survey holds that against libpmemobj's
 * own list of allocations; only when both agree does a sweep change the pool.
 */
#ifndef PMO_COLLECTOR_H
#define PMO_COLLECTOR_H

#include "internal.h"

/* What is known of an offset: flags in pmo_collector.marks. */
#define PMO_GC_OBJECT 1u /* reached as an object */
#define PMO_GC_BODY 2u   /* reached as a container's body or a substructure */
#define PMO_GC_EXTRA 4u  /* an object with other than one reference: see extra */
#define PMO_GC_SEEN 8u   /* the survey met this allocation */

#define PMO_GC_GRAIN 16u   /* allocations start at multiples of it */
#define PMO_GC_BATCH 1000u /* changes in one transaction of a sweep */
#define PMO_GC_LOOKS 16u   /* cells or allocations looked at for one unit of budget */

typedef enum pmo_gc_phase {
    PMO_GC_MARK,
    PMO_GC_SURVEY,
    PMO_GC_SETTLE, /* sweep: put counts right; verify: count what garbage refers to */
    PMO_GC_LAST,   /* sweep: free; verify: compare */
    PMO_GC_DONE
} pmo_gc_phase;

/* How far the scan of one container has come. */
typedef struct pmo_gc_place {
    uint64_t object;   /* 0: none */
    uint64_t position; /* its next element */
    uint64_t live;     /* elements before it that are no holes */
    bool damaged;      /* that has been told: pass by what cannot be read */
} pmo_gc_place;

struct pmo_collector {
    uint8_t *marks;     /* one for each grain; zero pages where nothing is reached */
    uint64_t limit;     /* offsets below it have marks */
    uint64_t reached;   /* offsets that have marks, SEEN aside */
    pmo_map extra;      /* offset -> references found, less one */
    pmo_vector all;     /* verify: every reached offset */
    pmo_map credit;     /* verify: offset -> references from garbage */
    pmo_vector work;    /* reached objects that are still to be visited */
    pmo_vector garbage; /* allocations that were not reached */
    pmo_vector wrong;   /* reached objects whose stored count differs */
    pmo_gc_phase phase;
    bool verify;
    bool rooted;        /* the roots are reached */
    bool incomplete;    /* not everything could be followed: too little is reached */
    bool recount;       /* pool->used is not known: the last session left no sum */
    bool opaque;        /* garbage may hold references that cannot be read */
    uint64_t writes;    /* pool->writes at the end of this collection's last step */
    uint64_t types;     /* offset of the type table */
    pmo_gc_place place; /* the container being scanned */
    pmo_heap_walk walk; /* survey */
    uint64_t cursor;    /* later phases: next entry */
    uint64_t used;      /* bytes of the allocations that the survey met */
    uint64_t seen;      /* reached allocations that the survey met */
    uint64_t batch;     /* changes in the next transaction */
    pmo_gc_report report;
};

/* Takes one counted reference that was found in a container. */
typedef int (*pmo_gc_visit)(pmo_pool *pool, struct pmo_collector *gc, uint64_t offset);

/* The pool's collection, ready for a step. PMO_EINVAL: none was started, or
 * somebody changed the pool since its last step. */
int pmo_gc_enter(pmo_pool *pool, struct pmo_collector **gc);
/* Visit the references in the next elements of a container, at most limit elements.
 * At its end, and on failure, place->object is 0. */
int pmo_gc_scan(pmo_pool *pool, struct pmo_collector *gc, pmo_gc_place *place, uint64_t limit,
                pmo_gc_visit visit);
/* May the offset be one that libpmemobj allocated? Then it has a mark. */
int pmo_gc_plausible(pmo_pool *pool, const struct pmo_collector *gc, uint64_t offset);
/* References found to a reached object. */
uint64_t pmo_gc_references(struct pmo_collector *gc, uint64_t offset);
/* One step of the survey. 1: call again. 0: the next phase has begun. */
int pmo_gc_survey(pmo_pool *pool, struct pmo_collector *gc, uint64_t budget);
/* Longer budgets would overflow where they are multiplied, and bound nothing. */
static inline uint64_t pmo_gc_sane(uint64_t budget) {
    uint64_t most = UINT32_MAX;
    return budget == 0 ? 1 : budget < most ? budget : most;
}

static inline void pmo_gc_advance(struct pmo_collector *gc, pmo_gc_phase phase,
                                  uint64_t cursor) {
    gc->phase = phase;
    gc->cursor = cursor;
}

/* offset is a multiple of the grain and below gc->limit. */
static inline uint8_t *pmo_gc_mark_of(const struct pmo_collector *gc, uint64_t offset) {
    return &gc->marks[offset / PMO_GC_GRAIN];
}

#endif
