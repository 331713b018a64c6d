#include "internal.h"

uint64_t pmo_payload_sum(const char *data, uint64_t length) {
    uint64_t sum = length;
    uint64_t word;
    for (; length >= 8; length -= 8, data += 8) {
        memcpy(&word, data, 8);
        sum = pmo_fold(sum, word);
    }
    return length > 0 ? pmo_fold(sum, pmo_load_short(data, length)) : sum;
}

static uint16_t cell_check(const pmo_cell *cell, uint64_t payload_sum) {
    uint64_t words[2];
    memcpy(words, cell, sizeof words);
    return pmo_words_check(words[0], words[1], payload_sum);
}

void pmo_cell_make_hole(pmo_cell *cell, uint64_t first) {
    *cell = (pmo_cell){.tag = PMO_EMPTY};
    cell->word = first;
    cell->check = cell_check(cell, 0);
}

int pmo_cell_hole(pmo_pool *pool, const pmo_cell *cell, uint64_t *first) {
    if (cell->tag != PMO_EMPTY || cell->check != cell_check(cell, 0)) {
        return pmo_corrupt(pool, pmo_offset_of(pool, cell),
                           "a hole that does not match its check");
    }
    *first = cell->word;
    return PMO_OK;
}

/* Composed in registers: reading a cell back whole that was just written in parts stalls. */
static inline void put_words(pmo_cell *cell, uint64_t low, uint64_t high) {
    uint64_t words[2] = {low | (uint64_t)pmo_words_check(low, high, 0) << 16, high};
    memcpy(cell, words, sizeof words);
}

static inline void put_number(pmo_cell *cell, uint32_t tag, int64_t number) {
    put_words(cell, tag, tag >= PMO_INT ? (uint64_t)number : 0);
}

bool pmo_cell_compose(uint32_t tag, int64_t number, const char *data, pmo_cell *cell) {
    if (tag < PMO_STR) {
        put_number(cell, tag, number);
        return true;
    }
    uint64_t length = (uint64_t)number;
    if (length > PMO_INLINE_MAX) {
        return false;
    }
    uint64_t first = length < 4 ? length : 4;
    put_words(cell, tag | length << 8 | pmo_load_short(data, first) << 32,
              pmo_load_short(data + first, length - first));
    return true;
}

uint64_t pmo_cell_heap_need(uint32_t tag, int64_t number) {
    bool heaped =
        tag >= PMO_STR && number > (int64_t)PMO_INLINE_MAX && number <= PMO_HEAP_PAYLOAD_MAX;
    return heaped ? (uint64_t)number : 0;
}

int pmo_value_valid(uint32_t tag, int64_t number, const char *data) {
    if (tag >= PMO_STR) {
        return tag <= UINT8_MAX && number >= 0 && data != NULL ? PMO_OK : PMO_EINVAL;
    }
    return tag >= PMO_NONE && tag <= PMO_REF ? PMO_OK : PMO_EINVAL;
}

static void heap_put(pmo_pool *pool, pmo_heap *heap, const void *data, uint64_t length) {
    memcpy(heap->bytes + heap->used, data, length);
    if (!heap->in_new_body) {
        pmo_fresh(pool, heap->bytes + heap->used, length);
    }
    heap->used += length;
}

static int blob_cell(pmo_pool *pool, const char *data, uint64_t length, pmo_cell *cell) {
    uint64_t offset = 0;
    PMO_TRY(pmo_blob_write(pool, cell->tag, data, length, &offset));
    ((pmo_header *)pmo_at(pool, offset))->refcount = 1;
    cell->len = PMO_LEN_BLOB;
    cell->word = offset;
    cell->check = cell_check(cell, 0);
    return PMO_OK;
}

int pmo_cell_make(pmo_pool *pool, pmo_heap *heap, uint32_t tag, int64_t number,
                  const char *data, pmo_cell *cell) {
    PMO_TRY(pmo_value_valid(tag, number, data));
    if (tag == PMO_REF) {
        PMO_TRY(pmo_reference_add(pool, (uint64_t)number));
    }
    if (heap != NULL && !pmo_value_countless(tag, number)) {
        heap->refers = true;
    }
    if (pmo_cell_compose(tag, number, data, cell)) {
        return PMO_OK;
    }
    *cell = (pmo_cell){.tag = (uint8_t)tag};
    uint64_t length = (uint64_t)number;
    if (heap == NULL || length > PMO_HEAP_PAYLOAD_MAX) {
        return blob_cell(pool, data, length, cell);
    }
    if (heap->capacity - heap->used < length) {
        return PMO_EINVAL;
    }
    cell->len = PMO_LEN_HEAP;
    cell->extent = (uint32_t)length;
    cell->word = heap->used;
    cell->check = cell_check(cell, pmo_payload_sum(data, length));
    heap_put(pool, heap, data, length);
    return PMO_OK;
}

