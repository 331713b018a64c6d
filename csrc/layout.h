/*
 * Everything that lies on the media, and nothing else. docs/format.md tells the
 * same in prose; a change here is a change of PMO_LAYOUT_VERSION.
 *
 * All integers are little-endian. An "offset" counts bytes from the start of
 * the pool's mapping; 0 is "none".
 */
#ifndef PMO_LAYOUT_H
#define PMO_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define PMO_LAYOUT_NAME "pmemobj-python"
#define PMO_LAYOUT_VERSION 3u
#define PMO_ROOT_MAGIC 0x314a424f4d454d50ull /* "PMEMOBJ1" */

/* libpmemobj type numbers of our allocations. */
#define PMO_NUM_OBJECT 20u /* starts with a pmo_header; POBJECT_TYPE_NUM */
#define PMO_NUM_BODY 21u   /* the storage of a container */

/*
 * A cell: one value in 16 bytes.
 *
 * tag      what the value is (pmo_tag in pmo.h).
 * len      payload tags: 0..PMO_INLINE_MAX, the payload's bytes follow in
 *          inline_bytes; PMO_LEN_HEAP, they lie in the container's heap at
 *          word, extent bytes long; PMO_LEN_BLOB, in the blob object at offset
 *          word. Other tags: 0.
 * check    folds all other bytes (and a heap payload's bytes), so that damage
 *          is an error and not another value.
 * word     int64, float64 bits, heap position or offset.
 */
#define PMO_INLINE_MAX 12u
#define PMO_LEN_HEAP 0xfeu
#define PMO_LEN_BLOB 0xffu

typedef struct pmo_cell {
    uint8_t tag;
    uint8_t len;
    uint16_t check;
    union {
        struct {
            uint32_t extent;
            uint64_t word;
        } __attribute__((packed, aligned(4)));
        char inline_bytes[PMO_INLINE_MAX];
    };
} pmo_cell;
_Static_assert(sizeof(pmo_cell) == 16, "a cell is 16 bytes");
_Static_assert(offsetof(pmo_cell, word) == 8, "a cell's word is aligned");

/* A key that C cannot canonicalise by itself: in the heap, followed by
 * canon_length canonical bytes and then the inner value's payload, if it has one. */
typedef struct pmo_keyed {
    uint32_t canon_length;
    uint8_t inner_tag;
    uint8_t zero[3];
    int64_t number;
} __attribute__((packed)) pmo_keyed; /* a heap knows no alignment */
_Static_assert(sizeof(pmo_keyed) == 16, "a keyed record starts with 16 bytes");

/* Every stored object starts so. check binds the header to its place and type. */
typedef struct pmo_header {
    uint64_t refcount;
    uint32_t type;
    uint32_t check;
} pmo_header;
_Static_assert(sizeof(pmo_header) == 16, "an object header is 16 bytes");

/* What changes at every mutation: 40 bytes, one undo record. A collection reads only the cells
 * of containers that may refer to objects. */
#define PMO_STATE_REFERS (1ull << 63)

typedef struct pmo_state {
    uint64_t length;       /* live elements */
    uint64_t used;         /* cells or entries written, holes included */
    uint64_t heap_used;    /* bytes bumped off the heap */
    uint64_t heap_garbage; /* of these, bytes no cell names any more; PMO_STATE_REFERS unless
                              no cell has a reference, a blob or a keyed record */
    uint64_t check;
} pmo_state;
_Static_assert(sizeof(pmo_state) == 40, "a container's state is 40 bytes");

/* Where the storage is: changes only when it is rebuilt. */
typedef struct pmo_geometry {
    uint64_t body;          /* offset of the body; 0: none yet */
    uint64_t capacity;      /* cells (sequence) or entries (table) */
    uint64_t index_slots;   /* table: even */
    uint64_t heap_capacity; /* bytes */
    uint64_t check;
} pmo_geometry;
_Static_assert(sizeof(pmo_geometry) == 40, "a container's geometry is 40 bytes");

/*
 * Every container. Its body is one allocation:
 *   sequence  [value x capacity][heap]
 *   set       [key x capacity][uint32 index x index_slots][heap]
 *   dict      [key, value x capacity][uint32 index x index_slots][heap]
 * with values and keys that are cells. Elements 0..used-1 are written. A hole (deleted
 * table entry) has tag PMO_EMPTY as its key and is zero otherwise, but that the key of
 * entry 0 as a hole has the number of the first entry that is none as its word. Index slots
 * hold entry number + 1 in as many low bits as the capacity has, above it in at most 4 bits
 * the distance from the slot that the key's hash gives, and bits of that hash in the rest; 0 is
 * free. The index is probed linearly and knows no deleted marks. A table of at most
 * PMO_SMALL_TABLE entries has no index.
 */
