/*
 * The one seam through which a range becomes durable.
 *
 * On a mapping that is no persistent memory libpmemobj calls libpmem's
 * pmem_msync. This file defines a function of that name; because this module is
 * what loads libpmemobj, the dynamic linker binds libpmemobj's calls to it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

__attribute__((visibility("default"))) int pmem_msync(const void *address, size_t size);

/* Initial-exec: read at every persist point, and too small to exhaust the static TLS room. */
#define OWN_TLS static _Thread_local __attribute__((tls_model("initial-exec")))

OWN_TLS pmo_pool *active;
OWN_TLS bool quiet;
OWN_TLS int *refusal;
static atomic_uint_fast64_t hook_calls;
static pmo_persist_observer observer;

void pmo_activate(pmo_pool *pool) {
    active = pool;
}

void pmo_quiet(bool on) {
    quiet = on;
}

void pmo_keep_refusal(int *error) {
    refusal = error;
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

/* A pool that has grown has a new file, whose name is in a directory. */
static int sync_names(pmo_pool *pool) {
    int folder = open(pool->parts, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) {
        return -1;
    }
    int result = fsync(folder);
    int error = errno;
    close(folder);
    errno = error;
    pool->named = pmo_measure_files(pool);
    return result;
}

static void sync_for(pmo_pool *pool, const void *address, uint64_t size) {
    if (pool->policy != PMO_POLICY_POWER) {
        return;
    }
    pool->counters.syncs++;
    uint64_t end = (uint64_t)((const char *)address - pool->base) + size;
    bool named = pool->parts == NULL || end <= pool->named || sync_names(pool) == 0;
    if ((!named || pmo_sync_range(address, size) != 0) && pool->refused == 0) {
        pool->refused = errno;
    }
}

static void make_durable(pmo_pool *pool, const void *address, uint64_t size) {
    note(pool, address, size);
    sync_for(pool, address, size);
}

static bool same_page(const void *one, const void *other) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    return (uintptr_t)one / page == (uintptr_t)other / page;
}

/* All words are in place: a page that has several of them is written once. */
static void sync_words(pmo_pool *pool) {
    const pmo_publication *change = pool->applying;
    pool->applying = NULL;
    for (uint32_t i = 0; i < change->count; i++) {
        bool written = false;
        for (uint32_t before = 0; before < i && !written; before++) {
            written = same_page(change->place[before], change->place[i]);
        }
        note(pool, change->place[i], sizeof(uint64_t));
        if (!written) {
            sync_for(pool, change->place[i], sizeof(uint64_t));
        }
    }
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

void pmo_words_done(pmo_pool *pool) {
    if (pool->applying != NULL && pool->applied != 0) {
        sync_words(pool);
    }
}

/* Of what is no part of an open pool's mapping. */
static int sync_elsewhere(const void *address, uint64_t size) {
    if (quiet || pmo_sync_range(address, size) == 0) {
        return 0;
    }
    int *kept = active != NULL ? &active->refused : refusal;
    if (kept == NULL) {
        return -1; /* a pool that is not ours */
    }
    *kept = errno;
    return 0;
}

int pmem_msync(const void *address, size_t size) {
    pmo_pool *pool = active;
    if (pool == NULL || (const char *)address < pool->base) {
        if (observer != NULL) {
            observer(address, size);
        }
        atomic_fetch_add_explicit(&hook_calls, 1, memory_order_relaxed);
        return sync_elsewhere(address, size);
    }
    if (pool->applying != NULL && is_awaited(pool, address)) {
        if (pool->applied == (1u << pool->applying->count) - 1) {
            sync_words(pool);
        }
        return 0;
    }
    pmo_words_done(pool);
    make_durable(pool, address, size);
    return 0;
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
        pool->refused = errno;
    }
    return pmo_disk_status(pool);
}

int pmo_fail_disk(pmo_pool *pool) {
    pmo_root *root = pool->root;
    pool->failure = (pmo_failure_info){.error = pool->refused};
    pool->open = false;
    pool->closed_as = PMO_EDISK;
    /* Of no boot at all: see PersistentObjectPool._recover. What the disk has refused is not
     * necessarily what the next one reads there. */
    memset(root->boot_id, 0, sizeof root->boot_id);
    root->policy = PMO_POLICY_PROCESS;
    (void)pmo_sync_range(root, sizeof *root);
    return PMO_EDISK;
}
