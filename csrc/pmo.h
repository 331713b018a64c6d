/*
 * The C core's whole interface: declarations only, read by the compiler and by
 * cffi. The core knows libpmemobj and never Python.
 *
 * Rules for every function that takes a pool:
 * - Caller holds the pool's lock, unless the function is marked "without the lock"
 *   (turn.c); one thread is inside at a time.
 * - Returns PMO_OK, PMO_FOREIGN_DEAD or a negative pmo_status unless stated.
 *   A closed or forked pool gives PMO_ECLOSED/PMO_EFORKED and nothing else happens.
 * - A mutator is one transaction, or joins the one open on this pool. On failure
 *   its own transaction is aborted; in a joined one nothing was changed, or the
 *   transaction can no longer commit (PMO_EDOOMED from then on).
 * - Offsets that come from the pool or from the caller are checked before they
 *   are followed: PMO_ECORRUPT, never a wild read.
 *
 * A value crosses as (tag, number, data):
 *   PMO_NONE/FALSE/TRUE   tag alone
 *   PMO_INT               number
 *   PMO_FLOAT             number holds the double's bits
 *   PMO_REF               number is the offset of an object
 *   payload tags          number is the payload's length in bytes, data its start
 * Payload encodings belong to the caller (codecs.py); the core copies bytes.
 *
 * A key crosses as a value plus (canon, canon_length): bytes that are equal for
 * equal keys. canon is NULL for None, bool, int64, str, bytes, references, and
 * floats that are no integer or fit int64: the core derives theirs.
 */

typedef enum pmo_status {
    PMO_OK = 0,
    PMO_FOREIGN_DEAD = 1, /* done, but objects of custom classes died: the
                             transaction is left open, the caller drains
                             pmo_next_dead() and commits */
    PMO_GROWN = 2,     /* done, in an open transaction; the table has a new body with room for
                          dozens now, see pmo_table_room. Only pmo_table_set_named, _int
                          and _str give it */
    PMO_EFULL = -1,    /* no room in the pool; pmo_failure() has the sizes */
    PMO_ECORRUPT = -2, /* the pool's bytes make no sense; pmo_failure() says where */
    PMO_ECLOSED = -3,
    PMO_EFORKED = -4,    /* opened by a parent process */
    PMO_EPOISONED = -5,  /* offset 1: a handle made in an aborted transaction */
    PMO_ENOTX = -6,      /* needs an open transaction */
    PMO_EOTHERPOOL = -7, /* this thread has a transaction open on another pool */
    PMO_EDOOMED = -8,    /* an earlier failure: this transaction cannot commit */
    PMO_EINDEX = -9,
    PMO_EMISSING = -10, /* no such key */
    PMO_EINVAL = -11,   /* an argument is out of its range */
    PMO_ESYSTEM = -12,  /* pmo_failure() has errno and libpmemobj's message */
    PMO_ENOMEM = -13,   /* malloc failed */
    PMO_ETYPE = -14,    /* the object has another layout */
    PMO_EINTX = -15,    /* not possible while a transaction is open */
    PMO_ETOOBIG = -16,  /* larger than any one allocation may be */
    PMO_EVERSION = -17, /* a layout version this build does not know */
    PMO_EBUSY = -18,    /* another thread has, or had, the pool: nothing was done; take the
                           lock, pmo_claim, try again */
    PMO_EDISK = -19     /* the disk did not take what was committed; from then on every call
                           gives this. pmo_failure() has errno */
} pmo_status;

typedef enum pmo_tag {
    PMO_EMPTY = 0,
    PMO_NONE = 1,
    PMO_FALSE = 2,
    PMO_TRUE = 3,
    PMO_INT = 4,
    PMO_FLOAT = 5,
    PMO_REF = 6,
    PMO_KEYED = 7, /* on media only */
    PMO_STR = 16,  /* first payload tag */
    PMO_BYTES = 17
} pmo_tag;

