/*
 * What the core's files share. Layers, each calling only those above it:
 *   access     bounds and canary checks (inline here, access.c)
 *   turn.c     which thread may be inside
 *   preflight.c     libpmemobj's records before it opens a pool (engine.h: their format)
 *   engine.c   what libpmemobj is spared when it opens one
 *   heap.c     what libpmemobj has allocated
 *   transaction.c   operations, undo, fresh, allocate
 *   journal.c  undo records for large ranges
 *   store.c    new bytes, through the mapping or the file
 *   raw.c      bytes of any size; window.c, their addresses (with maps.c)
 *   object.c   headers, reference counts, blobs
 *   burial.c   what has no references any more
 *   cell.c     one value <-> 16 bytes (+ heap, + blob)
 *   root.c     the root cell and the type table
 *   container.c     state, geometry, bodies, growth and compaction
 *   sequence.h table.h graph.c collector.h    (siblings)
 */
#ifndef PMO_INTERNAL_H
#define PMO_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include <libpmemobj.h>

#include "layout.h"
#include "pmo.h"

#define PMO_HEAP_PAYLOAD_MAX 4096u /* a longer payload gets a blob of its own */
#define PMO_POOL_HEADER 8192u      /* no object starts before the pool's own header ends */
#define PMO_ALLOCATION_HEADER 16u  /* libpmemobj spends it on each allocation */
#define PMO_POISON 1u              /* the offset of a poisoned handle */

typedef struct pmo_vector {
    uint64_t *items;
    uint64_t count;
    uint64_t room;
} pmo_vector;

/* offset -> count; open addressing, 0 is no key. */
typedef struct pmo_map {
    uint64_t *keys;
    uint64_t *counts;
    uint64_t count;
    uint64_t room; /* 0 or a power of two */
} pmo_map;

typedef struct pmo_buffer {
    char *bytes;
    uint64_t length;
    uint64_t room;
} pmo_buffer;

/* Scratch that a read hands out: one for keys, one for values. */
typedef struct pmo_stream {
    pmo_buffer tags;
    pmo_buffer numbers;
    pmo_buffer data;
} pmo_stream;

/* Words of the pool that are to change, all or none. */
#define PMO_WORDS_MAX 6u
typedef struct pmo_publication {
    uint64_t *place[PMO_WORDS_MAX];
    uint64_t value[PMO_WORDS_MAX];
    uint32_t count;
} pmo_publication;

/* A container's heap while it is read or written. */
typedef struct pmo_heap {
    char *bytes;
    uint64_t used;
    uint64_t capacity;
    uint64_t garbage;
    bool refers;      /* may a cell refer to an object? see pmo_cell_may_refer */
    bool in_new_body; /* allocated by this operation: flushed as a whole at commit */
} pmo_heap;

/* Storage that nothing leads to any more, on its way back to libpmemobj. */
typedef struct pmo_grave {
    uint64_t object;   /* freed with it; 0: none, or freed */
    uint64_t body;     /* 0: none, or freed */
    uint64_t position; /* the next element whose references are to be dropped */
    uint64_t stop;
    const char *elements;
    pmo_cell *copy; /* of elements that are overwritten meanwhile; NULL: they stay */
    pmo_heap heap;
    int layout;
} pmo_grave;

typedef struct pmo_graves {
    pmo_grave *items;
    uint64_t count;
    uint64_t room;
} pmo_graves;

/* What the open transaction may still do for the dead. */
typedef struct pmo_allowance {
    uint64_t frees;
    uint64_t undos;
} pmo_allowance;

typedef struct pmo_extent {
    uint64_t start; /* offsets in the pool */
    uint64_t end;
} pmo_extent;

/* Allocations of one operation that are reserved, and enter its transaction many at a time. */
#define PMO_ROWS 8u
typedef struct pmo_together {
    bool on;
    struct pobj_action *actions; /* not entered yet */
    uint64_t count;
    uint64_t room;
    pmo_extent rows[PMO_ROWS]; /* new bytes, to be flushed: where more may follow, */
    uint64_t next_row;
    pmo_vector extents; /* and where none did for long: start, end, ... */
} pmo_together;

/* Where in which file a part of the pool lies. */
typedef struct pmo_mapped_file {
    uint64_t start; /* offsets in the pool */
    uint64_t end;
    off_t position;
    dev_t device;
    ino_t inode;
    char *path;
} pmo_mapped_file;

typedef struct pmo_mapped_files {
    pmo_mapped_file *items;
    uint64_t count;
    uint64_t limit; /* up to this offset all are known */
} pmo_mapped_files;

struct pmo_collector;

