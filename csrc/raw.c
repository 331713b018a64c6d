#include "internal.h"

#define LARGEST (PMEMOBJ_MAX_ALLOC_SIZE - 4096u)
#define EXTENT (1ull << 30)

static uint64_t largest = LARGEST;
static uint64_t extent_size = EXTENT;

void pmo_raw_limits(uint64_t most, uint64_t extent) {
    largest = most != 0 ? most : LARGEST;
    extent_size = extent != 0 ? extent : EXTENT;
}

static uint64_t raw_check(const pmo_raw *raw) {
    return pmo_fold(pmo_fold(raw->length, raw->form), raw->sum);
}

static uint64_t extent_of(const pmo_raw *raw) {
    return raw->form & ~(uint64_t)PMO_RAW_SEALED;
}

uint64_t pmo_raw_start(uint64_t offset) {
    uint64_t end = offset + sizeof(pmo_raw);
    return (end + PMO_RAW_ALIGNMENT - 1) & ~(uint64_t)(PMO_RAW_ALIGNMENT - 1);
}

uint64_t pmo_raw_extents(const pmo_raw *raw) {
    uint64_t extent = extent_of(raw);
    return extent != 0 ? (raw->length + extent - 1) / extent : 0;
}

uint64_t pmo_raw_size(uint64_t offset, const pmo_raw *raw) {
    uint64_t extents = pmo_raw_extents(raw);
    return extents != 0 ? sizeof *raw + extents * sizeof(uint64_t)
                        : pmo_raw_start(offset) - offset + raw->length;
}

int pmo_raw_at(pmo_pool *pool, uint64_t offset, pmo_raw **raw) {
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    if (header->type != PMO_TYPE_RAW) {
        return PMO_ETYPE;
    }
    PMO_TRY(pmo_bounds(pool, offset, sizeof(pmo_raw)));
    pmo_raw *at = pmo_at(pool, offset);
    if (at->check != raw_check(at)) {
        return pmo_corrupt(pool, offset, "raw bytes whose header does not match its check");
    }
    if (extent_of(at) % PMO_RAW_PAGE != 0 || at->length > 1ull << 50) {
        return pmo_corrupt(pool, offset, "raw bytes of an impossible size");
    }
    PMO_TRY(pmo_bounds(pool, offset, pmo_raw_size(offset, at)));
    *raw = at;
    return PMO_OK;
}

uint64_t pmo_raw_extent(const pmo_raw *raw, uint64_t number) {
    uint64_t offset = 0;
    memcpy(&offset, (const char *)(raw + 1) + number * sizeof offset, sizeof offset);
    return offset;
}

int pmo_raw_piece(pmo_pool *pool, uint64_t offset, uint64_t position, uint64_t *size,
                  uint64_t *place) {
    const pmo_raw *raw = pmo_at(pool, offset);
    if (position > raw->length || *size > raw->length - position) {
        return PMO_EINVAL;
    }
    uint64_t extent = extent_of(raw);
    if (extent == 0) {
        *place = pmo_raw_start(offset) + position;
        return PMO_OK;
    }
    uint64_t inside = position % extent;
    uint64_t start = pmo_raw_extent(raw, position / extent);
    if (*size > extent - inside) {
        *size = extent - inside;
    }
    *place = pmo_page_up(start) + inside;
    return pmo_bounds(pool, *place, *size);
}

/* ---- new ---------------------------------------------------------------------------- */

typedef struct plan {
    uint64_t length;
    uint64_t form;
    uint64_t count;
    pmo_vector extents;
} plan;

static int construct(PMEMobjpool *pop, void *address, void *argument) {
    const plan *wanted = argument;
    pmo_raw *raw = address;
    uint64_t offset = (uint64_t)((char *)address - (char *)pop);
    *raw = (pmo_raw){.length = wanted->length, .form = wanted->form};
    raw->head.type = PMO_TYPE_RAW;
    raw->head.check = pmo_header_check(offset, PMO_TYPE_RAW);
    raw->check = raw_check(raw);
    uint64_t table = wanted->extents.count * sizeof(uint64_t);
    if (table != 0) {
        memcpy(raw + 1, wanted->extents.items, table);
    }
    pmemobj_persist(pop, raw, sizeof *raw + table);
    return 0;
}

