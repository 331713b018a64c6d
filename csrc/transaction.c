#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "internal.h"

int pmo_fail_system(pmo_pool *pool, int error) {
    pool->failure = (pmo_failure_info){.error = error};
    snprintf(pool->failure.text, sizeof pool->failure.text, "%s", pmemobj_errormsg());
    return PMO_ESYSTEM;
}

int pmo_fail_full(pmo_pool *pool, uint64_t requested) {
    pool->failure = (pmo_failure_info){.requested = requested, .error = ENOMEM};
    pmo_pool_info info;
    if (pmo_info(pool, &info) == PMO_OK && info.size > info.used) {
        pool->failure.free = info.size - info.used;
        pool->failure.largest = pmo_heap_largest(pool);
    }
    struct statvfs disk;
    pool->failure.elastic = pool->parts != NULL;
    if (pool->parts != NULL && statvfs(pool->parts, &disk) == 0) {
        pool->failure.disk_free = (uint64_t)disk.f_bavail * disk.f_frsize;
    }
    pmo_reserve_note_full(pool);
    return PMO_EFULL;
}

bool pmo_injected(pmo_pool *pool) {
    bool now = pool->inject != 0 && --pool->inject == 0;
    pool->injected |= now;
    return now;
}

static int begin(pmo_pool *pool) {
    pmo_activate(pool);
    bool nearly_full = pmo_nearly_full(pool);
    pool->created.count = 0;
    pool->reserved = false;
    pool->known_to = 0;
    pmo_map_empty(&pool->known);
    pmo_map_empty(&pool->freed);
    pmo_map_empty(&pool->safe);
    pmo_allow_burials(pool, nearly_full);
    pool->tx_doomed = false;
    pool->used_before = pool->used;
    int error = pmemobj_tx_begin(pool->pop, NULL, TX_PARAM_NONE, TX_PARAM_NONE);
    if (error != 0) {
        pmemobj_tx_end();
        return pmo_fail_system(pool, error);
    }
    pool->tx_thread = pmo_this_thread();
    if (nearly_full) {
        pmo_reserve_lend(pool);
    }
    pool->counters.transactions++;
    return PMO_OK;
}

static int start(pmo_pool *pool) {
    pmo_forget_burials(pool);
    pmo_map_empty(&pool->dying);
    pool->root->in_flight = 1;
    int status = begin(pool);
    pool->root->in_flight = status == PMO_OK;
    return status;
}

static void forget_types(pmo_pool *pool) {
    pmo_container *types = pmo_at(pool, pool->root->types);
    if (pool->layouts.count > types->state.length) {
        pool->layouts.count = types->state.length;
    }
}

static void roll_back(pmo_pool *pool) {
    pmo_activate(pool);
    if (pmemobj_tx_stage() == TX_STAGE_WORK) {
        pmemobj_tx_abort(ECANCELED);
    }
    pmemobj_tx_end();
    pmo_journal_revert(pool);
    pool->root->in_flight = 0;
    pool->tx_open = false;
    pool->tx_doomed = false;
    pool->used = pool->used_before;
    pmo_forget_burials(pool);
    for (uint64_t i = 0; i < pool->created.count; i++) {
        pmo_map_remove(&pool->pins, pool->created.items[i]);
    }
    forget_types(pool);
}

static int commit(pmo_pool *pool) {
    pmo_activate(pool);
    pmo_journal_flush(pool);
    pmemobj_tx_commit();
    int error = pmemobj_tx_end();
    if (error == 0) {
        pmo_journal_drop(pool);
    } else {
        pmo_journal_revert(pool);
    }
    pool->root->in_flight = 0;
    pool->tx_open = false;
    pool->created.count = 0;
    return error == 0 ? PMO_OK : pmo_fail_system(pool, error);
}

/* One more transaction for the dead; nothing depends on its success. */
static bool bury_more(pmo_pool *pool) {
    uint64_t frees = pool->counters.frees;
    uint64_t undos = pool->counters.undo_records;
    if (begin(pool) != PMO_OK) {
        return false;
    }
    if (pmo_bury(pool) != PMO_OK) {
        roll_back(pool);
        return false;
    }
    bool moved = frees != pool->counters.frees || undos != pool->counters.undo_records;
    return commit(pool) == PMO_OK && (moved || !pmo_burials_left(pool));
}

/* The transaction has committed, and what it left for dead is garbage now. */
static int bury_rest(pmo_pool *pool) {
    while (pmo_burials_left(pool)) {
        if (!bury_more(pool)) {
            pmo_forget_burials(pool);
        }
    }
    if (pool->foreign_dead.count == 0 || begin(pool) != PMO_OK) {
        pmo_forget_burials(pool);
        return PMO_OK;
    }
    pool->tx_open = true;
    return PMO_FOREIGN_DEAD;
}

static int finish(pmo_pool *pool) {
    PMO_TRY(commit(pool));
    int status = pmo_burials_left(pool) ? bury_rest(pool) : PMO_OK;
    if (pool->refused != 0 && pool->tx_open) {
        roll_back(pool);
    }
    PMO_TRY(pmo_disk_status(pool));
    return status;
}