struct pmo_pool {
    PMEMobjpool *pop;
    char *base;     /* offset 0 of the pool */
    uint64_t limit; /* bytes mapped and backed by files */
    pmo_root *root;
    uint64_t uuid_lo;
    uint32_t generation; /* of the process, see pmo_fork_generation */
    uint32_t policy;
    bool open;
    int closed_as;             /* what using it gives while it is not open */
    int refused;               /* errno of the first sync that the disk refused; 0: none */
    uint64_t named;            /* bytes of the files whose names the disk is known to hold */
    atomic_uintptr_t claimant; /* the thread that last came in with the lock */
    atomic_uintptr_t insider;  /* the thread that is inside without the lock; 0: none */
    atomic_uint entered;       /* threads that came in without the lock, the refused too */
    uintptr_t tx_thread;       /* the one that began the open transaction */
    bool tx_open;              /* begun by pmo_tx_begin, or left open with PMO_FOREIGN_DEAD */
    bool tx_doomed;
    uint64_t
        writes; /* stores, allocations and frees so far: did an operation touch anything? */
    uint64_t inject;      /* see pmo_inject_failure */
    bool injected;        /* it has failed: no second attempt */
    uint64_t used;        /* bytes allocated, libpmemobj's 16-byte headers included */
    uint64_t used_before; /* when the open transaction began */
    uint64_t ample;       /* below this many used bytes there is room for logs */
    uint64_t reserve;     /* bytes of the reserve; 0: none */
    uint32_t thrift;      /* how little to add for growth, see pmo_spare */
    char *path;
    char *parts; /* elastic: the part files' directory */
    pmo_together together;
    bool reserved;      /* some of this transaction's objects were */
    pmo_vector created; /* objects allocated in this transaction */
    pmo_map known;      /* those that pmo_is_created has entered for its own use, */
    uint64_t known_to;  /* as far as this place in created */
    pmo_vector dead;    /* objects whose last reference has gone; see burial.c */
    pmo_graves graves;
    pmo_allowance allowance;
    pmo_map dying; /* what was put on dead or foreign_dead since they were empty */
    pmo_vector foreign_dead;
    pmo_vector layouts; /* type code - PMO_FIRST_USER_TYPE -> layout */
    pmo_map pins;
    pmo_map safe;  /* containers whose state this open transaction has snapshotted, and
                      bodies that it made: nothing of these needs a snapshot any more */
    pmo_map freed; /* in this transaction begun by pmo_tx_begin: no allocations any more */
    pmo_stream keys;
    pmo_stream values;
    const pmo_publication *applying; /* its words need not be durable one by one */
    uint32_t applied;                /* a bit for each of them that is in place */
    pmo_failure_info failure;
    pmo_counters counters;
    pmo_pool_info info;
    bool journal_open;   /* this transaction has a journal */
    pmo_vector saved;    /* ranges in it: start, end, ... */
    pmo_window *windows; /* newest first */
    pmo_mapped_files mapped;
    int memory; /* of a scratch: what its windows show, at the same offsets; -1: none yet */
    struct pmo_collector *collector;
};

#define PMO_TRY(call)                                                                          \
    do {                                                                                       \
        int pmo_try_status = (call);                                                           \
        if (pmo_try_status != PMO_OK) {                                                        \
            return pmo_try_status;                                                             \
        }                                                                                      \
    } while (0)

/* ---- volatile memory (volatile.c) ------------------------------------ */

int pmo_vector_push(pmo_vector *vector, uint64_t item);
void pmo_vector_free(pmo_vector *vector);
uint64_t *pmo_map_find(pmo_map *map, uint64_t key);          /* NULL: absent */
int pmo_map_add(pmo_map *map, uint64_t key, uint64_t count); /* adds to the count there */
void pmo_map_remove(pmo_map *map, uint64_t key);
void pmo_map_clear(pmo_map *map);
/* As clear, but a small map keeps its memory. */
void pmo_map_empty(pmo_map *map);
/* Room for extra more bytes; the bytes may move. */
int pmo_buffer_reserve(pmo_buffer *buffer, uint64_t extra);
/* 64-bit keyed hash of bytes (SipHash-1-3). */
uint64_t pmo_hash_bytes(const uint64_t key[2], const void *data, uint64_t length);

/* ---- batch.c ----------------------------------------------------------------- */

void pmo_stream_free(pmo_stream *stream);
void pmo_stream_reset(pmo_stream *stream);
/* Append count values of one tag below PMO_STR: room for their numbers, to be filled. */
int pmo_stream_extend(pmo_stream *stream, uint32_t tag, uint64_t count, int64_t **numbers);
/* Take back the last count of them. */
void pmo_stream_cut(pmo_stream *stream, uint64_t count);
/* Append one decoded value. */
int pmo_stream_push(pmo_stream *stream, const pmo_value *value);
/* The stream as a batch, which takes its memory over: tags is NULL when all tags are the same.
 */
void pmo_stream_batch(pmo_stream *stream, pmo_batch *batch);
/* Goes over a batch's values; payloads are consumed in order. */
typedef struct pmo_feed {
    const pmo_batch *batch;
    uint64_t next;
    uint64_t data_at;
} pmo_feed;
/* PMO_EINVAL: a payload ends behind the batch's bytes. */
int pmo_feed_next(pmo_feed *from, pmo_value *value);

/* ---- access ------------------------------------------------------------------- */

extern uint32_t pmo_fork_generation;

static inline void *pmo_at(const pmo_pool *pool, uint64_t offset) {
    return pool->base + offset;
}

static inline uint64_t pmo_offset_of(const pmo_pool *pool, const void *address) {
    return (uint64_t)((const char *)address - pool->base);
}

/* ---- turn.c ------------------------------------------------------------------- */