/* How an object's bytes are laid out; a type code maps to one of these. */
typedef enum pmo_layout {
    PMO_LAYOUT_FOREIGN = 0, /* a custom class: header, then its own bytes */
    PMO_LAYOUT_BLOB = 1,
    PMO_LAYOUT_SEQUENCE = 2, /* list, tuple */
    PMO_LAYOUT_SET = 3,
    PMO_LAYOUT_DICT = 4, /* dict, object attributes */
    PMO_LAYOUT_RAW = 5   /* bytes without structure */
} pmo_layout;

/* Built-in type codes; those from PMO_FIRST_USER_TYPE on are in the type table. */
typedef enum pmo_type {
    PMO_TYPE_BLOB = 1,
    PMO_TYPE_TUPLE = 2,     /* plain tuple */
    PMO_TYPE_FROZENSET = 3, /* plain frozenset */
    PMO_TYPE_LIST = 4,
    PMO_TYPE_DICT = 5,
    PMO_TYPE_SET = 6,
    PMO_TYPE_PTUPLE = 7,   /* PersistentTuple */
    PMO_TYPE_RAW = 8,      /* the bytes of an array, or of a part of a pickled value */
    PMO_TYPE_ARRAY = 9,    /* sequence: description, raw */
    PMO_TYPE_PICKLED = 10, /* sequence: pickle, the raws of its out-of-band buffers */
    PMO_FIRST_USER_TYPE = 64
} pmo_type;

/* libpmemobj's type numbers of memory that starts with an object header, and of
 * containers' bodies; layout.h has them too, and the compiler sees to it that they
 * are the same. */
#define PMO_NUM_OBJECT 20u
#define PMO_NUM_BODY 21u

/* Durability of a mapping that is not real persistent memory. SCRATCH: mapped copy-on-write,
 * nothing reaches the files, whatever they lie on. */
typedef enum pmo_policy {
    PMO_POLICY_PROCESS = 1,
    PMO_POLICY_POWER = 2,
    PMO_POLICY_SCRATCH = 3
} pmo_policy;

typedef struct pmo_pool pmo_pool;

typedef struct pmo_value {
    int64_t number;
    const char *data; /* into the pool: valid until the next mutation */
    uint32_t tag;
    uint32_t type; /* of a reference: the object's type code */
} pmo_value;

/* A run of values. Payloads lie in data, one after the other. */
typedef struct pmo_batch {
    uint64_t count;
    const uint8_t *tags;    /* count tags, or NULL: all are tag */
    const int64_t *numbers; /* count numbers */
    const char *data;
    uint64_t data_length;
    uint32_t tag;
    void *owned[3]; /* what a read allocated for it, see pmo_batch_release */
} pmo_batch;

/* A run of keys. canon_lengths is NULL when the core can derive every canon;
 * otherwise count entries, where -1 means "derive it". */
typedef struct pmo_keys {
    pmo_batch values;
    const int64_t *canon_lengths;
    const char *canon;
} pmo_keys;

typedef struct pmo_failure_info {
    uint64_t requested; /* bytes asked for */
    uint64_t free;      /* bytes free then */
    uint64_t largest;   /* bytes that a request could have asked for instead */
    uint64_t disk_free; /* of an elastic pool: bytes free on its disk */
    uint32_t elastic;
    uint64_t offset; /* where damage was found */
    int32_t error;   /* errno */
    char text[256];
} pmo_failure_info;

typedef struct pmo_pool_info {
    uint64_t uuid_lo;
    uint64_t size;          /* bytes of the pool's files now */
    uint64_t used;          /* bytes allocated, overhead included */
    uint64_t created_by;    /* uid */
    uint32_t was_dirty;     /* the last session did not close it */
    uint32_t was_in_flight; /* it died inside a transaction */
    uint32_t last_policy;
    uint32_t policy;  /* PMO_POLICY_* in force now */
    uint32_t is_pmem; /* real persistent memory: libpmemobj flushes caches */
    uint32_t hooked;  /* our pmem_msync is the one libpmemobj calls */
    char last_boot_id[40];
} pmo_pool_info;

typedef struct pmo_object_info {
    uint64_t refcount;
    uint32_t type;
    uint32_t layout;
    uint64_t length; /* elements; a blob's bytes */
    uint64_t bytes;  /* allocated for the object and its body */
    uint64_t capacity;
    uint64_t used; /* positions written, holes included */
} pmo_object_info;

