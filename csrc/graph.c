/*
 * Graphs of plain lists, dicts and sets, made from one stream of bytes in one pass.
 *
 * The stream is the one that Python's marshal writes, version 4: an object is a letter and its
 * content. A letter with its highest bit set means that the object has a number, the next one
 * from 0 on, by which "r" names it later: so shared objects stay shared, and cycles cycles. The
 * kinds that are taken:
 *   N F T                nothing more
 *   i int32   g double   l int32 n (its sign is the number's), |n| digits of 15 bits each
 *   z Z a A u t          a str: UTF-8 after its length, one byte for z and Z, else four
 *   [ < uint32 n         list, set: n objects
 *   {                    dict: keys and values in turn, then "0"
 *   r uint32             an object that was there before
 * A stream with any other letter is refused as a whole before anything is touched.
 */
#include <stdlib.h>

#include "table.h"
#include "tokens.h"

#define STEP 256u /* numbers that are turned into cells together */

/* What building a container takes to know before its first element. */
typedef struct shape {
    uint64_t count; /* elements; entries of a dict */
    uint64_t heap;
} shape;

/* An object with a number. A container's value is a reference. */
typedef struct seen {
    pmo_value value;
    uint64_t hash; /* as a key; 0: not known yet */
} seen;

struct pmo_graph {
    pmo_pool *pool; /* NULL: the first pass, which only looks */
    const uint8_t *stream;
    const uint8_t *end;
    const uint8_t *at;
    uint64_t outermost;
    shape *shapes; /* of the containers, in the order in which they begin */
    uint64_t shape_count;
    uint64_t shape_room;
    seen *seen;
    uint64_t seen_count;
    uint64_t seen_room;
};

typedef struct pmo_graph graph;

/* Room for one more item of an array that grows. */
static int make_room(void **items, uint64_t count, uint64_t *room, size_t size) {
    if (count < *room) {
        return PMO_OK;
    }
    uint64_t more = *room ? *room * 2 : 64;
    void *moved = realloc(*items, more * size);
    if (moved == NULL) {
        return PMO_ENOMEM;
    }
    *items = moved;
    *room = more;
    return PMO_OK;
}

/* ---- bytes ---- */

static int take(graph *from, uint64_t count, const uint8_t **bytes) {
    *bytes = from->at;
    if (count > (uint64_t)(from->end - from->at)) {
        return PMO_EINVAL;
    }
    from->at += count;
    return PMO_OK;
}

static int take_uint32(graph *from, uint32_t *number) {
    const uint8_t *bytes = NULL;
    PMO_TRY(take(from, sizeof *number, &bytes));
    memcpy(number, bytes, sizeof *number);
    return PMO_OK;
}

static int take_text(graph *from, uint64_t length, pmo_value *value) {
    const uint8_t *bytes = NULL;
    PMO_TRY(take(from, length, &bytes));
    *value =
        (pmo_value){.tag = PMO_STR, .number = (int64_t)length, .data = (const char *)bytes};
    return PMO_OK;
}

/* An integer that fits 64 bits; PMO_EINVAL for larger ones. */
static int take_long(graph *from, pmo_value *value) {
    const uint8_t *bytes = NULL;
    uint32_t head = 0;
    PMO_TRY(take_uint32(from, &head));
    bool negative = head >> 31;
    uint64_t digits = negative ? 0 - (uint64_t)(int64_t)(int32_t)head : head;
    PMO_TRY(digits <= 5 ? take(from, 2 * digits, &bytes) : PMO_EINVAL);
    uint64_t magnitude = 0;
    for (uint64_t i = digits; i > 0; i--) {
        if (magnitude >> (64 - PMO_TOKEN_DIGIT_BITS)) {
            return PMO_EINVAL;
        }
        uint64_t digit = bytes[2 * i - 2] | (uint64_t)bytes[2 * i - 1] << 8;
        magnitude = magnitude << PMO_TOKEN_DIGIT_BITS | digit;
    }
    if (magnitude > (uint64_t)INT64_MAX + negative) {
        return PMO_EINVAL;
    }
    *value =
        (pmo_value){.tag = PMO_INT, .number = (int64_t)(negative ? 0 - magnitude : magnitude)};
    return PMO_OK;
}

