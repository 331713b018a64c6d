/*
 * The one seam through which a range becomes durable.
 *
 * On a mapping that is no persistent memory libpmemobj calls libpmem's
 * pmem_msync. This file defines a function of that name; because this module is
 * what loads libpmemobj, the dynamic linker binds libpmemobj's calls to it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

__attribute__((visibility("default"))) int pmem_msync(const void *address, size_t size);

/* Initial-exec: read at every persist point, and too small to exhaust the static TLS room. */
#define OWN_TLS static _Thread_local __attribute__((tls_model("initial-exec")))

OWN_TLS pmo_pool *active;
OWN_TLS bool quiet;
static atomic_uint_fast64_t hook_calls;
static pmo_persist_observer observer;

void pmo_activate(pmo_pool *pool) {
    active = pool;
}

void pmo_quiet(bool on) {
    quiet = on;
}

uint64_t pmo_hook_calls(void) {
    return atomic_load_explicit(&hook_calls, memory_order_relaxed);
}

void pmo_observe_persists(pmo_persist_observer eye) {
    observer = eye;
}

int pmo_sync_range(const void *address, uint64_t size) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = (uintptr_t)address & ~(page - 1);
    return msync((void *)start, (uintptr_t)address + size - start, MS_SYNC);
}

static void note(pmo_pool *pool, const void *address, uint64_t size) {
    if (observer != NULL) {
        observer(address, size);
    }
    pool->counters.persist_points++;
}

static int sync_for(pmo_pool *pool, const void *address, uint64_t size) {
    if (pool->policy != PMO_POLICY_POWER) {
        return 0;
    }
    pool->counters.syncs++;
    return pmo_sync_range(address, size);
}

static int make_durable(pmo_pool *pool, const void *address, uint64_t size) {
    note(pool, address, size);
    return sync_for(pool, address, size);
}

static bool same_page(const void *one, const void *other) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    return (uintptr_t)one / page == (uintptr_t)other / page;
}

/* All words are in place: a page that has several of them is written once. */
static int sync_words(pmo_pool *pool) {
    const pmo_publication *change = pool->applying;
    int result = 0;
    pool->applying = NULL;
    for (uint32_t i = 0; i < change->count; i++) {
        bool written = false;
        for (uint32_t before = 0; before < i && !written; before++) {
            written = same_page(change->place[before], change->place[i]);
        }
        note(pool, change->place[i], sizeof(uint64_t));
        if (!written && sync_for(pool, change->place[i], sizeof(uint64_t)) != 0) {
            result = -1;
        }
    }
    return result;
}

/* Is it one of the words that are being published? Then it may wait for the others. */
static bool is_awaited(pmo_pool *pool, const void *address) {
    const pmo_publication *change = pool->applying;
    for (uint32_t i = 0; i < change->count; i++) {
        if (change->place[i] == address) {
            pool->applied |= 1u << i;
            return true;
        }
    }
    return false;
}

void pmo_await_words(pmo_pool *pool, const pmo_publication *change) {
    if (pool->policy == PMO_POLICY_POWER) {
        pool->applying = change;
        pool->applied = 0;
    }
}

int pmo_words_done(pmo_pool *pool) {
    return pool->applying != NULL && pool->applied != 0 ? sync_words(pool) : 0;
}

int pmem_msync(const void *address, size_t size) {
    pmo_pool *pool = active;
    if (pool == NULL || (const char *)address < pool->base) {
        if (observer != NULL) {
            observer(address, size);
        }
        atomic_fetch_add_explicit(&hook_calls, 1, memory_order_relaxed);
        return quiet ? 0 : pmo_sync_range(address, size);
    }
    if (pool->applying == NULL) {
        return make_durable(pool, address, size);
    }
    if (is_awaited(pool, address)) {
        bool all = pool->applied == (1u << pool->applying->count) - 1;
        return all ? sync_words(pool) : 0;
    }
    int awaited = pool->applied != 0 ? sync_words(pool) : 0;
    return make_durable(pool, address, size) == 0 ? awaited : -1;
}

bool pmo_is_pmem(const void *address, uint64_t size) {
    void *libpmem = dlopen("libpmem.so.1", RTLD_LAZY | RTLD_NOLOAD);
    if (libpmem == NULL) {
        return false;
    }
    int (*ask)(const void *, size_t) = NULL;
    *(void **)&ask = dlsym(libpmem, "pmem_is_pmem");
    bool answer = ask != NULL && ask(address, size) != 0;
    dlclose(libpmem);
    return answer;
}

int pmo_sync(pmo_pool *pool) {
    pool->limit = pmo_measure_files(pool);
    /* A page that the file ends in is not mapped. */
    if (pmo_sync_range(pool->base, pool->limit & ~(uint64_t)(PMO_RAW_PAGE - 1)) != 0) {
        pool->failure = (pmo_failure_info){.error = errno};
        return PMO_ESYSTEM;
    }
    return PMO_OK;
}