static int new_in_one(pmo_pool *pool, plan *wanted, uint64_t *offset) {
    uint64_t size = sizeof(pmo_raw) + PMO_RAW_ALIGNMENT + wanted->length;
    return pmo_allocate_now(pool, size, PMO_NUM_OBJECT, construct, wanted, offset);
}

static int new_in_extents(pmo_pool *pool, plan *wanted, uint64_t *offset) {
    wanted->form = extent_size;
    int status = PMO_OK;
    for (uint64_t left = wanted->length; left > 0 && status == PMO_OK;) {
        uint64_t bytes = left < extent_size ? left : extent_size;
        uint64_t extent = 0;
        status = pmo_allocate_now(pool, pmo_page_up(bytes) + PMO_RAW_PAGE, PMO_NUM_BODY, NULL,
                                  NULL, &extent);
        if (status == PMO_OK) {
            status = pmo_vector_push(&wanted->extents, extent);
            left -= bytes;
        }
    }
    if (status == PMO_OK) {
        uint64_t size = sizeof(pmo_raw) + wanted->extents.count * sizeof(uint64_t);
        status = pmo_allocate_now(pool, size, PMO_NUM_OBJECT, construct, wanted, offset);
    }
    for (uint64_t i = 0; status != PMO_OK && i < wanted->extents.count; i++) {
        pmo_deallocate_now(pool, wanted->extents.items[i]);
    }
    return status;
}

int pmo_raw_new(pmo_pool *pool, uint64_t length, uint64_t *offset) {
    PMO_TRY(pmo_usable(pool));
    if (length > 1ull << 50) {
        pool->failure = (pmo_failure_info){.requested = length};
        return PMO_ETOOBIG;
    }
    plan wanted = {.length = length};
    bool one = length <= largest;
    int status = one ? new_in_one(pool, &wanted, offset) : PMO_EFULL;
    if (status == PMO_EFULL && (!one || length > extent_size)) {
        status = new_in_extents(pool, &wanted, offset);
    }
    pmo_vector_free(&wanted.extents);
    if (status == PMO_OK) {
        status = pmo_map_add(&pool->pins, *offset, 1);
    }
    return status;
}

/* ---- content ------------------------------------------------------------------------ */

/* data NULL: zeros. */
static int fill(pmo_pool *pool, uint64_t offset, uint64_t position, const char *data,
                uint64_t size) {
    PMO_TRY(pmo_usable(pool));
    pmo_raw *raw = NULL;
    PMO_TRY(pmo_raw_at(pool, offset, &raw));
    if (raw->form & PMO_RAW_SEALED) {
        return PMO_EINVAL;
    }
    pmo_activate(pool);
    while (size > 0) {
        uint64_t place = 0;
        uint64_t part = size;
        PMO_TRY(pmo_raw_piece(pool, offset, position, &part, &place));
        if (data != NULL) {
            pmo_store_new(pool, place, data, part);
            data += part;
        } else {
            memset(pmo_at(pool, place), 0, part);
        }
        pmo_fresh(pool, pmo_at(pool, place), part);
        position += part;
        size -= part;
    }
    pmemobj_drain(pool->pop);
    return PMO_OK;
}

int pmo_raw_fill(pmo_pool *pool, uint64_t offset, uint64_t position, const void *data,
                 uint64_t size) {
    return fill(pool, offset, position, data, size);
}

int pmo_raw_zero(pmo_pool *pool, uint64_t offset, uint64_t position, uint64_t size) {
    return fill(pool, offset, position, NULL, size);
}

