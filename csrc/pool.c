#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "engine.h"
#include "internal.h"

uint32_t pmo_fork_generation = 1;

/* How pools are mapped, and how many lanes are used, are settings of the whole process. */
static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;

static void count_fork(void) {
    pmo_fork_generation++;
    pthread_mutex_init(&opening, NULL); /* its owner may not be in the child */
}

static void prepare_once(void) {
    pthread_atfork(NULL, NULL, count_fork);
    /* Shutdown-state counting needs device support that ordinary files lack. */
    int off = 0;
    pmemobj_ctl_set(NULL, "sds.at_create", &off);
}

static void prepare_process(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare_once);
}

static int note_failure(pmo_failure_info *failure, int error) {
    *failure = (pmo_failure_info){.error = error};
    snprintf(failure->text, sizeof failure->text, "%s", pmemobj_errormsg());
    return PMO_ESYSTEM;
}

static int note_lanes(pmo_failure_info *failure) {
    *failure = (pmo_failure_info){.error = ENOTSUP};
    snprintf(failure->text, sizeof failure->text,
             "libpmemobj uses %" PRIu64
             " lanes here, more than the pool has; it reads " PMO_ENGINE_LANES_VARIABLE
             " only in a program without set-user-ID or capabilities",
             pmo_engine_lanes_used());
    return PMO_ESYSTEM;
}

static int attach(pmo_pool *pool, PMEMobjpool *pop, PMEMoid root) {
    pool->pop = pop;
    pool->base = (char *)pop;
    pool->root = pmemobj_direct(root);
    pool->uuid_lo = root.pool_uuid_lo;
    pool->generation = pmo_fork_generation;
    pool->limit = UINT64_MAX >> 1;
    pool->ample = UINT64_MAX;
    pool->open = true;
    return pmo_register_classes(pop) == 0 ? PMO_OK : note_failure(&pool->failure, errno);
}

static int make_types(pmo_pool *pool) {
    pmo_root *root = pool->root;
    uint64_t offset = 0;
    PMO_TRY(pmo_object_new(pool, PMO_TYPE_LIST, &offset));
    ((pmo_header *)pmo_at(pool, offset))->refcount = 1;
    root->types = offset;
    pmo_cell none;
    PMO_TRY(pmo_cell_make(pool, NULL, PMO_NONE, 0, "", &none));
    root->root = none;
    return PMO_OK;
}

static int initialise(pmo_pool *pool, PMEMobjpool *pop, uint64_t size) {
    PMEMoid oid = pmemobj_root(pop, sizeof(pmo_root));
    if (OID_IS_NULL(oid)) {
        return note_failure(&pool->failure, errno);
    }
    PMO_TRY(attach(pool, pop, oid));
    pmo_root *root = pool->root;
    root->version = PMO_LAYOUT_VERSION;
    root->creator = (uint32_t)geteuid();
    pool->policy = PMO_POLICY_PROCESS;
    if (getrandom(root->hash_key, sizeof root->hash_key, 0) != sizeof root->hash_key) {
        return note_failure(&pool->failure, errno);
    }
    PMO_TRY(make_types(pool));
    PMO_TRY(pmo_reserve_make(pool, size));
    root->used = pool->used;
    root->magic = PMO_ROOT_MAGIC;
    return PMO_OK;
}

static void release_volatile(pmo_pool *pool) {
    pmo_forget_burials(pool);
    free(pool->graves.items);
    pool->graves = (pmo_graves){0};
    pmo_vector *vectors[] = {&pool->created, &pool->dead, &pool->foreign_dead, &pool->layouts,
                             &pool->saved};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        pmo_vector_free(vectors[i]);
    }
    pmo_map *maps[] = {&pool->pins, &pool->freed, &pool->safe, &pool->dying, &pool->known};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        pmo_map_clear(maps[i]);
    }
    pmo_stream_free(&pool->keys);
    pmo_stream_free(&pool->values);
    free(pool->path);
    free(pool->parts);
    pool->path = pool->parts = NULL;
}

int pmo_create(const char *path, uint64_t size, uint32_t mode, pmo_failure_info *failure) {
    prepare_process();
    pmo_activate(NULL);
    pmo_quiet(true);
    pthread_mutex_lock(&opening);
    pmo_engine_limit_lanes();
    PMEMobjpool *pop = pmemobj_create(path, PMO_LAYOUT_NAME, size, mode);
    int error = errno;
    pthread_mutex_unlock(&opening);
    if (pop == NULL) {
        pmo_quiet(false);
        return note_failure(failure, error);
    }
    pmo_pool pool = {0};
    int status = initialise(&pool, pop, size);
    pmo_activate(NULL);
    if (status == PMO_OK && !pmo_is_pmem(pop, PMO_POOL_HEADER) &&
        pmo_engine_trust_disk(pop) != 0) {
        status = note_failure(&pool.failure, errno);
    }
    *failure = pool.failure;
    release_volatile(&pool);
    pmo_engine_close_new(pop);
    pmo_quiet(false);
    if (status != PMO_OK && size != 0) {
        unlink(path);
    }
    return status;
}

