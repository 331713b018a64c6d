/*
 * What libpmemobj keeps in a pool's file for itself: pool format 6, heap format 1, the same
 * since PMDK 1.5. Only read, but for one bit and the number of lanes of a pool that is being
 * made (engine.c). Facts from PMDK's own headers (pool_hdr.h, obj.h, lane.h, ulog.h,
 * heap_layout.h).
 */
#ifndef PMO_ENGINE_H
#define PMO_ENGINE_H

#include <stdint.h>

/* The pool header. Its checksum is of the whole, with zeros for itself and what is variable. */
#define PMO_ENGINE_HEADER 4096u
#define PMO_ENGINE_COMPAT_AT 12u            /* 32 bits: features that need not be understood */
#define PMO_ENGINE_CHECK_BAD_BLOCKS 1u      /* one of them */
#define PMO_ENGINE_HEADER_VARIABLE_AT 2048u /* to the end */
#define PMO_ENGINE_HEADER_CHECKSUM_AT 4088u

/* The pool's descriptor, after the header. */
#define PMO_ENGINE_LANES_AT 5120u       /* where the lanes' offset is */
#define PMO_ENGINE_LANE_COUNT_AT 5128u  /* their number */
#define PMO_ENGINE_HEAP_OFFSET_AT 5136u /* the heap's offset */
#define PMO_ENGINE_DESCRIPTOR 2048u     /* bytes that its checksum is of, itself as zeros */
#define PMO_ENGINE_DESCRIPTOR_CHECKSUM_AT 6136u

/* A lane has three logs, each a header and room for entries. */
#define PMO_ENGINE_LOGS 3u
#define PMO_ENGINE_LANE_SIZE 3072u

/* How many a new pool has, what ours are reduced to, and which variable of the environment
 * tells libpmemobj how many to use. It reads that at each opening, takes 1024 if there is none,
 * and does not look how many the pool has. */
#define PMO_ENGINE_USUAL_LANES 1024u
#define PMO_ENGINE_LANES 64u
#define PMO_ENGINE_LANES_VARIABLE "PMEMOBJ_NLANES"

typedef struct pmo_engine_log {
    uint64_t checksum;
    uint64_t next; /* offset of a further log; 0: none */
    uint64_t capacity;
    uint64_t generation;
    uint64_t flags;
    uint64_t unused[3];
} pmo_engine_log;

/* An entry's first word: operation in the top three bits, an offset in the others. */
enum pmo_engine_operation {
    PMO_ENGINE_SET = 0,
    PMO_ENGINE_AND = 1,
    PMO_ENGINE_OR = 2,
    PMO_ENGINE_FILL = 5,
    PMO_ENGINE_COPY = 6
};

typedef struct pmo_engine_word { /* SET, AND, OR */
    uint64_t target;
    uint64_t value;
} pmo_engine_word;

typedef struct pmo_engine_range { /* FILL, COPY; its bytes follow, padded to 64 in all */
    uint64_t target;
    uint64_t checksum;
    uint64_t size;
} pmo_engine_range;

/* The heap: a header, then zones of chunks. */
#define PMO_ENGINE_HEAP_HEADER 1024u
#define PMO_ENGINE_HEAP_SIGNATURE "MEMORY_HEAP_HDR" /* 16 bytes with its end */
#define PMO_ENGINE_HEAP_MAJOR_AT 16u
#define PMO_ENGINE_HEAP_MAJOR 1u
#define PMO_ENGINE_ZONE_MAGIC 0xc3f0a2d2u
#define PMO_ENGINE_ZONE_HEADER 64u
#define PMO_ENGINE_MOST_CHUNKS 65528u
#define PMO_ENGINE_CHUNK 262144u
#define PMO_ENGINE_ZONE_METADATA                                                               \
    (PMO_ENGINE_ZONE_HEADER + (uint64_t)PMO_ENGINE_MOST_CHUNKS * 8u)
#define PMO_ENGINE_ZONE                                                                        \
    (PMO_ENGINE_ZONE_METADATA + (uint64_t)PMO_ENGINE_MOST_CHUNKS * PMO_ENGINE_CHUNK)

typedef struct pmo_engine_zone {
    uint32_t magic;
    uint32_t chunks;
} pmo_engine_zone;

enum pmo_engine_chunk_type {
    PMO_ENGINE_FOOTER = 1,
    PMO_ENGINE_FREE = 2,
    PMO_ENGINE_USED = 3,
    PMO_ENGINE_RUN = 4,
    PMO_ENGINE_RUN_DATA = 5
};

typedef struct pmo_engine_chunk {
    uint16_t type;
    uint16_t flags;
    uint32_t size; /* in chunks; RUN_DATA: distance to the run's first chunk */
} pmo_engine_chunk;

typedef struct pmo_engine_run { /* begins a RUN's first chunk */
    uint64_t unit;              /* bytes */
    uint64_t alignment;
    uint64_t bitmap[];
} pmo_engine_run;

/* Fletcher's sum of 32-bit words, as libpmemobj's checksums are; continued from an earlier one.
 */
uint64_t pmo_engine_sum(uint64_t sum, const void *bytes, uint64_t length);

#endif