static int sum_of(pmo_pool *pool, uint64_t offset, uint64_t *sum) {
    const pmo_raw *raw = pmo_at(pool, offset);
    *sum = 0;
    for (uint64_t position = 0; position < raw->length;) {
        uint64_t place = 0;
        uint64_t size = raw->length - position;
        PMO_TRY(pmo_raw_piece(pool, offset, position, &size, &place));
        *sum = pmo_fold(*sum, pmo_payload_sum(pmo_at(pool, place), size));
        position += size;
    }
    return PMO_OK;
}

int pmo_raw_seal(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(pmo_usable(pool));
    pmo_raw *raw = NULL;
    PMO_TRY(pmo_raw_at(pool, offset, &raw));
    if (raw->form & PMO_RAW_SEALED || raw->head.refcount != 0) {
        return PMO_EINVAL;
    }
    pmo_activate(pool);
    PMO_TRY(sum_of(pool, offset, &raw->sum));
    raw->form |= PMO_RAW_SEALED;
    raw->check = raw_check(raw);
    pool->writes++;
    pmemobj_persist(pool->pop, raw, sizeof *raw);
    return PMO_OK;
}

int pmo_raw_info_get(pmo_pool *pool, uint64_t offset, uint64_t *length, int *sealed) {
    PMO_TRY(pmo_usable(pool));
    pmo_raw *raw = NULL;
    PMO_TRY(pmo_raw_at(pool, offset, &raw));
    *length = raw->length;
    *sealed = (raw->form & PMO_RAW_SEALED) != 0;
    return PMO_OK;
}

int pmo_raw_verify(pmo_pool *pool, uint64_t offset) {
    pmo_raw *raw = NULL;
    PMO_TRY(pmo_raw_at(pool, offset, &raw));
    if (!(raw->form & PMO_RAW_SEALED)) {
        return PMO_OK;
    }
    uint64_t sum = 0;
    PMO_TRY(sum_of(pool, offset, &sum));
    return sum == raw->sum ? PMO_OK
                           : pmo_corrupt(pool, offset, "bytes that do not match their check");
}

/* ---- change ------------------------------------------------------------------------- */

static int change(pmo_pool *pool, uint64_t offset, uint64_t position, uint64_t size) {
    while (size > 0) {
        uint64_t place = 0;
        uint64_t part = size;
        PMO_TRY(pmo_raw_piece(pool, offset, position, &part, &place));
        PMO_TRY(pmo_journal_save(pool, place, part));
        position += part;
        size -= part;
    }
    return PMO_OK;
}

int pmo_raw_change(pmo_pool *pool, uint64_t offset, const uint64_t *ranges, uint64_t count) {
    PMO_TRY(pmo_usable(pool));
    if (!pool->tx_open) {
        return PMO_ENOTX;
    }
    pmo_raw *raw = NULL;
    PMO_TRY(pmo_raw_at(pool, offset, &raw));
    if (raw->form & PMO_RAW_SEALED) {
        return PMO_EINVAL;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (ranges[2 * i] > raw->length || ranges[2 * i + 1] > raw->length - ranges[2 * i]) {
            return PMO_EINVAL;
        }
    }
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    int status = PMO_OK;
    for (uint64_t i = 0; i < count && status == PMO_OK; i++) {
        status = change(pool, offset, ranges[2 * i], ranges[2 * i + 1]);
    }
    return pmo_op_end(pool, &op, status);
}

int pmo_raw_flush(pmo_pool *pool, uint64_t offset, uint64_t position, uint64_t size) {
    PMO_TRY(pmo_usable(pool));
    pmo_raw *raw = NULL;
    PMO_TRY(pmo_raw_at(pool, offset, &raw));
    while (size > 0) {
        uint64_t place = 0;
        uint64_t part = size;
        PMO_TRY(pmo_raw_piece(pool, offset, position, &part, &place));
        if (pool->info.is_pmem) {
            pmemobj_persist(pool->pop, pmo_at(pool, place), part);
        } else if (pmo_sync_range(pmo_at(pool, place), part) != 0) {
            return pmo_fail_system(pool, errno);
        }
        position += part;
        size -= part;
    }
    return PMO_OK;
}