typedef struct pmo_gc_report {
    uint64_t objects; /* reached, bodies and substructures not counted */
    uint64_t freed;   /* allocations freed */
    uint64_t freed_bytes;
    uint64_t corrected; /* reference counts that were put right */
} pmo_gc_report;

typedef struct pmo_counters {
    uint64_t transactions;
    uint64_t publications; /* changes of a few words, made without a transaction */
    uint64_t undo_records;
    uint64_t undo_bytes;
    uint64_t fresh_bytes;
    uint64_t allocations;
    uint64_t frees;
    uint64_t persist_points; /* ranges made durable */
    uint64_t syncs;          /* of these, how often the disk was waited for */
} pmo_counters;

/* ---- pool.c: files and sessions ------------------------------------------ */

/* Create the pool file (or the pool that a pool-set file describes, size 0) at
 * path, initialise the root block, and close it again. Nothing is left at path
 * on failure of a plain file. The disk is not waited for: the caller syncs the files
 * before anybody can find them. errno and text in failure. */
int pmo_create(const char *path, uint64_t size, uint32_t mode, pmo_failure_info *failure);

/* Open the pool at path: libpmemobj locks it and recovers. A pool that was closed
 * cleanly is marked dirty, on the disk, before returning, with this session's boot
 * and policy; one that is dirty is left as it is until pmo_accept. parts: directory
 * of an elastic pool's part files, or "". On success *pool is to be released by
 * pmo_close, then pmo_release. With PMO_POLICY_SCRATCH the files are locked and read
 * as they are, but never written; an elastic pool makes further parts in the
 * directory all the same. */
int pmo_open(const char *path, const char *parts, uint32_t policy, const char *boot_id,
             pmo_pool **pool, pmo_failure_info *failure);

/* What was opened dirty is sound: from now on this session's boot and policy are the
 * pool's. A session that dies before leaves those of the session before it. */
int pmo_accept(pmo_pool *pool, const char *boot_id);

/* Abort an open transaction, make everything durable on the disk, mark the pool
 * clean, close it. Afterwards every call on it gives PMO_ECLOSED. Idempotent. PMO_EDISK:
 * closed, but not marked as clean: the next one to open it verifies it, whatever the boot. */
int pmo_close(pmo_pool *pool);

/* Close without a change: the pool stays marked as unclean. */
int pmo_abandon(pmo_pool *pool);

/* In a forked child: exchange its share of the mapping for a private copy, so that
 * the child neither holds the parent's lock on the files nor can write to them. */
void pmo_leave_to_parent(pmo_pool *pool);

/* Free the volatile part. The pool pointer is dead afterwards. */
void pmo_release(pmo_pool *pool);

int pmo_info(pmo_pool *pool, pmo_pool_info *info);
void pmo_failure(pmo_pool *pool, pmo_failure_info *failure);
void pmo_count(pmo_pool *pool, pmo_counters *counters);
/* Grows with every change, those inside of an open transaction apart. */
uint64_t pmo_changes(pmo_pool *pool);

/* ---- root.c: the root and the type table ---------------------------------- */

int pmo_root_get(pmo_pool *pool, pmo_value *value);
int pmo_root_set(pmo_pool *pool, uint32_t tag, int64_t number, const char *data);

/* Type codes. define appends "layout module:qualname" and gives its code. */
int pmo_type_define(pmo_pool *pool, uint32_t layout, const char *name, uint64_t length,
                    uint32_t *code);
int64_t pmo_type_count(pmo_pool *pool);
int pmo_type_get(pmo_pool *pool, uint32_t code, uint32_t *layout, pmo_value *name);

/* ---- exchange.c ---------------------------------------------------------- */

/* Exchange what two paths of one file system name, in one step. errno in failure. */
int pmo_exchange(const char *one, const char *other, pmo_failure_info *failure);

/* ---- turn.c: one change without the lock ------------------------------------ */