static int take_leaf(graph *from, uint8_t letter, pmo_value *value) {
    const uint8_t *bytes = NULL;
    uint32_t number = 0;
    *value = (pmo_value){0};
    switch (letter) {
    case 'N':
        value->tag = PMO_NONE;
        return PMO_OK;
    case 'F':
        value->tag = PMO_FALSE;
        return PMO_OK;
    case 'T':
        value->tag = PMO_TRUE;
        return PMO_OK;
    case 'i':
        PMO_TRY(take_uint32(from, &number));
        value->tag = PMO_INT;
        value->number = (int32_t)number;
        return PMO_OK;
    case 'g':
        PMO_TRY(take(from, sizeof value->number, &bytes));
        value->tag = PMO_FLOAT;
        memcpy(&value->number, bytes, sizeof value->number);
        return PMO_OK;
    case 'l':
        return take_long(from, value);
    case 'z':
    case 'Z':
        PMO_TRY(take(from, 1, &bytes));
        return take_text(from, *bytes, value);
    case 'a':
    case 'A':
    case 'u':
    case 't':
        PMO_TRY(take_uint32(from, &number));
        return take_text(from, number, value);
    default:
        return PMO_EINVAL;
    }
}

static bool is_container(uint8_t letter) {
    return letter == '[' || letter == '{' || letter == '<';
}

/* Can the core derive the key? Python's equality and the core's must agree, too. */
static bool is_key(const pmo_value *value) {
    if (value->tag != PMO_FLOAT) {
        return value->tag != PMO_REF;
    }
    double number = 0;
    memcpy(&number, &value->number, sizeof number);
    return number > -PMO_INT64_LIMIT && number < PMO_INT64_LIMIT;
}

/* How many of the next objects, most at most, are numbers written like the first of them; 0:
 * the next one is another object. Their tag, and the bytes of each behind the letter. */
static uint64_t run_of(const graph *from, uint64_t most, uint32_t *tag, uint32_t *width) {
    uint64_t left = (uint64_t)(from->end - from->at);
    uint8_t letter = left > 0 ? *from->at : 0;
    *tag = letter == 'g' ? PMO_FLOAT : PMO_INT;
    *width = letter == 'g' ? 8 : 4;
    if (letter != 'i' && letter != 'g') {
        return 0;
    }
    const uint64_t record = *width + 1;
    const uint64_t stop = most < left / record ? most : left / record;
    uint64_t count = 0;
    while (count < stop && from->at[count * record] == letter) {
        count++;
    }
    return count;
}

/* ---- both passes ---- */

static int scan(graph *from, uint8_t letter, unsigned depth);
static int make(graph *from, uint8_t letter, pmo_value *value, seen *named);

/* The next object; *named is where it is known by its number, or NULL. A container is scanned
 * or made. */
static int next_object(graph *from, unsigned depth, pmo_value *value, seen **named) {
    const uint8_t *bytes = NULL;
    PMO_TRY(take(from, 1, &bytes));
    uint8_t letter = *bytes & (PMO_TOKEN_NUMBERED - 1);
    *named = NULL;
    if (letter == 'r') {
        uint32_t number = 0;
        PMO_TRY(take_uint32(from, &number));
        if (number >= from->seen_count) {
            return PMO_EINVAL;
        }
        *named = &from->seen[number];
        *value = (*named)->value;
        return PMO_OK;
    }
    uint64_t number = from->seen_count;
    bool numbered = *bytes & PMO_TOKEN_NUMBERED;
    if (numbered) {
        PMO_TRY(make_room((void **)&from->seen, number, &from->seen_room, sizeof(seen)));
        from->seen[number] = (seen){.value.tag = PMO_REF};
        from->seen_count++;
        *named = &from->seen[number];
    }
    if (!is_container(letter)) {
        PMO_TRY(take_leaf(from, letter, value));
    } else if (from->pool != NULL) {
        PMO_TRY(make(from, letter, value, *named));
    } else {
        *value = (pmo_value){.tag = PMO_REF};
        PMO_TRY(depth < PMO_TOKENS_DEEPEST ? scan(from, letter, depth + 1) : PMO_EINVAL);
    }
    if (numbered) {
        *named = &from->seen[number];
        (*named)->value = *value;
    }
    return PMO_OK;
}

/* Is there another element? Reads the count of a list or set, or finds the end of a dict. */
static bool another(graph *from, uint8_t letter, uint64_t done, uint32_t count) {
    if (letter != '{') {
        return done < count;
    }
    bool end = from->at < from->end && *from->at == '0';
    from->at += end;
    return !end;
}

/* ---- the first pass ---- */