void pmo_cells_fill(uint32_t tag, const int64_t *numbers, uint64_t count, pmo_cell *cells) {
    for (uint64_t i = 0; i < count; i++) {
        put_number(&cells[i], tag, numbers[i]);
    }
}

uint64_t pmo_cells_numbers(const pmo_cell *cells, uint64_t count, int64_t *numbers) {
    uint64_t done = 0;
    if (count == 0 || (cells[0].tag != PMO_INT && cells[0].tag != PMO_FLOAT)) {
        return 0;
    }
    for (; done < count; done++) {
        uint64_t words[2];
        memcpy(words, &cells[done], sizeof words);
        uint64_t right = cells[0].tag | (uint64_t)pmo_words_check(cells[0].tag, words[1], 0)
                                            << 16;
        if (words[0] != right) {
            break;
        }
        numbers[done] = (int64_t)words[1];
    }
    return done;
}

static int heap_payload(pmo_pool *pool, const pmo_heap *heap, const pmo_cell *cell,
                        const char **data) {
    if (heap == NULL || cell->word > heap->used || cell->extent > heap->used - cell->word) {
        return pmo_corrupt(pool, pmo_offset_of(pool, cell), "a cell that points past its heap");
    }
    *data = heap->bytes + cell->word;
    return PMO_OK;
}

static int mismatch(pmo_pool *pool, const pmo_cell *cell) {
    return pmo_corrupt(pool, pmo_offset_of(pool, cell),
                       "a value that does not match its check");
}

static int read_keyed(pmo_pool *pool, const pmo_heap *heap, const pmo_cell *cell,
                      pmo_value *value) {
    const pmo_keyed *record = NULL;
    PMO_TRY(pmo_cell_keyed(pool, heap, cell, &record));
    *value = (pmo_value){
        .tag = record->inner_tag,
        .number = record->number,
        .data = (const char *)(record + 1) + record->canon_length,
    };
    return PMO_OK;
}

static int read_reference(pmo_pool *pool, uint64_t offset, pmo_value *value) {
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    value->type = header->type;
    return PMO_OK;
}

int pmo_cell_read(pmo_pool *pool, const pmo_heap *heap, const pmo_cell *cell,
                  pmo_value *value) {
    if (cell->tag == PMO_KEYED) {
        PMO_TRY(read_keyed(pool, heap, cell, value));
        return value->tag == PMO_REF ? read_reference(pool, (uint64_t)value->number, value)
                                     : PMO_OK;
    }
    *value = (pmo_value){.tag = cell->tag};
    if (cell->tag >= PMO_STR && cell->len == PMO_LEN_HEAP) {
        PMO_TRY(heap_payload(pool, heap, cell, &value->data));
        value->number = (int64_t)cell->extent;
        return cell->check == cell_check(cell, pmo_payload_sum(value->data, cell->extent))
                   ? PMO_OK
                   : mismatch(pool, cell);
    }
    if (cell->check != cell_check(cell, 0)) {
        return mismatch(pool, cell);
    }
    if (cell->tag >= PMO_STR) {
        if (cell->len == PMO_LEN_BLOB) {
            PMO_TRY(pmo_blob_read(pool, cell->word, value));
            return value->tag == cell->tag ? PMO_OK : mismatch(pool, cell);
        }
        value->number = cell->len;
        value->data = cell->inline_bytes;
        return cell->len <= PMO_INLINE_MAX ? PMO_OK : mismatch(pool, cell);
    }
    if (cell->tag < PMO_NONE || cell->tag > PMO_REF) {
        return pmo_corrupt(pool, pmo_offset_of(pool, cell), "a cell with an unknown tag");
    }
    value->number = (int64_t)cell->word;
    return cell->tag == PMO_REF ? read_reference(pool, cell->word, value) : PMO_OK;
}

uint64_t pmo_cell_heap_bytes(const pmo_cell *cell) {
    bool heaped = cell->tag == PMO_KEYED || (cell->tag >= PMO_STR && cell->len == PMO_LEN_HEAP);
    return heaped ? cell->extent : 0;
}