/* Every call made with the lock claims the pool for its thread, and waits until no other
 * thread is inside. A function marked "without the lock" works only in the thread that
 * claimed the pool last, and gives PMO_EBUSY elsewhere. So the thread that uses a pool alone
 * needs no lock for one change, and whoever holds the lock and has made a call since is
 * undisturbed. This one does nothing else.
 *
 * Functions whose names end in _int or _str are brief besides: they are called without giving
 * up the interpreter's lock (binding.py), and give PMO_EBUSY also where they would have to
 * wait for the disk, or to make a new body. Each has a sibling that does that. */
int pmo_claim(pmo_pool *pool);

/* ---- durability.c: the one seam ------------------------------------------- */

/* A test's eye on every persist point of every pool of this process: called
 * before the range [address, address + size) is made durable. NULL: none. */
typedef void (*pmo_persist_observer)(const void *address, uint64_t size);
void pmo_observe_persists(pmo_persist_observer observer);

/* ---- transaction.c --------------------------------------------------------- */

int pmo_tx_begin(pmo_pool *pool);  /* PMO_EINTX when one is open */
int pmo_tx_commit(pmo_pool *pool); /* PMO_EDOOMED: it was aborted instead */
int pmo_tx_abort(pmo_pool *pool);
int pmo_tx_is_open(pmo_pool *pool); /* 0 or 1 */
void pmo_tx_doom(pmo_pool *pool);
/* Offsets of the objects allocated since begin; none after a commit; after an abort,
 * those of the aborted transaction, until the next begin. */
const uint64_t *pmo_tx_created(pmo_pool *pool, uint64_t *count);
/* Fail the nth allocation or snapshot from now on as if the pool were full; 0: never. */
void pmo_inject_failure(pmo_pool *pool, uint64_t nth);

/* ---- batch.c ---------------------------------------------------------------- */

/* Free what a read allocated for this batch; its pointers are dead then. Idempotent. */
void pmo_batch_release(pmo_batch *batch);

/* ---- gather.c: help for whoever makes batches --------------------------------- */

/* numbers[i] = the integer in record i of letter + width bytes (4, sign-extended, or
 * 8), little-endian. PMO_EINVAL when a record starts with another letter. */
int pmo_gather(const char *records, uint64_t count, int letter, uint32_t width,
               int64_t *numbers);

/* ---- memory.c: what MemoryManager offers to custom classes ----------------- */

int pmo_alloc(pmo_pool *pool, uint64_t size, uint64_t type_num, int zero, uint64_t *offset);
int pmo_realloc(pmo_pool *pool, uint64_t offset, uint64_t size, int zero, uint64_t *moved);
int pmo_free(pmo_pool *pool, uint64_t offset);
int pmo_snapshot(pmo_pool *pool, uint64_t offset, uint64_t size);
int64_t pmo_type_num(pmo_pool *pool, uint64_t offset);
int64_t pmo_usable_size(pmo_pool *pool, uint64_t offset);
void *pmo_direct(pmo_pool *pool, uint64_t offset); /* NULL: no allocation starts there */
void *pmo_base(pmo_pool *pool);                    /* where offset 0 is mapped */

/* ---- object.c: headers, reference counts, blobs ---------------------------- */

int pmo_object_new(pmo_pool *pool, uint32_t type, uint64_t *offset);
/* Write the header of a custom object that pmo_alloc made. Needs a transaction. */
int pmo_object_stamp(pmo_pool *pool, uint64_t offset, uint32_t type);
int pmo_object_info_get(pmo_pool *pool, uint64_t offset, pmo_object_info *info);
int pmo_incref(pmo_pool *pool, uint64_t offset);
/* At zero, an object that no handle pins is freed with all it alone holds. */
int pmo_decref(pmo_pool *pool, uint64_t offset);
/* A pinned object outlives its last reference, until it is unpinned. */
int pmo_pin(pmo_pool *pool, uint64_t offset);
int pmo_unpin(pmo_pool *pool, uint64_t offset);
/* Unpin offsets[*done] and those behind it (0: nothing), counting in *done. Stops early with
 * PMO_FOREIGN_DEAD, to be called again, and with PMO_EOTHERPOOL. An orphan that cannot be freed
 * now is left to a collection. */