int pmo_tx_begin(pmo_pool *pool) {
    PMO_TRY(pmo_usable(pool));
    if (pool->tx_open) {
        return PMO_EINTX;
    }
    if (pmemobj_tx_stage() != TX_STAGE_NONE) {
        return PMO_EOTHERPOOL;
    }
    PMO_TRY(start(pool));
    pool->tx_open = true;
    return PMO_OK;
}

static int open_here(pmo_pool *pool) {
    PMO_TRY(pmo_usable(pool));
    return pool->tx_open && pmemobj_tx_stage() == TX_STAGE_WORK ? PMO_OK : PMO_ENOTX;
}

int pmo_tx_commit(pmo_pool *pool) {
    PMO_TRY(open_here(pool));
    if (pool->tx_doomed) {
        roll_back(pool);
        return PMO_EDOOMED;
    }
    if (pool->foreign_dead.count > 0) {
        return PMO_FOREIGN_DEAD;
    }
    return finish(pool);
}

int pmo_tx_abort(pmo_pool *pool) {
    PMO_TRY(open_here(pool));
    roll_back(pool);
    return PMO_OK;
}

int pmo_tx_is_open(pmo_pool *pool) {
    return pmo_usable(pool) == PMO_OK && pool->tx_open;
}

void pmo_tx_doom(pmo_pool *pool) {
    pool->tx_doomed = pool->tx_open;
}

const uint64_t *pmo_tx_created(pmo_pool *pool, uint64_t *count) {
    *count = pool->created.count;
    return pool->created.items;
}

void pmo_inject_failure(pmo_pool *pool, uint64_t nth) {
    pool->inject = nth;
    pool->injected = false;
}

int pmo_op_begin(pmo_pool *pool, pmo_op *op) {
    PMO_TRY(pmo_usable(pool));
    op->own = !pool->tx_open;
    op->writes = pool->writes;
    op->dead = pool->dead.count;
    op->graves = pool->graves.count;
    if (op->own) {
        return pmemobj_tx_stage() == TX_STAGE_NONE ? start(pool) : PMO_EOTHERPOOL;
    }
    if (pmemobj_tx_stage() != TX_STAGE_WORK) {
        return PMO_ENOTX;
    }
    pmo_activate(pool);
    return pool->tx_doomed ? PMO_EDOOMED : PMO_OK;
}

int pmo_op_end(pmo_pool *pool, const pmo_op *op, int status) {
    if (status == PMO_OK && pmo_burials_left(pool)) {
        status = pmo_bury(pool);
    }
    if (status == PMO_OK) {
        if (pool->foreign_dead.count > 0) {
            pool->tx_open = true;
            return PMO_FOREIGN_DEAD;
        }
        return op->own ? finish(pool) : PMO_OK;
    }
    if (op->own) {
        roll_back(pool);
        return status;
    }
    pmo_cut_burials(pool, op->dead, op->graves);
    if (pool->writes != op->writes) {
        pool->tx_doomed = true;
    }
    return status;
}

bool pmo_may_publish(const pmo_pool *pool) {
    return !pool->tx_open && pool->inject == 0 && pmemobj_tx_stage() == TX_STAGE_NONE;
}

int pmo_publish(pmo_pool *pool, const pmo_publication *change) {
    struct pobj_action actions[PMO_WORDS_MAX];
    for (uint32_t i = 0; i < change->count; i++) {
        pmemobj_set_value(pool->pop, &actions[i], change->place[i], change->value[i]);
    }
    pmo_await_words(pool, change);
    int published = pmemobj_publish(pool->pop, actions, change->count);
    pmo_words_done(pool);
    pool->applying = NULL;
    if (published != 0) {
        return errno == ENOMEM ? pmo_fail_full(pool, 64) : pmo_fail_system(pool, errno);
    }
    pool->writes++;
    pool->counters.publications++;
    return pmo_disk_status(pool);
}

int pmo_undo(pmo_pool *pool, void *address, uint64_t size) {
    if (pmo_injected(pool)) {
        return pmo_fail_full(pool, size);
    }
    int error = pmemobj_tx_xadd_range_direct(address, size, POBJ_XADD_NO_ABORT);
    pool->writes++;
    if (error != 0) {
        /* libpmemobj counts the range as snapshotted all the same. */
        return error == ENOMEM ? pmo_fail_full(pool, size) : pmo_fail_system(pool, error);
    }
    pool->counters.undo_records++;
    pool->counters.undo_bytes += size;
    return PMO_OK;
}

void pmo_mark_safe(pmo_pool *pool, uint64_t offset) {
    if (pool->tx_open) {
        (void)pmo_map_add(&pool->safe, offset, 1); /* not noted: snapshotted again */
    }
}

void pmo_fresh(pmo_pool *pool, const void *address, uint64_t size) {
    pool->writes++;
    pool->counters.fresh_bytes += size;
    pmemobj_flush(pool->pop, address, size);
}
