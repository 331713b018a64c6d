/*
 * The reverse of graph.c: a stored graph of lists, dicts and sets as one stream, in the form
 * that graph.c tells; bytes are in it too, "s" and uint32 n. Only objects that something
 * else may refer to again get a number: those with other than one reference.
 */
#include <stdlib.h>

#include "table.h"
#include "tokens.h"

typedef struct writer {
    pmo_pool *pool;
    pmo_buffer out;
    pmo_map numbers; /* offset -> its number + 1 */
} writer;

static int put_object(writer *to, uint64_t offset, unsigned depth);

static int put_value(writer *to, const pmo_heap *heap, const pmo_cell *cell, bool key,
                     unsigned depth) {
    pmo_value value;
    PMO_TRY(pmo_cell_read(to->pool, heap, cell, &value));
    if (value.tag == PMO_REF && !key) {
        return put_object(to, (uint64_t)value.number, depth);
    }
    return pmo_token_value(&to->out, &value, key);
}

static int put_list(writer *to, pmo_container *list, unsigned depth) {
    const pmo_heap heap = pmo_heap_of(to->pool, list, PMO_LAYOUT_SEQUENCE);
    const pmo_cell *cells = pmo_cells(to->pool, list);
    for (uint64_t i = 0; i < list->state.length; i++) {
        PMO_TRY(put_value(to, &heap, &cells[i], false, depth));
    }
    return PMO_OK;
}

static int put_table(writer *to, pmo_container *container, unsigned depth) {
    const pmo_table table = pmo_table_of(to->pool, container);
    for (uint64_t i = 0; i < table.used; i++) {
        pmo_cell *entry = pmo_table_entry(&table, i);
        if (entry->tag == PMO_EMPTY) {
            continue;
        }
        PMO_TRY(put_value(to, &table.heap, entry, true, depth));
        if (table.layout == PMO_LAYOUT_DICT) {
            PMO_TRY(put_value(to, &table.heap, pmo_entry_value(entry), false, depth));
        }
    }
    return PMO_OK;
}

static int letter_of(uint32_t type) {
    switch (type) {
    case PMO_TYPE_LIST:
        return '[';
    case PMO_TYPE_DICT:
        return '{';
    case PMO_TYPE_SET:
        return '<';
    default:
        return 0;
    }
}

static int put_object(writer *to, uint64_t offset, unsigned depth) {
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(to->pool, offset, &header));
    int letter = letter_of(header->type);
    if (letter == 0 || depth == PMO_TOKENS_DEEPEST) {
        return PMO_EINVAL;
    }
    if (header->refcount != 1 || depth == 0) {
        const uint64_t *number = pmo_map_find(&to->numbers, offset);
        if (number != NULL) {
            return pmo_token_counted(&to->out, 'r', *number - 1);
        }
        PMO_TRY(pmo_map_add(&to->numbers, offset, to->numbers.count + 1));
        letter |= (int)PMO_TOKEN_NUMBERED;
    }
    pmo_container *container = NULL;
    PMO_TRY(
        pmo_container_at(to->pool, offset, pmo_layout_of(to->pool, header->type), &container));
    if (header->type == PMO_TYPE_DICT) {
        PMO_TRY(pmo_token_letter(&to->out, letter));
        PMO_TRY(put_table(to, container, depth + 1));
        return pmo_token_letter(&to->out, '0');
    }
    PMO_TRY(pmo_token_counted(&to->out, letter, container->state.length));
    return header->type == PMO_TYPE_LIST ? put_list(to, container, depth + 1)
                                         : put_table(to, container, depth + 1);
}

int pmo_graph_write(pmo_pool *pool, uint64_t offset, pmo_batch *stream) {
    PMO_TRY(pmo_usable(pool));
    writer to = {.pool = pool};
    *stream = (pmo_batch){0};
    int status = put_object(&to, offset, 0);
    pmo_map_clear(&to.numbers);
    if (status != PMO_OK) {
        free(to.out.bytes);
        return status;
    }
    stream->data = to.out.bytes;
    stream->data_length = to.out.length;
    stream->owned[2] = to.out.bytes;
    return PMO_OK;
}