static inline uintptr_t pmo_this_thread(void) {
    return (uintptr_t)pthread_self();
}

/* Claim the pool for this thread, and wait until no other one is inside. */
void pmo_take_over(pmo_pool *pool);
/* Come in without the lock; after PMO_OK every path must reach pmo_leave, which passes the
 * status through. */
int pmo_enter(pmo_pool *pool);
int pmo_leave(pmo_pool *pool, int status);
/* As pmo_enter, but PMO_EBUSY also where every change waits for the disk. */
int pmo_enter_briefly(pmo_pool *pool);

/* PMO_OK if this process may use the pool. Every public function that is called with the
 * lock starts with it. */
static inline int pmo_usable(pmo_pool *pool) {
    if (pool->generation != pmo_fork_generation) {
        return PMO_EFORKED;
    }
    if (!pool->open) {
        return pool->closed_as;
    }
    if (atomic_load_explicit(&pool->claimant, memory_order_relaxed) != pmo_this_thread()) {
        pmo_take_over(pool);
    }
    return PMO_OK;
}

/* Two words folded to one by a 64x64->128 multiplication. */
static inline uint64_t pmo_fold(uint64_t a, uint64_t b) {
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)(a ^ 0x9e3779b97f4a7c15ull) * (b ^ 0xd6e8feb86659fd93ull);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* At most 8 bytes as a word, the missing ones 0; reads no others. */
static inline uint64_t pmo_load_short(const char *bytes, uint64_t length) {
    uint64_t word = 0;
    if (length == 8) {
        memcpy(&word, bytes, 8);
    } else if (length >= 4) {
        uint32_t first;
        uint32_t last;
        memcpy(&first, bytes, 4);
        memcpy(&last, bytes + length - 4, 4);
        word = first | (uint64_t)last << (8 * (length - 4));
    } else if (length > 0) {
        word = (uint64_t)(uint8_t)bytes[0] |
               (uint64_t)(uint8_t)bytes[length / 2] << (8 * (length / 2)) |
               (uint64_t)(uint8_t)bytes[length - 1] << (8 * (length - 1));
    }
    return word;
}

/* Record where damage was found and what it is; gives PMO_ECORRUPT. */
int pmo_corrupt(pmo_pool *pool, uint64_t offset, const char *what);
/* Bytes of the pool's files as they are now. */
uint64_t pmo_measure_files(const pmo_pool *pool);
/* [offset, offset + size) lies in the pool's files, past the pool's own header. */
int pmo_bounds(pmo_pool *pool, uint64_t offset, uint64_t size);
/* The header at offset, bounds, alignment and canary checked. */
int pmo_header_at(pmo_pool *pool, uint64_t offset, pmo_header **header);
/* PMO_LAYOUT_* of a type code; negative: unknown code. */
int pmo_layout_of(const pmo_pool *pool, uint32_t type);
/* The container at offset: header, layout, state and geometry checked.
 * layout PMO_LAYOUT_SEQUENCE takes sequences; PMO_LAYOUT_SET or PMO_LAYOUT_DICT
 * takes both tables; the real one is told by pmo_container_layout. */
int pmo_container_at(pmo_pool *pool, uint64_t offset, int layout, pmo_container **container);
static inline uint32_t pmo_header_check(uint64_t offset, uint32_t type) {
    return (uint32_t)pmo_fold(offset, type);
}

/* ---- preflight.c ----------------------------------------------------------------- */

/* What libpmemobj would follow blindly when it opens the pool: PMO_OK, or PMO_ECORRUPT
 * with offset and text in failure. Files that cannot be read, that are in use or of a
 * format that is not known are PMO_OK: opening tells what is wrong with them. */
int pmo_preflight(const char *path, const char *parts, pmo_failure_info *failure);

/* ---- engine.c --------------------------------------------------------------------- */

/* Of a pool that is being made in an ordinary file: have libpmemobj not ask the kernel's list
 * of bad blocks at every opening; it is about persistent memory. A header of a form that is
 * not known is left alone. 0, or -1 with errno. */
int pmo_engine_trust_disk(PMEMobjpool *pop);
/* Close a pool that is being made, and leave it PMO_ENGINE_LANES lanes: each costs time and
 * memory at every opening. A descriptor of a form that is not known is left alone. Nothing is
 * written to the disk. */
void pmo_engine_close_new(PMEMobjpool *pop);
/* Before libpmemobj makes or opens a pool: have it use no more lanes than our pools have.
 * Fewer, if the environment says so. Caller: holds the lock of openings. */
void pmo_engine_limit_lanes(void);
/* How many lanes libpmemobj uses: more than the limit in a program with more rights than who
 * started it, where it does not look at the environment. */
uint64_t pmo_engine_lanes_used(void);
/* Does the pool, just opened and not used yet, have as many lanes as are used? If not, it must
 * be closed: a thread would use memory that is no lane. */
bool pmo_engine_has_lanes(PMEMobjpool *pop);
/* Before opening a pool: have huge pages for what libpmemobj is about to allocate, instead of
 * thousands of page faults. Changes nothing but time; at most 12 MiB of the heap are kept. */
void pmo_engine_prepare_memory(void);