int pmo_unpin_many(pmo_pool *pool, const uint64_t *offsets, uint64_t count, uint64_t *done);
/* find_many.c: the type code of each of these objects; lists, dicts and sets are pinned, all or
 * none. contents: a stream, as those of graph_write.c, of a list with a dict for each object:
 * elements by index or key, as far as a small list or dict has some that a read cache keeps.
 * inner, unless NULL: lists, dicts and sets that those refer to. numbers: for each the position
 * of the object that does, and its own offset; data: a stream, a list of indices or keys. */
int pmo_find_many(pmo_pool *pool, const uint64_t *offsets, uint64_t count, uint32_t *types,
                  pmo_batch *contents, pmo_batch *inner);
/* The next custom object that died in this transaction, 0 when there is none. */
uint64_t pmo_next_dead(pmo_pool *pool);
int pmo_blob_new(pmo_pool *pool, uint32_t tag, int64_t number, const char *data,
                 uint64_t *offset);
int pmo_blob_get(pmo_pool *pool, uint64_t offset, pmo_value *value);

/* ---- raw.c: bytes without structure, of any size -------------------------------- */

/* A raw of length bytes, their content undefined. No part of an open transaction: it is there
 * at once and stays after an abort, with no references, pinned once. O(1). */
int pmo_raw_new(pmo_pool *pool, uint64_t length, uint64_t *offset);
/* Store bytes that are no part of any state yet: nothing of them is undone. Durable on return.
 */
int pmo_raw_fill(pmo_pool *pool, uint64_t offset, uint64_t position, const void *data,
                 uint64_t size);
/* As fill, with zeros. */
int pmo_raw_zero(pmo_pool *pool, uint64_t offset, uint64_t position, uint64_t size);
/* The bytes are final: they get a check, and pmo_raw_change refuses them. O(length). */
int pmo_raw_seal(pmo_pool *pool, uint64_t offset);
int pmo_raw_info_get(pmo_pool *pool, uint64_t offset, uint64_t *length, int *sealed);
/* count ranges (position, size) are about to be written through a view: saved, so that an
 * abort or a crash brings them back. Needs an open transaction. */
int pmo_raw_change(pmo_pool *pool, uint64_t offset, const uint64_t *ranges, uint64_t count);
/* Wait until the disk has these bytes, whatever the policy. */
int pmo_raw_flush(pmo_pool *pool, uint64_t offset, uint64_t position, uint64_t size);
/* A test's lower limits: raws above largest bytes are made of extents of extent bytes, a
 * multiple of the page size. 0, 0: the real ones. */
void pmo_raw_limits(uint64_t largest, uint64_t extent);

/* ---- window.c: the pool's bytes at addresses that outlive it ---------------------- */

/* Some of the pool's pages, mapped once more. Views of raws lie in windows: when the pool is
 * closed, a window with views becomes a private copy of the pages as they are then. */
typedef struct pmo_window pmo_window;

/* The address of a raw's bytes, all in one piece, valid until pmo_window_leave. */
int pmo_window_enter(pmo_pool *pool, uint64_t offset, char **address, pmo_window **window);
/* The same, on pages of its own that may be written to: nobody else sees it, nor does the
 * pool. For a raw that is sealed. PMO_ESYSTEM: its file is not found, or there are too many
 * mappings; to be copied. */
int pmo_window_private(pmo_pool *pool, uint64_t offset, char **address, pmo_window **window);
/* May be called by any thread, without the lock, and after the pool was closed. */
void pmo_window_leave(pmo_window *window);

/* ---- container.c ------------------------------------------------------------- */

int64_t pmo_length(pmo_pool *pool, uint64_t offset); /* of any container */

/* ---- sequence.c: list and tuple --------------------------------------------- */

/* index may be negative, as Python's. */
int pmo_sequence_get(pmo_pool *pool, uint64_t offset, int64_t index, pmo_value *value);
/* O(1). Without the lock. */
int pmo_sequence_set(pmo_pool *pool, uint64_t offset, int64_t index, uint32_t tag,
                     int64_t number, const char *data);