static int load_types(pmo_pool *pool) {
    pmo_container *types = NULL;
    PMO_TRY(pmo_container_at(pool, pool->root->types, PMO_LAYOUT_SEQUENCE, &types));
    const pmo_heap heap = pmo_heap_of(pool, types, PMO_LAYOUT_SEQUENCE);
    const pmo_cell *cells = pmo_cells(pool, types);
    for (uint64_t i = 0; i < types->state.length; i++) {
        pmo_value name;
        PMO_TRY(pmo_cell_read(pool, &heap, &cells[i], &name));
        bool sound = name.tag == PMO_STR && name.number > 2 && name.data[1] == ' ' &&
                     name.data[0] >= '0' && name.data[0] <= '4';
        if (!sound) {
            return pmo_corrupt(pool, pool->root->types, "a type table entry of unknown form");
        }
        PMO_TRY(pmo_vector_push(&pool->layouts, (uint64_t)(name.data[0] - '0')));
    }
    return PMO_OK;
}

static int recognise_root(pmo_pool *pool) {
    if (pool->root->magic != PMO_ROOT_MAGIC) {
        return pmo_corrupt(pool, pmo_offset_of(pool, pool->root), "no pmemobj root block");
    }
    if (pool->root->version != PMO_LAYOUT_VERSION) {
        return PMO_EVERSION;
    }
    return PMO_OK;
}

static int write_root(pmo_pool *pool) {
    pmo_root *root = pool->root;
    pmo_activate(pool);
    pmemobj_persist(pool->pop, root, sizeof *root);
    /* This waits for the disk even where changes do not. */
    if (pool->policy != PMO_POLICY_PROCESS || pool->info.is_pmem) {
        return pmo_disk_status(pool);
    }
    pool->counters.syncs++;
    if (pmo_sync_range(root, sizeof *root) != 0) {
        pool->refused = errno;
    }
    return pmo_disk_status(pool);
}

static void describe(pmo_pool *pool, uint64_t calls_before) {
    const pmo_root *root = pool->root;
    pmo_pool_info *info = &pool->info;
    info->uuid_lo = pool->uuid_lo;
    info->created_by = root->creator;
    info->was_dirty = root->dirty;
    info->was_in_flight = root->dirty ? (uint32_t)root->in_flight : 0;
    info->last_policy = root->policy;
    info->is_pmem = pmo_is_pmem(pool->base, PMO_POOL_HEADER);
    info->hooked = !info->is_pmem && pmo_hook_calls() > calls_before;
    if (!info->hooked && pool->policy != PMO_POLICY_SCRATCH) {
        pool->policy = PMO_POLICY_POWER;
    }
    info->policy = pool->policy;
    memcpy(info->last_boot_id, root->boot_id, sizeof info->last_boot_id - 1);
}

/* The pool is this session's, and says so on the disk before anything else is changed. */
static int sign(pmo_pool *pool, const char *boot_id) {
    pmo_root *root = pool->root;
    root->dirty = 1;
    root->policy = pool->policy;
    memset(root->boot_id, 0, sizeof root->boot_id);
    snprintf(root->boot_id, sizeof root->boot_id, "%s", boot_id);
    return write_root(pool);
}

static int adopt(pmo_pool *pool, PMEMobjpool *pop, uint64_t calls, const char *boot_id) {
    if (pmemobj_root_size(pop) != sizeof(pmo_root)) {
        return PMO_EVERSION;
    }
    PMO_TRY(attach(pool, pop, pmemobj_root(pop, sizeof(pmo_root))));
    pool->limit = pmo_measure_files(pool);
    PMO_TRY(pmo_heap_check(pool));
    pmo_activate(pool);
    PMO_TRY(recognise_root(pool));
    PMO_TRY(pmo_journal_recover(pool));
    PMO_TRY(load_types(pool));
    pmo_reserve_find(pool);
    describe(pool, calls);
    pool->used = pool->root->used;
    pool->root->in_flight = 0;
    return pool->info.was_dirty ? PMO_OK : sign(pool, boot_id);
}

static PMEMobjpool *map_pool(const char *path, uint32_t policy) {
    int private = policy == PMO_POLICY_SCRATCH;
    PMEMobjpool *pop = NULL;
    pmo_engine_prepare_memory();
    pthread_mutex_lock(&opening);
    pmo_engine_limit_lanes();
    if (pmemobj_ctl_set(NULL, "copy_on_write.at_open", &private) == 0 || !private) {
        pop = pmemobj_open(path, PMO_LAYOUT_NAME);
    }
    int error = errno;
    if (private) {
        int shared = 0;
        pmemobj_ctl_set(NULL, "copy_on_write.at_open", &shared);
    }
    pthread_mutex_unlock(&opening);
    errno = error;
    return pop;
}