static int scan(graph *from, uint8_t letter, unsigned depth) {
    uint64_t mine = from->shape_count;
    uint32_t count = 0;
    shape found = {0};
    pmo_value value;
    seen *named = NULL;
    PMO_TRY(make_room((void **)&from->shapes, mine, &from->shape_room, sizeof(shape)));
    from->shape_count++;
    PMO_TRY(letter != '{' ? take_uint32(from, &count) : PMO_OK);
    while (another(from, letter, found.count, count)) {
        uint32_t tag = 0;
        uint32_t width = 0;
        uint64_t run = letter == '[' ? run_of(from, count - found.count, &tag, &width) : 0;
        if (run > 0) {
            from->at += run * (width + 1);
            found.count += run;
            continue;
        }
        PMO_TRY(next_object(from, depth, &value, &named));
        if (letter != '[' && !is_key(&value)) {
            return PMO_EINVAL;
        }
        found.heap += pmo_cell_heap_need(value.tag, value.number);
        if (letter == '{') {
            PMO_TRY(next_object(from, depth, &value, &named));
            found.heap += pmo_cell_heap_need(value.tag, value.number);
        }
        found.count++;
    }
    from->shapes[mine] = found;
    return PMO_OK;
}

/* ---- the second pass ---- */

static int make_cell(pmo_pool *pool, pmo_heap *heap, const pmo_value *value, pmo_cell *cell) {
    if (value->tag > PMO_REF) {
        return pmo_cell_make(pool, heap, value->tag, value->number, value->data, cell);
    }
    if (value->tag == PMO_REF) {
        /* Made by this very transaction: its count needs no undo. */
        ((pmo_header *)pmo_at(pool, (uint64_t)value->number))->refcount++;
        heap->refers = true;
    }
    pmo_cells_fill(value->tag, &value->number, 1, cell);
    return PMO_OK;
}

static int next_cell(graph *from, pmo_heap *heap, pmo_cell *cell) {
    pmo_value value;
    seen *named = NULL;
    PMO_TRY(next_object(from, 0, &value, &named));
    return make_cell(from->pool, heap, &value, cell);
}

/* hash is NULL where no index needs it. */
static int next_key(graph *from, pmo_heap *heap, pmo_cell *cell, uint64_t *hash) {
    pmo_value value;
    seen *named = NULL;
    PMO_TRY(next_object(from, 0, &value, &named));
    if (hash != NULL && named != NULL && named->hash != 0) {
        *hash = named->hash;
    } else if (hash != NULL) {
        pmo_key key;
        PMO_TRY(pmo_key_make(&value, NULL, 0, &key));
        *hash = pmo_key_hash(from->pool, &key);
        if (named != NULL) {
            named->hash = *hash;
        }
    }
    return make_cell(from->pool, heap, &value, cell);
}

/* The cells of a run, see run_of. Gives how many, at most those of one step; 0: none. */
static uint64_t fill_run(graph *from, pmo_cell *cells, uint64_t most) {
    int64_t numbers[STEP];
    uint32_t tag = 0;
    uint32_t width = 0;
    uint64_t run = run_of(from, most < STEP ? most : STEP, &tag, &width);
    if (run > 0) {
        const char *records = (const char *)from->at;
        (void)pmo_gather(records, run, *from->at, width, numbers); /* run_of saw the letters */
        pmo_cells_fill(tag, numbers, run, cells);
        from->at += run * (width + 1);
    }
    return run;
}

static int fill_cells(graph *from, pmo_heap *heap, pmo_writer *cells, uint64_t count) {
    for (uint64_t i = 0; i < count;) {
        pmo_cell *next = pmo_writer_room(cells, STEP * sizeof *next);
        uint64_t made = fill_run(from, next, count - i);
        if (made == 0) {
            PMO_TRY(next_cell(from, heap, next));
            made = 1;
        }
        pmo_writer_wrote(cells, made * sizeof *next);
        i += made;
    }
    return PMO_OK;
}

static int fill_list(graph *from, pmo_container *list, uint64_t count) {
    const pmo_geometry *geometry = &list->geometry;
    pmo_heap heap = pmo_heap_new(from->pool, geometry, PMO_LAYOUT_SEQUENCE);
    pmo_populate(from->pool, pmo_offset_of(from->pool, heap.bytes), heap.capacity);
    pmo_writer cells = pmo_writer_start(from->pool, geometry->body, count * sizeof(pmo_cell));
    int status = fill_cells(from, &heap, &cells, count);
    pmo_writer_end(&cells);
    PMO_TRY(status);
    pmo_state_put(list, count, count, &heap);
    return PMO_OK;
}

static int fill_table(graph *from, pmo_container *container, uint64_t count) {
    pmo_table table = pmo_table_of(from->pool, container);
    pmo_populate(from->pool, container->geometry.body,
                 pmo_body_bytes(&container->geometry, table.layout));
    memset(table.index, 0, table.slots * sizeof(uint32_t));
    table.heap.in_new_body = true;
    for (; table.used < count; table.used++) {
        pmo_cell *entry = pmo_table_entry(&table, table.used);
        uint64_t hash = 0;
        PMO_TRY(next_key(from, &table.heap, entry, table.slots ? &hash : NULL));
        if (table.layout == PMO_LAYOUT_DICT) {
            PMO_TRY(next_cell(from, &table.heap, pmo_entry_value(entry)));
        }
        if (table.slots) {
            PMO_TRY(pmo_name_entry(from->pool, &table, hash, table.used));
        }
    }
    pmo_state_put(container, count, count, &table.heap);
    return PMO_OK;
}