typedef struct pmo_container {
    pmo_header head;
    pmo_state state;
    pmo_geometry geometry;
} pmo_container;
_Static_assert(sizeof(pmo_container) == 96, "a container is 96 bytes");

#define PMO_SMALL_TABLE 8u
#define PMO_SLOT_FREE 0u
#define PMO_SLOT_BIAS 1u
#define PMO_SLOT_DISTANCES 15u /* the largest stands for all beyond it */

/* A leaf value with an allocation of its own; payload follows. */
typedef struct pmo_blob {
    pmo_header head;
    uint64_t length;
    uint32_t tag;
    uint32_t check; /* folds length, tag and payload */
} pmo_blob;
_Static_assert(sizeof(pmo_blob) == 32, "a blob header is 32 bytes");

/*
 * Bytes without structure. Those of a raw in one piece start at the next multiple
 * of PMO_RAW_ALIGNMENT behind this header. A raw in extents has the offsets of
 * its extents there, each an allocation of PMO_NUM_BODY whose bytes start at its
 * first multiple of PMO_RAW_PAGE; all but the last hold form bytes.
 */
#define PMO_RAW_ALIGNMENT 64u
#define PMO_RAW_PAGE 4096u
#define PMO_RAW_SEALED 1u /* in form, whose other bits are the extents' size */

typedef struct pmo_raw {
    pmo_header head;
    uint64_t length; /* bytes */
    uint64_t form;   /* 0: one piece; else bytes in an extent; PMO_RAW_SEALED */
    uint64_t sum;    /* sealed: folds the bytes */
    uint64_t check;  /* folds the three above */
} pmo_raw;
_Static_assert(sizeof(pmo_raw) == 48, "a raw header is 48 bytes");

/*
 * A block of the journal: old bytes of raws that the running transaction changes,
 * record after record. Valid while the root's serial is its journal_serial.
 */
typedef struct pmo_journal_block {
    uint64_t next;     /* offset of the block that was filled before; 0: none */
    uint64_t capacity; /* bytes for records, behind this header */
    uint64_t used;     /* of these, bytes of complete records */
    uint64_t check;    /* folds capacity and the block's own offset */
} pmo_journal_block;
_Static_assert(sizeof(pmo_journal_block) == 32, "a journal block's header is 32 bytes");

typedef struct pmo_record {
    uint64_t target; /* offset in the pool */
    uint64_t size;   /* old bytes, which follow, up to a multiple of 8 */
    uint64_t check;  /* folds target, size and the record's own offset */
} pmo_record;
_Static_assert(sizeof(pmo_record) == 24, "a journal record's header is 24 bytes");

/* The root block, pmemobj_root() of the pool. */
#define PMO_BOOT_ID_SIZE 40u

typedef struct pmo_root {
    uint64_t magic;
    uint32_t version;
    uint32_t creator;               /* uid of the user who created the pool */
    uint64_t hash_key[2];           /* random, made at creation */
    uint32_t dirty;                 /* 1 from open to close */
    uint32_t policy;                /* of the last session that opened it */
    char boot_id[PMO_BOOT_ID_SIZE]; /* of that session */
    uint64_t in_flight;             /* 1 while a transaction is open */
    uint64_t types;                 /* offset of the sequence "layout module:qualname" */
    pmo_cell root;                  /* the user's root; no heap: a long leaf is a blob */
    uint64_t used;           /* bytes allocated, written by close; meaningless when dirty */
    uint64_t journal;        /* newest block of the journal; 0: none */
    uint64_t serial;         /* grows with each committed transaction that has a journal */
    uint64_t journal_serial; /* serial before the transaction that the journal is of */
    uint64_t reserve;        /* offset of a block lent to undo logs in a full pool; 0: none */
    uint64_t reserve_size;
    uint64_t reserve_check;
    uint64_t reserved[9];
} pmo_root;
_Static_assert(offsetof(pmo_root, root) == 96, "the root cell's place");
_Static_assert(sizeof(pmo_root) == 240, "the root block is 240 bytes");

#endif