/* ---- heap.c ---------------------------------------------------------------------- */

/* Does an allocation that exists now start at this offset? O(1), up to some microseconds.
 * True for any offset in bounds if the heap is of a format that is not known. */
bool pmo_is_allocation(pmo_pool *pool, uint64_t offset);
/* Was it an object of this transaction's making? libpmemobj marks these when it commits. */
bool pmo_is_created(pmo_pool *pool, uint64_t offset);
/* A walk over all allocations but libpmemobj's own; starts as {0}. */
typedef struct pmo_heap_walk {
    uint64_t zone;
    uint64_t chunk;
    uint64_t unit;
    uint64_t taken; /* by the allocation that was found, as pmo_taken_bytes tells */
} pmo_heap_walk;
/* *offset is the next allocation, 0 at the end. Offsets ascend, so the walk ends in any pool;
 * damage of what leads it gives PMO_ECORRUPT, and the next call goes on behind it. */
int pmo_heap_next(pmo_pool *pool, pmo_heap_walk *at, uint64_t *offset);
/* Does libpmemobj's division of its heap make sense? libpmemobj trusts it. */
int pmo_heap_check(pmo_pool *pool);
/* The largest request that would find room, as far as a look at some thousand runs tells. What
 * the open transaction has asked for counts as free. */
uint64_t pmo_heap_largest(pmo_pool *pool);
/* Offset of libpmemobj's heap: what lies before it is libpmemobj's own. */
uint64_t pmo_heap_start(const pmo_pool *pool);

/* ---- durability.c ---------------------------------------------------------------- */

/* The pool on whose behalf this thread calls libpmemobj; NULL: none, sync for real. */
void pmo_activate(pmo_pool *pool);
/* While this thread makes a pool that nobody can find yet, or opens one whose policy needs no
 * disk writes: sync nothing. The dirty mark, which is synced, is what tells about a power cut.
 */
void pmo_quiet(bool on);
/* While this thread opens a pool or closes one: keep there the errno of a sync that the disk
 * refuses. libpmemobj ends the process when it is told. NULL: no more. */
void pmo_keep_refusal(int *error);
/* From here to pmo_words_done libpmemobj's redo log is durable before any of these words is
 * changed, and is dropped only after all are: in between they may become durable in any
 * order, so together, in one write for each page. */
void pmo_await_words(pmo_pool *pool, const pmo_publication *change);
void pmo_words_done(pmo_pool *pool);
/* Make a range durable on the disk whatever the policy. 0, or -1 with errno. */
int pmo_sync_range(const void *address, uint64_t size);
/* Write everything the kernel still holds for this pool to the disk. PMO_EDISK. */
int pmo_sync(pmo_pool *pool);
/* The disk has refused something of this pool (pool->refused): nobody may use it any more, and
 * the next one to open it shall verify it. PMO_EDISK. Caller: has no transaction open. */
int pmo_fail_disk(pmo_pool *pool);
/* At the end of what waits for the disk. PMO_EDISK as pmo_fail_disk. */
static inline int pmo_disk_status(pmo_pool *pool) {
    return pool->refused == 0 ? PMO_OK : pmo_fail_disk(pool);
}
/* How often libpmemobj has called our pmem_msync: it grows iff the hook is reached. */
uint64_t pmo_hook_calls(void);
/* Is the mapping real persistent memory, in libpmem's opinion? */
bool pmo_is_pmem(const void *address, uint64_t size);

/* ---- transaction.c -------------------------------------------------------------- */

typedef struct pmo_op {
    bool own;        /* this operation began the transaction */
    uint64_t writes; /* pool->writes at its start */
    uint64_t dead;   /* how many there were */
    uint64_t graves;
} pmo_op;

/* Join the open transaction or begin one. Checks pmo_usable and doom. After
 * PMO_OK every path must reach pmo_op_end, whose value is the public result. */
int pmo_op_begin(pmo_pool *pool, pmo_op *op);
/* Bury what died, then commit (own) on PMO_OK; on failure abort (own), or doom
 * the joined transaction if the operation wrote anything. */
int pmo_op_end(pmo_pool *pool, const pmo_op *op, int status);
/* True in a joined transaction: a live slot that is vacated must be snapshotted,
 * because a later operation of the same transaction may write it as fresh. */
static inline bool pmo_op_joined(const pmo_op *op) {
    return !op->own;
}
static inline void pmo_publication_add(pmo_publication *change, uint64_t *place,
                                       uint64_t value) {
    change->place[change->count] = place;
    change->value[change->count++] = value;
}
/* May this operation be a publication instead of a transaction? Only outside of any. */
bool pmo_may_publish(const pmo_pool *pool);
/* Is the operation still to be done, in a transaction? *status is that of the attempt to
 * publish it, PMO_EMISSING if it cannot be; a brief call has no time to begin one. */
static inline bool pmo_needs_transaction(const pmo_pool *pool, bool brief, int *status) {
    if (*status == PMO_EMISSING && brief && !pool->tx_open) {
        *status = PMO_EBUSY;
    }
    return *status == PMO_EMISSING;
}
/* Through libpmemobj's redo log, at half the cost of a transaction. What the words lead to
 * must have been flushed (pmo_fresh) before, with the pool active (pmo_activate). */
