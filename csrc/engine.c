/*
 * What libpmemobj is spared, so that opening a pool is quick.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "engine.h"
#include "internal.h"

/* Of an open pool libpmemobj 1.12 keeps 11 MiB in memory, most of it for 1024 lanes. */
#define RUNTIME_SIZE (12u << 20)
#define HUGE_PAGE (2u << 20)

uint64_t pmo_engine_sum(uint64_t sum, const void *bytes, uint64_t length) {
    uint32_t low = (uint32_t)sum;
    uint32_t high = (uint32_t)(sum >> 32);
    for (uint64_t at = 0; at < length; at += sizeof(uint32_t)) {
        uint32_t word = 0;
        memcpy(&word, (const char *)bytes + at, sizeof word);
        low += word;
        high += low;
    }
    return (uint64_t)high << 32 | low;
}

static uint64_t header_sum(const char *header) {
    char fixed[PMO_ENGINE_HEADER] = {0};
    memcpy(fixed, header, PMO_ENGINE_HEADER_VARIABLE_AT);
    return pmo_engine_sum(0, fixed, sizeof fixed);
}

int pmo_engine_trust_disk(PMEMobjpool *pop) {
    char *header = (char *)pop;
    /* libpmemobj's own debugging version makes the page inaccessible. */
    if (mprotect(header, PMO_ENGINE_HEADER, PROT_READ | PROT_WRITE) != 0) {
        return -1;
    }
    uint32_t features = 0;
    uint64_t sum = 0;
    memcpy(&features, header + PMO_ENGINE_COMPAT_AT, sizeof features);
    memcpy(&sum, header + PMO_ENGINE_HEADER_CHECKSUM_AT, sizeof sum);
    if ((features & PMO_ENGINE_CHECK_BAD_BLOCKS) == 0 || sum != header_sum(header)) {
        return 0;
    }
    features &= ~PMO_ENGINE_CHECK_BAD_BLOCKS;
    memcpy(header + PMO_ENGINE_COMPAT_AT, &features, sizeof features);
    sum = header_sum(header);
    memcpy(header + PMO_ENGINE_HEADER_CHECKSUM_AT, &sum, sizeof sum);
    return pmo_sync_range(header, PMO_ENGINE_HEADER);
}

static uint64_t word_of(const char *pool, uint64_t at) {
    uint64_t word = 0;
    memcpy(&word, pool + at, sizeof word);
    return word;
}

static uint64_t descriptor_sum(const char *pool) {
    const char *descriptor = pool + PMO_ENGINE_HEADER;
    const uint64_t none = 0;
    const uint64_t fixed = PMO_ENGINE_DESCRIPTOR - sizeof none;
    return pmo_engine_sum(pmo_engine_sum(0, descriptor, fixed), &none, sizeof none);
}

static bool has_usual_lanes(const char *pool) {
    const uint64_t size = (uint64_t)PMO_ENGINE_USUAL_LANES * PMO_ENGINE_LANE_SIZE;
    const uint64_t offset = word_of(pool, PMO_ENGINE_LANES_AT);
    return word_of(pool, PMO_ENGINE_DESCRIPTOR_CHECKSUM_AT) == descriptor_sum(pool) &&
           word_of(pool, PMO_ENGINE_LANE_COUNT_AT) == PMO_ENGINE_USUAL_LANES &&
           offset == PMO_POOL_HEADER &&
           word_of(pool, PMO_ENGINE_HEAP_OFFSET_AT) >= offset + size;
}

void pmo_engine_close_new(PMEMobjpool *pop) {
    /* Libpmemobj goes by the number in the file until it has closed it; a file may forbid to be
     * opened again. A second mapping outlives the first. */
    char *pool = mremap(pop, 0, PMO_POOL_HEADER, MREMAP_MAYMOVE);
    pmemobj_close(pop);
    if (pool == MAP_FAILED) {
        return;
    }
    if (mprotect(pool, PMO_POOL_HEADER, PROT_READ | PROT_WRITE) == 0 &&
        pmo_engine_lanes_used() <= PMO_ENGINE_LANES && has_usual_lanes(pool)) {
        const uint64_t lanes = PMO_ENGINE_LANES;
        memcpy(pool + PMO_ENGINE_LANE_COUNT_AT, &lanes, sizeof lanes);
        const uint64_t sum = descriptor_sum(pool);
        memcpy(pool + PMO_ENGINE_DESCRIPTOR_CHECKSUM_AT, &sum, sizeof sum);
    }
    munmap(pool, PMO_POOL_HEADER);
}

/* What libpmemobj makes of it; a number that is spelt in another way is none here. */
static uint64_t lanes_set(const char *text) {
    char *end = NULL;
    const bool number = text != NULL && *text >= '1' && *text <= '9';
    const long lanes = number ? strtol(text, &end, 10) : 0;
    return number && *end == 0 && lanes < PMO_ENGINE_USUAL_LANES ? (uint64_t)lanes
                                                                 : PMO_ENGINE_USUAL_LANES;
}

uint64_t pmo_engine_lanes_used(void) {
    return lanes_set(secure_getenv(PMO_ENGINE_LANES_VARIABLE));
}

void pmo_engine_limit_lanes(void) {
    if (lanes_set(getenv(PMO_ENGINE_LANES_VARIABLE)) > PMO_ENGINE_LANES) {
        char text[16];
        snprintf(text, sizeof text, "%u", PMO_ENGINE_LANES);
        setenv(PMO_ENGINE_LANES_VARIABLE, text, 1);
    }
}

/* Early, for other threads may read the environment later on. */
__attribute__((constructor)) static void limit_at_loading(void) {
    pmo_engine_limit_lanes();
}

bool pmo_engine_has_lanes(PMEMobjpool *pop) {
    return word_of((const char *)pop, PMO_ENGINE_LANE_COUNT_AT) >= pmo_engine_lanes_used();
}

void pmo_engine_prepare_memory(void) {
#ifdef MADV_HUGEPAGE
    /* The second time it is a piece of the heap, which stays there when it is freed. */
    for (int i = 0; i < 2; i++) {
        char *memory = malloc(RUNTIME_SIZE);
        if (memory == NULL) {
            return;
        }
        uintptr_t start = ((uintptr_t)memory + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
        uintptr_t end = ((uintptr_t)memory + RUNTIME_SIZE) & ~(uintptr_t)(HUGE_PAGE - 1);
        madvise((void *)start, end - start, MADV_HUGEPAGE);
        free(memory);
    }
#endif
}
