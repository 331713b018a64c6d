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

int pmem_msync(const void *address, size_t size) {
    if (observer != NULL) {
        observer(address, size);
    }
    pmo_pool *pool = active;
    if (pool == NULL || (const char *)address < pool->base) {
        atomic_fetch_add_explicit(&hook_calls, 1, memory_order_relaxed);
        return quiet ? 0 : pmo_sync_range(address, size);
    }
    pool->counters.persist_points++;
    return pool->policy == PMO_POLICY_POWER ? pmo_sync_range(address, size) : 0;
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
    PMO_TRY(pmo_usable(pool));
    pool->limit = pmo_measure_files(pool);
    if (pmo_sync_range(pool->base, pool->limit) != 0) {
        pool->failure = (pmo_failure_info){.error = errno};
        return PMO_ESYSTEM;
    }
    return PMO_OK;
}