static int open_pool(const char *path, const char *parts, uint32_t policy, const char *boot_id,
                     pmo_pool **opened, pmo_failure_info *failure, const int *refused) {
    uint64_t calls = pmo_hook_calls();
    PMO_TRY(pmo_preflight(path, parts, failure));
    pmo_quiet(policy != PMO_POLICY_POWER);
    PMEMobjpool *pop = map_pool(path, policy);
    pmo_quiet(false);
    if (pop == NULL) {
        return note_failure(failure, errno);
    }
    if (!pmo_engine_has_lanes(pop)) {
        pmemobj_close(pop);
        return note_lanes(failure);
    }
    pmo_pool *pool = calloc(1, sizeof *pool);
    int status = PMO_ENOMEM;
    if (pool != NULL) {
        pool->path = strdup(path);
        pool->parts = *parts != 0 ? strdup(parts) : NULL;
        pool->policy = policy;
        pool->memory = -1;
        bool copied = pool->path != NULL && (*parts == 0 || pool->parts != NULL);
        status = copied ? adopt(pool, pop, calls, boot_id) : PMO_ENOMEM;
        *failure = pool->failure;
    }
    if (status == PMO_OK && *refused != 0) {
        pool->refused = *refused;
        status = pmo_fail_disk(pool);
        *failure = pool->failure;
    }
    if (status != PMO_OK) {
        pmemobj_close(pop);
        pmo_activate(NULL);
        if (pool != NULL) {
            release_volatile(pool);
        }
        free(pool);
        return status;
    }
    *opened = pool;
    return PMO_OK;
}

int pmo_open(const char *path, const char *parts, uint32_t policy, const char *boot_id,
             pmo_pool **opened, pmo_failure_info *failure) {
    int refused = 0;
    prepare_process();
    pmo_activate(NULL);
    pmo_keep_refusal(&refused);
    int status = open_pool(path, parts, policy, boot_id, opened, failure, &refused);
    pmo_keep_refusal(NULL);
    return status;
}

int pmo_accept(pmo_pool *pool, const char *boot_id) {
    PMO_TRY(pmo_usable(pool));
    return sign(pool, boot_id);
}

/* Objects that only handles kept: no handle outlives the pool. */
static int bury_orphans(pmo_pool *pool) {
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    int status = PMO_OK;
    for (uint64_t i = 0; i < pool->pins.room && status == PMO_OK; i++) {
        pmo_header *header = NULL;
        uint64_t offset = pool->pins.keys[i];
        if (offset != 0 && pmo_header_at(pool, offset, &header) == PMO_OK &&
            header->refcount == 0 && pmo_layout_of(pool, header->type) > PMO_LAYOUT_FOREIGN) {
            status = pmo_release_orphan(pool, offset);
        }
    }
    pmo_map_clear(&pool->pins);
    status = pmo_op_end(pool, &op, status);
    while (status == PMO_FOREIGN_DEAD) {
        /* What custom objects hold only their class knows: they stay, as garbage. */
        pool->foreign_dead.count = 0;
        status = pmo_tx_commit(pool);
    }
    return status;
}

static void detach(pmo_pool *pool) {
    pool->open = false;
    pool->closed_as = PMO_ECLOSED;
    pmo_windows_close(pool);
    pmo_activate(pool);
    pmemobj_close(pool->pop);
    pmo_activate(NULL);
}

static int settle(pmo_pool *pool) {
    if (pool->tx_open) {
        PMO_TRY(pmo_tx_abort(pool));
    }
    if (pool->collector != NULL) {
        pmo_gc_report ignored;
        pmo_gc_finish(pool, &ignored);
    }
    return PMO_OK;
}

int pmo_close(pmo_pool *pool) {
    int usable = pmo_usable(pool);
    if (usable == PMO_EDISK) {
        detach(pool);
        return usable;
    }
    if (usable != PMO_OK) {
        return PMO_OK;
    }
    PMO_TRY(settle(pool));
    /* Orphans that cannot be freed are garbage like any other, for the next gc. */
    (void)bury_orphans(pool);
    pool->root->used = pool->used;
    int status = pool->info.is_pmem ? PMO_OK : pmo_sync(pool);
    if (status == PMO_OK) {
        pool->root->dirty = 0;
        status = write_root(pool);
        if (status != PMO_OK) {
            pool->root->dirty = 1;
        }
    }
    detach(pool);
    return status;
}

int pmo_abandon(pmo_pool *pool) {
    int usable = pmo_usable(pool);
    if (usable == PMO_OK) {
        PMO_TRY(settle(pool));
    }
    if (usable == PMO_OK || usable == PMO_EDISK) {
        detach(pool);
    }
    return PMO_OK;
}

void pmo_release(pmo_pool *pool) {
    if (pool != NULL) {
        pmo_close(pool);
        release_volatile(pool);
        free(pool);
    }
}

int pmo_info(pmo_pool *pool, pmo_pool_info *info) {
    PMO_TRY(pmo_usable(pool));
    uint64_t heap = pmo_heap_start(pool);
    *info = pool->info;
    info->size = pmo_measure_files(pool);
    info->used = pool->used + (heap < info->size ? heap : 0);
    return PMO_OK;
}

void pmo_failure(pmo_pool *pool, pmo_failure_info *failure) {
    *failure = pool->failure;
}

void pmo_count(pmo_pool *pool, pmo_counters *counters) {
    *counters = pool->counters;
}

uint64_t pmo_changes(pmo_pool *pool) {
    return pool->counters.transactions + pool->counters.publications;
}