int pmo_publish(pmo_pool *pool, const pmo_publication *change);
/* Snapshot, so that the caller may change these bytes. Failure dooms a joined transaction. */
int pmo_undo(pmo_pool *pool, void *address, uint64_t size);
/* Snapshots for offset are not needed any more before the open transaction's end. */
void pmo_mark_safe(pmo_pool *pool, uint64_t offset);
static inline bool pmo_is_safe(pmo_pool *pool, uint64_t offset) {
    return pool->tx_open && offset != 0 && pmo_map_find(&pool->safe, offset) != NULL;
}
/* These bytes were no part of the state before the transaction: flush only.
 * Called after they are written. */
void pmo_fresh(pmo_pool *pool, const void *address, uint64_t size);
/* The failure of libpmemobj with this errno; a full pool, with its sizes. */
int pmo_fail_system(pmo_pool *pool, int error);
int pmo_fail_full(pmo_pool *pool, uint64_t requested);
/* Is this the allocation or snapshot that pmo_inject_failure wants to fail? */
bool pmo_injected(pmo_pool *pool);

/* ---- reserve.c ------------------------------------------------------------------ */

/* A block that transactions in a nearly full pool get for their undo log, which they could
 * not enlarge: deleting must always be possible. Called once, when the pool is made;
 * pool_size 0: it will grow. */
int pmo_reserve_make(pmo_pool *pool, uint64_t pool_size);
/* At every opening: check the block, and when the pool counts as nearly full. */
void pmo_reserve_find(pmo_pool *pool);
/* The block's offset; 0: there is none. */
uint64_t pmo_reserve_offset(const pmo_pool *pool);
/* Lend it to the transaction that has just begun. */
void pmo_reserve_lend(pmo_pool *pool);
/* libpmemobj had no room: the pool counts as full until much is freed. */
void pmo_reserve_note_full(pmo_pool *pool);
static inline bool pmo_nearly_full(const pmo_pool *pool) {
    return pool->used > pool->ample;
}

/* ---- allocation.c --------------------------------------------------------------- */

/* At every opening: libpmemobj keeps no classes in the pool. 0, or -1 with errno. */
int pmo_register_classes(PMEMobjpool *pop);
/* Bytes that may be used of the allocation at offset; and what it takes from the pool, as
 * pool->used counts. */
static inline uint64_t pmo_usable_bytes(const pmo_pool *pool, uint64_t offset) {
    return pmemobj_alloc_usable_size((PMEMoid){pool->uuid_lo, offset});
}
static inline uint64_t pmo_taken_bytes(const pmo_pool *pool, uint64_t offset) {
    return pmo_usable_bytes(pool, offset) + PMO_ALLOCATION_HEADER;
}
/* The largest request that so many free units of this size, in a row, can serve; 0: the size
 * is of no class that serves large ones. */
uint64_t pmo_class_piece(uint64_t unit, uint64_t free);
/* New memory of this transaction: needs no undo, flushed at commit. */
int pmo_allocate(pmo_pool *pool, uint64_t size, uint64_t type_num, bool zero, uint64_t *offset);
/* Given back at commit; not reused before. */
int pmo_deallocate(pmo_pool *pool, uint64_t offset);
/* Up to pmo_together_end, which passes the status through, pmo_allocate takes less time: what
 * it makes is not flushed at commit but by pmo_together_end, and nothing may be freed
 * meanwhile. A later change of an object needs a snapshot, unless pmo_cover was called; bodies
 * are covered. */
void pmo_together_start(pmo_pool *pool);
int pmo_together_end(pmo_pool *pool, int status);
/* Have libpmemobj know that this transaction made the allocation: needs no undo, flushed at
 * commit. */
int pmo_cover(pmo_pool *pool, uint64_t offset);
/* The same as allocate and deallocate, but at once, whether a transaction is open or not: it
 * has no part in it. The constructor (NULL: none) initialises and persists what then appears as
 * a whole. */
int pmo_allocate_now(pmo_pool *pool, uint64_t size, uint64_t type_num,
                     pmemobj_constr constructor, void *argument, uint64_t *offset);
void pmo_deallocate_now(pmo_pool *pool, uint64_t offset);

/* ---- store.c ------------------------------------------------------------------------ */

/* From so many bytes on, new ones go into the file by a system call. */
#define PMO_DIRECT_MIN (256u * 1024)

/* Write all of it to a file; false: not all of it was. */
bool pmo_write_at(int file, const char *data, uint64_t size, off_t position);
/* Copy bytes to a place that is no part of any state yet. The caller makes them durable. */
void pmo_store_new(pmo_pool *pool, uint64_t place, const void *data, uint64_t size);
/* Map the pages of a large new block with one call, which is several times cheaper than a
 * page fault for each. Failure means only that the faults happen. */
void pmo_populate(pmo_pool *pool, uint64_t offset, uint64_t size);

/* New bytes that are written one piece after the other: a large block's through the file. */
typedef struct pmo_writer {
    pmo_pool *pool;
    uint64_t place; /* of what comes next; in a file, of the buffer's first byte */
    char *buffer;
    uint64_t filled;
    int file; /* -1: through the mapping */
    off_t position;
} pmo_writer;

