/*
 * The yardstick: libpmemobj's own transactions, with nothing around them.
 *
 *     raw POOL SHAPE COUNT      prints seconds per transaction
 *
 * Durability is what pmemobj calls "process": making a range durable costs nothing.
 *
 * store    one existing value changed: 16 bytes snapshotted, 16 stored
 * word     the least there is: 8 bytes snapshotted, 8 stored
 * append   a counter block of 40 bytes snapshotted, 16 new bytes
 * insert   the same, 4 bytes of an index snapshotted, 40 new bytes
 */
#include <libpmemobj.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SLOTS = 4096, STATE = 40, SLOT = 40, WORD = 8, CELL = 16, INDEX = 4 };

typedef struct block {
    uint64_t state[STATE / sizeof(uint64_t)];
    uint32_t index[SLOTS];
    uint64_t slots[SLOTS][SLOT / sizeof(uint64_t)];
} block;

static unsigned long hook_calls;

int pmem_msync(const void *address, size_t size);

int pmem_msync(const void *address, size_t size) {
    (void)address;
    (void)size;
    hook_calls++;
    return 0;
}

static void snapshot(void *address, size_t size) {
    if (pmemobj_tx_add_range_direct(address, size) != 0) {
        fprintf(stderr, "raw: %s\n", pmemobj_errormsg());
        exit(1);
    }
}

static void fresh(void *address, size_t size) {
    if (pmemobj_tx_xadd_range_direct(address, size, POBJ_XADD_NO_SNAPSHOT) != 0) {
        fprintf(stderr, "raw: %s\n", pmemobj_errormsg());
        exit(1);
    }
}

static void store(block *at, uint64_t number) {
    uint64_t *slot = at->slots[number % SLOTS];
    snapshot(slot, CELL);
    slot[0] = 4;
    slot[1] = number;
}

static void word(block *at, uint64_t number) {
    uint64_t *slot = at->slots[number % SLOTS];
    snapshot(slot, WORD);
    slot[0] = number;
}

static void append(block *at, uint64_t number) {
    uint64_t *slot = at->slots[number % SLOTS];
    snapshot(at->state, STATE);
    fresh(slot, CELL);
    slot[0] = 4;
    slot[1] = number;
    at->state[0] = number;
}

static void insert(block *at, uint64_t number) {
    uint64_t *slot = at->slots[number % SLOTS];
    uint32_t *index = &at->index[(number * 2654435761u) % SLOTS];
    snapshot(at->state, STATE);
    snapshot(index, INDEX);
    fresh(slot, SLOT);
    for (unsigned i = 0; i < SLOT / sizeof(uint64_t); i++) {
        slot[i] = number + i;
    }
    *index = (uint32_t)number;
    at->state[0] = number;
}

static void (*shape_named(const char *name))(block *, uint64_t) {
    static const struct {
        const char *name;
        void (*run)(block *, uint64_t);
    } shapes[] = {{"store", store}, {"word", word}, {"append", append}, {"insert", insert}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (strcmp(name, shapes[i].name) == 0) {
            return shapes[i].run;
        }
    }
    return NULL;
}

static double now(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (double)moment.tv_sec + 1e-9 * (double)moment.tv_nsec;
}

static void transact(PMEMobjpool *pool, void (*run)(block *, uint64_t), block *at,
                     uint64_t number) {
    if (pmemobj_tx_begin(pool, NULL, TX_PARAM_NONE) != 0) {
        fprintf(stderr, "raw: %s\n", pmemobj_errormsg());
        exit(1);
    }
    run(at, number);
    pmemobj_tx_commit();
    (void)pmemobj_tx_end();
}

int main(int argc, char **argv) {
    void (*run)(block *, uint64_t) = argc == 4 ? shape_named(argv[2]) : NULL;
    uint64_t count = argc == 4 ? strtoull(argv[3], NULL, 10) : 0;
    if (run == NULL || count == 0) {
        fprintf(stderr, "usage: raw POOL word|store|append|insert COUNT\n");
        return 2;
    }
    PMEMobjpool *pool = pmemobj_create(argv[1], "raw", 8 * PMEMOBJ_MIN_POOL, 0600);
    if (pool == NULL) {
        fprintf(stderr, "raw: %s\n", pmemobj_errormsg());
        return 1;
    }
    block *at = pmemobj_direct(pmemobj_root(pool, sizeof(block)));
    for (uint64_t i = 0; i < SLOTS; i++) {
        transact(pool, run, at, i);
    }
    hook_calls = 0;
    double start = now();
    for (uint64_t i = 0; i < count; i++) {
        transact(pool, run, at, i);
    }
    double seconds = (now() - start) / (double)count;
    if (hook_calls < count) {
        fprintf(stderr, "raw: libpmemobj does not reach this program's pmem_msync\n");
        return 1;
    }
    printf("%.3e\n", seconds);
    pmemobj_close(pool);
    return 0;
}