static uint32_t type_of(uint8_t letter) {
    return letter == '[' ? PMO_TYPE_LIST : letter == '{' ? PMO_TYPE_DICT : PMO_TYPE_SET;
}

static int make(graph *from, uint8_t letter, pmo_value *value, seen *named) {
    const shape found = from->shapes[from->shape_count++];
    uint32_t count = 0;
    uint64_t offset = 0;
    pmo_geometry geometry = {.capacity = found.count, .heap_capacity = found.heap};
    if (letter != '[') {
        geometry.index_slots = pmo_table_slots(found.count);
    }
    uint32_t type = type_of(letter);
    PMO_TRY(pmo_object_with_body(from->pool, type, &geometry, &offset));
    *value = (pmo_value){.tag = PMO_REF, .number = (int64_t)offset};
    if (named != NULL) {
        named->value = *value;
    }
    PMO_TRY(letter != '{' ? take_uint32(from, &count) : PMO_OK);
    pmo_container *container = pmo_at(from->pool, offset);
    if (letter == '[') {
        return fill_list(from, container, found.count);
    }
    PMO_TRY(fill_table(from, container, found.count));
    from->at += letter == '{';
    return PMO_OK;
}

/* ---- the interface ---- */

/* Start a pass: behind the letter and the count of the list that holds all. */
static int rewind_to_first(graph *from, uint32_t *count) {
    from->at = from->stream;
    from->shape_count = 0;
    from->seen_count = 0;
    const uint8_t *letter = NULL;
    PMO_TRY(take(from, 1, &letter));
    if (*letter & PMO_TOKEN_NUMBERED) {
        PMO_TRY(make_room((void **)&from->seen, 0, &from->seen_room, sizeof(seen)));
        from->seen[from->seen_count++] = (seen){0};
    }
    return (*letter & (PMO_TOKEN_NUMBERED - 1)) == '[' ? take_uint32(from, count) : PMO_EINVAL;
}

static int look(graph *from, uint64_t count) {
    uint32_t found = 0;
    pmo_value value;
    seen *named = NULL;
    PMO_TRY(rewind_to_first(from, &found));
    for (uint64_t i = 0; i < found; i++) {
        PMO_TRY(next_object(from, 0, &value, &named));
        if (value.tag != PMO_REF) {
            return PMO_EINVAL;
        }
    }
    return found == count && from->at == from->end ? PMO_OK : PMO_EINVAL;
}

int pmo_graph_read(const char *stream, uint64_t length, uint64_t count, pmo_graph **out) {
    graph *from = calloc(1, sizeof *from);
    *out = NULL;
    if (from == NULL) {
        return PMO_ENOMEM;
    }
    from->stream = (const uint8_t *)stream;
    from->end = from->stream + length;
    from->outermost = count;
    int status = look(from, count);
    if (status != PMO_OK) {
        pmo_graph_free(from);
        return status;
    }
    *out = from;
    return PMO_OK;
}

static int build(graph *from, uint64_t *offsets) {
    uint32_t count = 0;
    PMO_TRY(rewind_to_first(from, &count));
    for (uint64_t i = 0; i < count; i++) {
        pmo_value value;
        seen *named = NULL;
        PMO_TRY(next_object(from, 0, &value, &named));
        offsets[i] = (uint64_t)value.number;
    }
    return PMO_OK;
}

/* Those that the caller gets are the ones whose counts will change next. */
static int build_together(graph *from, uint64_t *offsets) {
    pmo_together_start(from->pool);
    PMO_TRY(pmo_together_end(from->pool, build(from, offsets)));
    for (uint64_t i = 0; i < from->outermost; i++) {
        PMO_TRY(pmo_cover(from->pool, offsets[i]));
    }
    return PMO_OK;
}

int pmo_graph_build(pmo_pool *pool, pmo_graph *from, uint64_t *offsets) {
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    from->pool = pool;
    int status = from->shape_count > 1 ? build_together(from, offsets) : build(from, offsets);
    return pmo_op_end(pool, &op, status);
}

uint64_t pmo_graph_done(const pmo_graph *from) {
    return (uint64_t)(__atomic_load_n(&from->at, __ATOMIC_RELAXED) - from->stream);
}

void pmo_graph_free(pmo_graph *from) {
    if (from != NULL) {
        free(from->shapes);
        free(from->seen);
        free(from);
    }
}