/* The block [place, place + size), no part of any state. Every path must reach
 * pmo_writer_end. */
pmo_writer pmo_writer_start(pmo_pool *pool, uint64_t place, uint64_t size);
/* Where the next bytes are to be made, size of them at most; some KiB. */
void *pmo_writer_room(pmo_writer *writer, uint64_t size);
/* So many were. */
void pmo_writer_wrote(pmo_writer *writer, uint64_t size);
void pmo_writer_end(pmo_writer *writer);

/* ---- object.c --------------------------------------------------------------------- */

/* A new empty container of this layout's type, with a body of this geometry (capacity,
 * index_slots, heap_capacity), as pmo_body_reserve makes it: in one allocation if it is small.
 */
int pmo_object_with_body(pmo_pool *pool, uint32_t type, pmo_geometry *geometry,
                         uint64_t *offset);

/* Needs a transaction. */
int pmo_reference_add(pmo_pool *pool, uint64_t offset);
int pmo_blob_write(pmo_pool *pool, uint32_t tag, const char *data, uint64_t length,
                   uint64_t *offset);
/* The blob's payload, checked. */
int pmo_blob_read(pmo_pool *pool, uint64_t offset, pmo_value *value);

/* ---- journal.c ---------------------------------------------------------------------- */

/* Save a range of a raw's bytes that is about to change. Needs a transaction. */
int pmo_journal_save(pmo_pool *pool, uint64_t target, uint64_t size);
/* Before the commit: make the changed ranges durable. */
void pmo_journal_flush(pmo_pool *pool);
/* After the commit; after the abort, which brings the saved bytes back. */
void pmo_journal_drop(pmo_pool *pool);
void pmo_journal_revert(pmo_pool *pool);
/* At opening: undo what a transaction did that never ended. */
int pmo_journal_recover(pmo_pool *pool);

/* ---- raw.c ---------------------------------------------------------------------------- */

static inline uint64_t pmo_page_up(uint64_t size) {
    return (size + PMO_RAW_PAGE - 1) & ~(uint64_t)(PMO_RAW_PAGE - 1);
}
/* The raw at offset, its header checked. */
int pmo_raw_at(pmo_pool *pool, uint64_t offset, pmo_raw **raw);
/* Bytes of its allocation that it needs, extents apart. */
uint64_t pmo_raw_size(uint64_t offset, const pmo_raw *raw);
/* Where the bytes of a raw in one piece start. */
uint64_t pmo_raw_start(uint64_t offset);
/* How many extents it has, and the offset of one. */
uint64_t pmo_raw_extents(const pmo_raw *raw);
uint64_t pmo_raw_extent(const pmo_raw *raw, uint64_t number);
/* The place in the pool of the byte at position; *size is cut to what lies there in one
 * piece. Caller: has called pmo_raw_at. */
int pmo_raw_piece(pmo_pool *pool, uint64_t offset, uint64_t position, uint64_t *size,
                  uint64_t *place);

/* ---- maps.c ----------------------------------------------------------------------------- */

/* One mapping of this process, or the part of it that was asked for. */
typedef struct pmo_mapping {
    uintptr_t start;
    uintptr_t end;
    off_t position; /* in the file */
    dev_t device;
    ino_t inode;
    bool shared;
    const char *path;
} pmo_mapping;

/* 0: go on; anything else ends the walk. */
typedef int (*pmo_maps_visit)(const pmo_mapping *at, void *context);
/* Visit the mapped files between two addresses. 0, -1 with errno, or what visit gave. */
int pmo_maps_walk(uintptr_t start, uintptr_t end, pmo_maps_visit visit, void *context);
/* Open the mapped file anew: without the lock, which belongs to the first opening. -1: another
 * file, or none, has its name now. */
int pmo_maps_reopen(const pmo_mapping *at, int flags);
/* Put a private copy of the same pages in the mapping's place. */
bool pmo_maps_privatise(const pmo_mapping *at);

/* ---- window.c --------------------------------------------------------------------------- */

/* Exchange every window that has views for a private copy. */
void pmo_windows_privatise(pmo_pool *pool);
/* The same, and give up the others. */
void pmo_windows_close(pmo_pool *pool);

/* ---- burial.c ---------------------------------------------------------------------- */

/* Take one from a count. Losing the last reference queues the object on pool->dead (or
 * foreign_dead), unless it is pinned. All of this needs a transaction. */
int pmo_reference_drop(pmo_pool *pool, uint64_t offset);
/* Queue an object that no handle pins any more, if nothing refers to it either. */
int pmo_release_orphan(pmo_pool *pool, uint64_t offset);
/* Queue a container's body, which its container will not name any more; references that
 * elements start..stop-1 hold will be dropped. */
int pmo_discard_body(pmo_pool *pool, const pmo_container *container, uint64_t start,
                     uint64_t stop);