/* O(1) amortised. Without the lock. */
int pmo_sequence_append(pmo_pool *pool, uint64_t offset, uint32_t tag, int64_t number,
                        const char *data);
/* The same of an int64; brief. */
int pmo_sequence_set_int(pmo_pool *pool, uint64_t offset, int64_t index, int64_t number);
int pmo_sequence_append_int(pmo_pool *pool, uint64_t offset, int64_t number);
/* Replace cells start..stop-1 by the batch: extend, insert, delete and clear are
 * cases of it. 0 <= start <= stop <= length. O(moved + count). */
int pmo_sequence_splice(pmo_pool *pool, uint64_t offset, uint64_t start, uint64_t stop,
                        const pmo_batch *batch);
/* Assign batch to start, start+step, ... (count = batch->count). */
int pmo_sequence_set_stride(pmo_pool *pool, uint64_t offset, uint64_t start, int64_t step,
                            const pmo_batch *batch);
/* Delete start, start+step, ...: count cells, step > 0. */
int pmo_sequence_delete_stride(pmo_pool *pool, uint64_t offset, uint64_t start, uint64_t step,
                               uint64_t count);
/* New cell i is old cell order[i]; order is a permutation of 0..length-1. */
int pmo_sequence_permute(pmo_pool *pool, uint64_t offset, const uint64_t *order,
                         uint64_t count);
int pmo_sequence_reverse(pmo_pool *pool, uint64_t offset);
/* Up to limit values from start on, in memory that pmo_batch_release frees. May stop
 * early to bound the memory. */
int pmo_sequence_read(pmo_pool *pool, uint64_t offset, uint64_t start, uint64_t limit,
                      pmo_batch *batch);

/* ---- table.c: dict, set and attributes --------------------------------------- */

int pmo_table_find(pmo_pool *pool, uint64_t offset, uint32_t tag, int64_t number,
                   const char *data, const char *canon, uint64_t canon_length,
                   pmo_value *value);
/* Insert or replace; a replaced entry keeps its key and its place. The value is
 * ignored by a set. O(1) amortised. Without the lock. */
int pmo_table_set(pmo_pool *pool, uint64_t offset, uint32_t tag, int64_t number,
                  const char *data, const char *canon, uint64_t canon_length,
                  uint32_t value_tag, int64_t value_number, const char *value_data);
/* The same with a str as the key, in UTF-8; and with an int64 as the value, or a str that is
 * not long: brief. */
int pmo_table_set_named(pmo_pool *pool, uint64_t offset, const char *key, int64_t key_length,
                        uint32_t tag, int64_t number, const char *data);
int pmo_table_set_int(pmo_pool *pool, uint64_t offset, const char *key, int64_t key_length,
                      int64_t number);
int pmo_table_set_str(pmo_pool *pool, uint64_t offset, const char *key, int64_t key_length,
                      const char *data, int64_t length);
/* The same of a set's element whose canon the core derives. */
int pmo_set_add(pmo_pool *pool, uint64_t offset, uint32_t tag, int64_t number,
                const char *data);
/* So many pairs, with keys and values of so many heap bytes, can be set with pmo_table_update
 * in this transaction without a need for room: nothing will fail. Both are 0 unless the open
 * transaction has made the table's body, and no value in it counts references. The pairs'
 * values must be ints, floats, bools or None. O(entries): to be asked after PMO_GROWN. */
int pmo_table_room(pmo_pool *pool, uint64_t offset, uint64_t *pairs, uint64_t *heap);
/* O(1) amortised. Without the lock. */
int pmo_table_delete(pmo_pool *pool, uint64_t offset, uint32_t tag, int64_t number,
                     const char *data, const char *canon, uint64_t canon_length);
/* The same with a str as the key. */
int pmo_table_delete_named(pmo_pool *pool, uint64_t offset, const char *key,
                           int64_t key_length);
int pmo_table_update(pmo_pool *pool, uint64_t offset, const pmo_keys *keys,
                     const pmo_batch *values);
/* Delete every key that is there; the others are passed by. O(keys), and one snapshot for
 * each unless a large part goes: that is a new body. */