int pmo_cell_reference(pmo_pool *pool, const pmo_heap *heap, const pmo_cell *cell,
                       uint64_t *offset) {
    *offset = 0;
    if (cell->tag == PMO_KEYED) {
        const pmo_keyed *record = NULL;
        PMO_TRY(pmo_cell_keyed(pool, heap, cell, &record));
        *offset = record->inner_tag == PMO_REF ? (uint64_t)record->number : 0;
        return PMO_OK;
    }
    if (pmo_cell_may_refer(cell)) {
        if (cell->check != cell_check(cell, 0)) {
            return mismatch(pool, cell);
        }
        *offset = cell->word;
    }
    return PMO_OK;
}

int pmo_cell_drop(pmo_pool *pool, pmo_heap *heap, const pmo_cell *cell) {
    uint64_t offset = 0;
    PMO_TRY(pmo_cell_reference(pool, heap, cell, &offset));
    if (heap != NULL) {
        heap->garbage += pmo_cell_heap_bytes(cell);
    }
    return offset != 0 ? pmo_reference_drop(pool, offset) : PMO_OK;
}

int pmo_cell_move(pmo_pool *pool, const pmo_heap *from, const pmo_cell *cell, pmo_heap *to,
                  pmo_cell *moved) {
    *moved = *cell;
    to->refers |= pmo_cell_may_refer(cell);
    uint64_t length = pmo_cell_heap_bytes(cell);
    if (length == 0) {
        return PMO_OK;
    }
    const char *data = NULL;
    PMO_TRY(heap_payload(pool, from, cell, &data));
    uint64_t sum = pmo_payload_sum(data, length);
    if (cell->check != cell_check(cell, sum)) {
        return mismatch(pool, cell);
    }
    if (to->capacity - to->used < length) {
        return pmo_corrupt(pool, pmo_offset_of(pool, cell), "a heap with more than its bytes");
    }
    moved->word = to->used;
    moved->check = cell_check(moved, sum);
    memcpy(to->bytes + to->used, data, length);
    to->used += length;
    return PMO_OK;
}

int pmo_cell_keyed(pmo_pool *pool, const pmo_heap *heap, const pmo_cell *cell,
                   const pmo_keyed **record) {
    const char *data = NULL;
    PMO_TRY(heap_payload(pool, heap, cell, &data));
    if (cell->extent < sizeof(pmo_keyed) ||
        cell->check != cell_check(cell, pmo_payload_sum(data, cell->extent))) {
        return mismatch(pool, cell);
    }
    *record = (const pmo_keyed *)(const void *)data;
    uint64_t rest = cell->extent - sizeof(pmo_keyed);
    const pmo_keyed *at = *record;
    bool payload = at->inner_tag >= PMO_STR;
    if (at->canon_length > rest ||
        (payload && (uint64_t)at->number != rest - at->canon_length)) {
        return mismatch(pool, cell);
    }
    return PMO_OK;
}

uint64_t pmo_keyed_heap_need(uint32_t tag, int64_t number, uint64_t canon_length) {
    uint64_t payload = tag >= PMO_STR && number > 0 ? (uint64_t)number : 0;
    return sizeof(pmo_keyed) + canon_length + payload;
}

int pmo_cell_make_keyed(pmo_pool *pool, pmo_heap *heap, uint32_t tag, int64_t number,
                        const char *data, const char *canon, uint64_t canon_length,
                        pmo_cell *cell) {
    PMO_TRY(pmo_value_valid(tag, number, data));
    uint64_t need = pmo_keyed_heap_need(tag, number, canon_length);
    if (need > UINT32_MAX) {
        pool->failure = (pmo_failure_info){.requested = need};
        return PMO_ETOOBIG;
    }
    if (heap->capacity - heap->used < need) {
        return PMO_EINVAL;
    }
    if (tag == PMO_REF) {
        PMO_TRY(pmo_reference_add(pool, (uint64_t)number));
    }
    heap->refers = true; /* if not this one: nobody has to look into the record to know */
    uint64_t start = heap->used;
    pmo_keyed record = {
        .canon_length = (uint32_t)canon_length, .inner_tag = (uint8_t)tag, .number = number};
    heap_put(pool, heap, &record, sizeof record);
    heap_put(pool, heap, canon, canon_length);
    if (tag >= PMO_STR) {
        heap_put(pool, heap, data, (uint64_t)number);
    }
    *cell = (pmo_cell){.tag = PMO_KEYED,
                       .len = PMO_LEN_HEAP,
                       .extent = (uint32_t)(heap->used - start),
                       .word = start};
    cell->check = cell_check(cell, pmo_payload_sum(heap->bytes + start, cell->extent));
    return PMO_OK;
}