/* Queue the references of cells that a sequence has had; copies those that count. */
int pmo_discard_cells(pmo_pool *pool, const pmo_cell *cells, uint64_t count);
/* Free what is queued, and all that dies with it, as far as the transaction is allowed. */
int pmo_bury(pmo_pool *pool);
static inline bool pmo_burials_left(const pmo_pool *pool) {
    return pool->dead.count + pool->graves.count > 0;
}
/* The allowance of a new transaction. ready_log_only: the pool is nearly full. */
void pmo_allow_burials(pmo_pool *pool, bool ready_log_only);
/* Of what is queued, only the first ones are to be freed: the others are rolled back. */
void pmo_cut_burials(pmo_pool *pool, uint64_t dead, uint64_t graves);
/* Nothing of what is queued is to be freed: rolled back, or left to the collector. */
void pmo_forget_burials(pmo_pool *pool);

/* ---- cell.c ------------------------------------------------------------------------ */

/* Folds a payload's bytes to one word. */
uint64_t pmo_payload_sum(const char *data, uint64_t length);
/* The check of a cell of these two words. */
static inline uint16_t pmo_words_check(uint64_t low, uint64_t high, uint64_t payload_sum) {
    return (uint16_t)(pmo_fold((low & ~0xffff0000ull) ^ payload_sum, high) >> 24);
}
/* Does a cell whose payload is not in the heap match its check? */
static inline bool pmo_cell_intact(const pmo_cell *cell) {
    uint64_t words[2];
    memcpy(words, cell, sizeof words);
    return cell->check == pmo_words_check(words[0], words[1], 0);
}
/* Heap bytes that writing this value takes: 0 unless it is a mid-sized payload. */
uint64_t pmo_cell_heap_need(uint32_t tag, int64_t number);
/* Arguments in range? (payload length >= 0, known shape of tag). PMO_EINVAL. */
int pmo_value_valid(uint32_t tag, int64_t number, const char *data);
/* Does storing the value count no reference, that of a blob included? */
static inline bool pmo_value_countless(uint32_t tag, int64_t number) {
    return tag < PMO_REF || (tag >= PMO_STR && number <= (int64_t)PMO_HEAP_PAYLOAD_MAX);
}
/* The cell of a value that it holds itself. False: the value needs a heap or a blob. */
bool pmo_cell_compose(uint32_t tag, int64_t number, const char *data, pmo_cell *cell);
/* Make the cell for a value: copies a payload to the heap (bumping heap->used,
 * which must have room; flushed here) or to a blob, counts a reference. */
int pmo_cell_make(pmo_pool *pool, pmo_heap *heap, uint32_t tag, int64_t number,
                  const char *data, pmo_cell *cell);
/* The cells of many values of one tag below PMO_REF. */
void pmo_cells_fill(uint32_t tag, const int64_t *numbers, uint64_t count, pmo_cell *cells);
/* Read leading cells that hold numbers of one kind, ints or floats: how many of them do and
 * match their check. */
uint64_t pmo_cells_numbers(const pmo_cell *cells, uint64_t count, int64_t *numbers);
/* The value in a cell, its check verified. A KEYED cell gives its inner value. */
int pmo_cell_read(pmo_pool *pool, const pmo_heap *heap, const pmo_cell *cell, pmo_value *value);
/* The cell is about to be overwritten or freed: drop its reference or blob, count
 * its heap bytes as garbage in heap (may be NULL: the whole heap goes). */
int pmo_cell_drop(pmo_pool *pool, pmo_heap *heap, const pmo_cell *cell);
/* Offset of the object that the cell counts a reference to, blobs included; 0: none. */
int pmo_cell_reference(pmo_pool *pool, const pmo_heap *heap, const pmo_cell *cell,
                       uint64_t *offset);
/* A hole of a table; first is what the layout says of entry 0's. */
void pmo_cell_make_hole(pmo_cell *cell, uint64_t first);
int pmo_cell_hole(pmo_pool *pool, const pmo_cell *cell, uint64_t *first);
/* Can the cell count a reference at all? False for most, at the cost of two bytes. */
static inline bool pmo_cell_may_refer(const pmo_cell *cell) {
    return cell->tag == PMO_REF || cell->tag == PMO_KEYED ||
           (cell->tag >= PMO_STR && cell->len == PMO_LEN_BLOB);
}
/* Heap bytes the cell names. */
uint64_t pmo_cell_heap_bytes(const pmo_cell *cell);
/* Copy a cell of one heap into another of the same container (compaction). */
int pmo_cell_move(pmo_pool *pool, const pmo_heap *from, const pmo_cell *cell, pmo_heap *to,
                  pmo_cell *moved);
/* The raw bytes of a KEYED cell's record, checked. */
int pmo_cell_keyed(pmo_pool *pool, const pmo_heap *heap, const pmo_cell *cell,
                   const pmo_keyed **record);
/* Make a KEYED cell; needs sizeof(pmo_keyed) + canon_length (+ payload) heap bytes,
 * pmo_keyed_heap_need tells. A record over PMO_HEAP_PAYLOAD_MAX still goes to the heap. */
uint64_t pmo_keyed_heap_need(uint32_t tag, int64_t number, uint64_t canon_length);
int pmo_cell_make_keyed(pmo_pool *pool, pmo_heap *heap, uint32_t tag, int64_t number,
                        const char *data, const char *canon, uint64_t canon_length,
                        pmo_cell *cell);

/* ---- container.c --------------------------------------------------------------------- */