int pmo_table_delete_many(pmo_pool *pool, uint64_t offset, const pmo_keys *keys);
/* places[i] = position of key i, -1 if it is not there. values, unless NULL, gets those of
 * the keys that are there, in turn. */
int pmo_table_places(pmo_pool *pool, uint64_t offset, const pmo_keys *keys, int64_t *places,
                     pmo_batch *values);
int pmo_table_clear(pmo_pool *pool, uint64_t offset);
/* Live entries at positions start..stop-1, in order; *next is the position after
 * the last one looked at (it may stop early). Holes before the first entry are not looked
 * at: *next may then lie behind stop. values may be NULL. */
int pmo_table_read(pmo_pool *pool, uint64_t offset, uint64_t start, uint64_t stop,
                   pmo_batch *keys, pmo_batch *values, uint64_t *next);
/* The first live entry at positions start..stop-1, in the pool itself: nothing is copied
 * (a set's value is its key). *next is the position after it. PMO_EMISSING: there are only
 * holes. O(holes before it), but for those at the front. */
int pmo_table_peek(pmo_pool *pool, uint64_t offset, uint64_t start, uint64_t stop,
                   pmo_value *key, pmo_value *value, uint64_t *next);

/* ---- graph.c: plain data in one piece ------------------------------------------ */

typedef struct pmo_graph pmo_graph;
/* Look through a stream, which has to stay where it is: a list of count containers, in the
 * form that graph.c tells. PMO_EINVAL: something in it is of another kind. */
int pmo_graph_read(const char *stream, uint64_t length, uint64_t count, pmo_graph **graph);
/* Make all its containers in one transaction; offsets gets those of the count outermost
 * ones, whose references the caller is to count. Once for each graph. */
int pmo_graph_build(pmo_pool *pool, pmo_graph *graph, uint64_t *offsets);
/* How many bytes of the stream the present pass has behind it. Any thread may ask. */
uint64_t pmo_graph_done(const pmo_graph *graph);
void pmo_graph_free(pmo_graph *graph);
/* graph_write.c: the container at offset and all it leads to as such a stream, whose bytes
 * are stream->data, to be given back by pmo_batch_release. PMO_EINVAL: not everything in
 * it is of a kind that a stream can have. */
int pmo_graph_write(pmo_pool *pool, uint64_t offset, pmo_batch *stream);

/* ---- collector.c: mark, sweep, verify ------------------------------------------ */

/* start, then mark until it gives 0, then sweep until it gives 0 (or verify),
 * then finish. Not inside a transaction. Pinned objects are roots. PMO_EINVAL:
 * steps out of order, or the pool was changed between two of them. */
int pmo_gc_start(pmo_pool *pool, int verify);
/* Visit up to budget objects. 1: call again. 2: *foreign is a custom object
 * whose references (pmo_gc_reference) and substructures (pmo_gc_keep) the caller
 * now adds, then calls again. 0: all marked. Of containers without references the elements
 * are not read. With verify, every container is checked; after PMO_ECORRUPT the next call
 * goes on behind the damage. */
int pmo_gc_mark(pmo_pool *pool, uint64_t budget, uint64_t *foreign);
/* Offset 0: what the foreign object refers to cannot be told. */
int pmo_gc_reference(pmo_pool *pool, uint64_t offset);
int pmo_gc_keep(pmo_pool *pool, uint64_t offset);
/* Free up to budget unreached allocations, put wrong reference counts right. 1: call again.
 * When something could not be followed it changes nothing, and only counts what is used. */
int pmo_gc_sweep(pmo_pool *pool, uint64_t budget);
/* Instead of sweep: 1: call again; PMO_ECORRUPT: a count or an allocation is wrong.
 * Unreached allocations are counted in freed, none is freed. */
int pmo_gc_verify(pmo_pool *pool, uint64_t budget);
int pmo_gc_finish(pmo_pool *pool, pmo_gc_report *report);
/* All invariants of one object (header, state, geometry, cells, index, heap). */
int pmo_object_check(pmo_pool *pool, uint64_t offset);
