/* The root cell and the type table. */
#include "internal.h"

int pmo_root_get(pmo_pool *pool, pmo_value *value) {
    PMO_TRY(pmo_usable(pool));
    return pmo_cell_read(pool, NULL, &pool->root->root, value);
}

static int root_set(pmo_pool *pool, uint32_t tag, int64_t number, const char *data) {
    pmo_cell *cell = &pool->root->root;
    const pmo_cell old = *cell;
    pmo_cell made;
    PMO_TRY(pmo_cell_make(pool, NULL, tag, number, data, &made));
    PMO_TRY(pmo_undo(pool, cell, sizeof *cell));
    *cell = made;
    return pmo_cell_drop(pool, NULL, &old);
}

int pmo_root_set(pmo_pool *pool, uint32_t tag, int64_t number, const char *data) {
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, root_set(pool, tag, number, data));
}

int pmo_type_define(pmo_pool *pool, uint32_t layout, const char *name, uint64_t length,
                    uint32_t *code) {
    PMO_TRY(pmo_usable(pool));
    if (layout > PMO_LAYOUT_DICT || length < 3) {
        return PMO_EINVAL;
    }
    PMO_TRY(pmo_sequence_append(pool, pool->root->types, PMO_STR, (int64_t)length, name));
    PMO_TRY(pmo_vector_push(&pool->layouts, layout));
    *code = PMO_FIRST_USER_TYPE + (uint32_t)pool->layouts.count - 1;
    return PMO_OK;
}

int64_t pmo_type_count(pmo_pool *pool) {
    PMO_TRY(pmo_usable(pool));
    return (int64_t)pool->layouts.count;
}

int pmo_type_get(pmo_pool *pool, uint32_t code, uint32_t *layout, pmo_value *name) {
    PMO_TRY(pmo_usable(pool));
    if (code < PMO_FIRST_USER_TYPE || code - PMO_FIRST_USER_TYPE >= pool->layouts.count) {
        return PMO_EINVAL;
    }
    uint64_t index = code - PMO_FIRST_USER_TYPE;
    *layout = (uint32_t)pool->layouts.items[index];
    return pmo_sequence_get(pool, pool->root->types, (int64_t)index, name);
}