int pmo_container_layout(const pmo_pool *pool, const pmo_container *container);
/* Cells of one element: a dict's has a key and a value. */
static inline uint64_t pmo_width(int layout) {
    return layout == PMO_LAYOUT_DICT ? 2 : 1;
}
/* Bytes of one element. */
static inline uint64_t pmo_stride(int layout) {
    return pmo_width(layout) * sizeof(pmo_cell);
}
static inline char *pmo_elements(const pmo_pool *pool, const pmo_container *container) {
    return container->geometry.body ? pool->base + container->geometry.body : NULL;
}
/* The elements of a sequence. */
static inline pmo_cell *pmo_cells(const pmo_pool *pool, const pmo_container *list) {
    return (pmo_cell *)(void *)pmo_elements(pool, list);
}
/* Offset of a body that is an allocation of its own; 0: none, or the object's allocation
 * holds it. */
uint64_t pmo_body_apart(const pmo_pool *pool, const pmo_container *container);
/* Bytes of a body of this shape. */
uint64_t pmo_body_bytes(const pmo_geometry *geometry, int layout);
uint32_t *pmo_index(const pmo_pool *pool, const pmo_container *container, int layout);
pmo_heap pmo_heap_of(const pmo_pool *pool, const pmo_container *container, int layout);
/* The empty heap of a body that pmo_body_new has just made. */
pmo_heap pmo_heap_new(const pmo_pool *pool, const pmo_geometry *geometry, int layout);
/* Snapshot bytes of the container's body, unless this transaction made it. */
int pmo_body_undo(pmo_pool *pool, const pmo_container *container, void *address, uint64_t size);
/* Snapshot the state, once; then change it with pmo_state_put. */
int pmo_state_undo(pmo_pool *pool, pmo_container *container);
void pmo_state_put(pmo_container *container, uint64_t length, uint64_t used,
                   const pmo_heap *heap);
static inline uint64_t pmo_state_garbage(const pmo_state *state) {
    return state->heap_garbage & ~PMO_STATE_REFERS;
}
uint64_t pmo_state_check(const pmo_state *state);
uint64_t pmo_geometry_check(const pmo_geometry *geometry);
/* The words of a state that are other than before, two to four and the check; or none. */
void pmo_publication_state(pmo_publication *change, pmo_container *container, uint64_t length,
                           uint64_t used, const pmo_heap *heap);
/* The two words of a cell. */
void pmo_publication_cell(pmo_publication *change, pmo_cell *place, const pmo_cell *cell);
/* Capacity to ask for when needed elements (or heap bytes) must fit: CPython-like
 * over-allocation; exactly needed when the container was empty (a bulk build). */
uint64_t pmo_grown(const pmo_pool *pool, uint64_t capacity, uint64_t needed);
/* What to add to needed, where that much would be added in a pool with room. */
uint64_t pmo_spare(const pmo_pool *pool, uint64_t most);
/* An operation that failed for want of room has changed nothing yet and was not as thrifty as
 * can be: do it again. The caller keeps pool->writes from before it in writes, and calls
 * this until it gives false; afterwards thrift is as before. */
bool pmo_more_thrift(pmo_pool *pool, int status, uint64_t writes);
/* Allocate a body and describe it in geometry (volatile, check included). Of its
 * bytes only the index is written: every slot is free. */
int pmo_body_new(pmo_pool *pool, int layout, uint64_t capacity, uint64_t index_slots,
                 uint64_t heap_capacity, pmo_geometry *geometry);
/* The same, but none of its bytes is written. */
int pmo_body_reserve(pmo_pool *pool, int layout, uint64_t capacity, uint64_t index_slots,
                     uint64_t heap_capacity, pmo_geometry *geometry);
/* Take the new geometry and state: snapshots both, frees the old body. */
int pmo_body_replace(pmo_pool *pool, pmo_container *container, const pmo_geometry *geometry,
                     uint64_t length, uint64_t used, const pmo_heap *heap);
/* The same, and the references that elements start..stop-1 of the old body hold are dropped. */
int pmo_body_exchange(pmo_pool *pool, pmo_container *container, const pmo_geometry *geometry,
                      uint64_t length, uint64_t used, const pmo_heap *heap, uint64_t start,
                      uint64_t stop);
/* Drop every reference, free the body, become empty. O(1) snapshots, whatever the size. */
int pmo_container_clear(pmo_pool *pool, pmo_container *container);
/* Should the heap be compacted when it next has to grow, or now? More than half garbage. */
static inline bool pmo_heap_wasteful(const pmo_heap *heap) {
    return heap->garbage > 1024 && heap->garbage > heap->used / 2;
}

static inline bool pmo_is_container(int layout) {
    return layout >= PMO_LAYOUT_SEQUENCE && layout <= PMO_LAYOUT_DICT;
}

/* ---- one per kind: used by object.c and collector.c -------------------------------------- */

/* All invariants of a container of this layout beyond pmo_container_at. */
int pmo_sequence_verify(pmo_pool *pool, pmo_container *container);
int pmo_table_verify(pmo_pool *pool, pmo_container *container);
int pmo_raw_verify(pmo_pool *pool, uint64_t offset);

#endif
