/*
 * Whose turn it is to be in the core.
 *
 * A biased lock: the claimant comes and goes at the price of two atomic additions, and
 * whoever takes the pool over from it pays. A thread that wants to come in without the
 * lock announces itself (entered), then looks whether it is the claimant; one that takes
 * over changes the claimant, then looks whether anybody is announced. Whatever the order,
 * one of the two sees the other.
 */
#include <time.h>

#include "internal.h"

#define SPINS 100u

void pmo_take_over(pmo_pool *pool) {
    uintptr_t me = pmo_this_thread();
    if (atomic_load_explicit(&pool->insider, memory_order_relaxed) == me) {
        return; /* inside already; who has taken over meanwhile waits for this call's end */
    }
    atomic_store(&pool->claimant, me);
    for (uint32_t i = 0; atomic_load(&pool->entered) != 0; i++) {
        /* Long only when the change inside waits for the disk. */
        const struct timespec pause = {.tv_nsec = i < SPINS ? 0 : 20000};
        nanosleep(&pause, NULL);
    }
}

int pmo_claim(pmo_pool *pool) {
    return pmo_usable(pool);
}

int pmo_enter(pmo_pool *pool) {
    if (pool->generation != pmo_fork_generation) {
        return PMO_EFORKED;
    }
    uintptr_t me = pmo_this_thread();
    atomic_fetch_add(&pool->entered, 1);
    bool mine = atomic_load(&pool->claimant) == me && (!pool->tx_open || pool->tx_thread == me);
    if (mine && pool->open) {
        atomic_store_explicit(&pool->insider, me, memory_order_relaxed);
        return PMO_OK;
    }
    atomic_fetch_sub(&pool->entered, 1);
    return mine ? pool->closed_as : PMO_EBUSY;
}

int pmo_enter_briefly(pmo_pool *pool) {
    PMO_TRY(pmo_enter(pool));
    bool syncs = pool->policy == PMO_POLICY_POWER && !pool->info.is_pmem;
    return syncs ? pmo_leave(pool, PMO_EBUSY) : PMO_OK;
}

int pmo_leave(pmo_pool *pool, int status) {
    atomic_store_explicit(&pool->insider, 0, memory_order_relaxed);
    atomic_fetch_sub(&pool->entered, 1);
    return status;
}
