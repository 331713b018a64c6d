/*
 * What libpmemobj is spared, so that opening a pool is quick.
 */
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
