#include "internal.h"

/* Bytes of a body that lies in its object's allocation: when it is exchanged for another
 * its place is lost until the object dies. */
#define SMALL_BODY 512u

static void write_header(uint64_t offset, pmo_header *header, uint32_t type) {
    *header = (pmo_header){.type = type, .check = pmo_header_check(offset, type)};
}

static void write_container(pmo_pool *pool, uint64_t offset, uint32_t type,
                            const pmo_geometry *geometry) {
    pmo_container *container = pmo_at(pool, offset);
    write_header(offset, &container->head, type);
    container->state = (pmo_state){0};
    container->state.check = pmo_state_check(&container->state);
    container->geometry = *geometry;
    container->geometry.check = pmo_geometry_check(geometry);
}

static int object_new(pmo_pool *pool, uint32_t type, uint64_t *offset) {
    const pmo_geometry nothing = {0};
    if (!pmo_is_container(pmo_layout_of(pool, type))) {
        return PMO_ETYPE;
    }
    PMO_TRY(pmo_allocate(pool, sizeof(pmo_container), PMO_NUM_OBJECT, false, offset));
    write_container(pool, *offset, type, &nothing);
    return PMO_OK;
}

int pmo_object_with_body(pmo_pool *pool, uint32_t type, pmo_geometry *geometry,
                         uint64_t *offset) {
    int layout = pmo_layout_of(pool, type);
    uint64_t size = pmo_body_bytes(geometry, layout);
    if (size == 0 || size > SMALL_BODY) {
        PMO_TRY(object_new(pool, type, offset));
        PMO_TRY(pmo_body_reserve(pool, layout, geometry->capacity, geometry->index_slots,
                                 geometry->heap_capacity, geometry));
    } else {
        size += sizeof(pmo_container);
        PMO_TRY(pmo_allocate(pool, size, PMO_NUM_OBJECT, false, offset));
        geometry->body = *offset + sizeof(pmo_container);
    }
    write_container(pool, *offset, type, geometry);
    return PMO_OK;
}

int pmo_object_new(pmo_pool *pool, uint32_t type, uint64_t *offset) {
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, object_new(pool, type, offset));
}

static int stamp(pmo_pool *pool, uint64_t offset, uint32_t type) {
    if (!pmo_is_allocation(pool, offset)) {
        return PMO_EINVAL;
    }
    PMO_TRY(pmo_undo(pool, pmo_at(pool, offset), sizeof(pmo_header)));
    write_header(offset, pmo_at(pool, offset), type);
    return PMO_OK;
}

int pmo_object_stamp(pmo_pool *pool, uint64_t offset, uint32_t type) {
    if (offset % 16 != 0 || pmo_layout_of(pool, type) < 0) {
        return PMO_EINVAL;
    }
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, stamp(pool, offset, type));
}

int pmo_object_info_get(pmo_pool *pool, uint64_t offset, pmo_object_info *info) {
    PMO_TRY(pmo_usable(pool));
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    int layout = pmo_layout_of(pool, header->type);
    if (layout < 0) {
        return pmo_corrupt(pool, offset, "a type code that the type table does not have");
    }
    *info = (pmo_object_info){
        .refcount = header->refcount,
        .type = header->type,
        .layout = (uint32_t)layout,
        .bytes = pmo_taken_bytes(pool, offset),
    };
    if (layout == PMO_LAYOUT_BLOB) {
        PMO_TRY(pmo_bounds(pool, offset, sizeof(pmo_blob)));
        info->length = ((const pmo_blob *)pmo_at(pool, offset))->length;
    } else if (layout == PMO_LAYOUT_RAW) {
        pmo_raw *raw = NULL;
        PMO_TRY(pmo_raw_at(pool, offset, &raw));
        info->length = raw->length;
        for (uint64_t i = 0; i < pmo_raw_extents(raw); i++) {
            info->bytes += pmo_taken_bytes(pool, pmo_raw_extent(raw, i));
        }
    } else if (layout != PMO_LAYOUT_FOREIGN) {
        pmo_container *container = NULL;
        PMO_TRY(pmo_container_at(pool, offset, layout, &container));
        info->length = container->state.length;
        info->used = container->state.used;
        info->capacity = container->geometry.capacity;
        uint64_t body = pmo_body_apart(pool, container);
        info->bytes += body != 0 ? pmo_taken_bytes(pool, body) : 0;
    }
    return PMO_OK;
}

int pmo_reference_add(pmo_pool *pool, uint64_t offset) {
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    PMO_TRY(pmo_undo(pool, &header->refcount, sizeof(uint64_t)));
    header->refcount++;
    return PMO_OK;
}

uint64_t pmo_next_dead(pmo_pool *pool) {
    return pool->foreign_dead.count ? pool->foreign_dead.items[--pool->foreign_dead.count] : 0;
}

/* Is an object there, with at least this reference count? */
static int counted(pmo_pool *pool, uint64_t offset, uint64_t least) {
    PMO_TRY(pmo_usable(pool));
    if (offset == pool->root->types || !pmo_is_allocation(pool, offset)) {
        return PMO_EINVAL;
    }
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    return header->refcount >= least ? PMO_OK : PMO_EINVAL;
}

int pmo_incref(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(counted(pool, offset, 0));
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, pmo_reference_add(pool, offset));
}

int pmo_decref(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(counted(pool, offset, 1));
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, pmo_reference_drop(pool, offset));
}

int pmo_pin(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(pmo_usable(pool));
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    return pmo_map_add(&pool->pins, offset, 1);
}

int pmo_unpin(pmo_pool *pool, uint64_t offset) {
    PMO_TRY(pmo_usable(pool));
    uint64_t *count = pmo_map_find(&pool->pins, offset);
    if (count == NULL) {
        return PMO_OK;
    }
    if (*count > 1) {
        --*count;
        return PMO_OK;
    }
    if (!pool->tx_open && pmemobj_tx_stage() != TX_STAGE_NONE) {
        return PMO_EOTHERPOOL;
    }
    pmo_map_remove(&pool->pins, offset);
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    if (header->refcount > 0) {
        return PMO_OK;
    }
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, pmo_release_orphan(pool, offset));
}

int pmo_unpin_many(pmo_pool *pool, const uint64_t *offsets, uint64_t count, uint64_t *done) {
    while (*done < count) {
        uint64_t offset = offsets[*done];
        int status = offset != 0 ? pmo_unpin(pool, offset) : PMO_OK;
        if (status == PMO_EOTHERPOOL) {
            return status;
        }
        ++*done;
        if (status == PMO_FOREIGN_DEAD) {
            return status;
        }
    }
    return PMO_OK;
}

static uint32_t blob_check(const pmo_blob *blob) {
    uint64_t sum = pmo_payload_sum((const char *)(blob + 1), blob->length);
    return (uint32_t)pmo_fold(sum ^ blob->tag, blob->length);
}

int pmo_blob_write(pmo_pool *pool, uint32_t tag, const char *data, uint64_t length,
                   uint64_t *offset) {
    PMO_TRY(pmo_allocate(pool, sizeof(pmo_blob) + length, PMO_NUM_OBJECT, false, offset));
    pmo_populate(pool, *offset, sizeof(pmo_blob) + length);
    pmo_blob *blob = pmo_at(pool, *offset);
    write_header(*offset, &blob->head, PMO_TYPE_BLOB);
    blob->length = length;
    blob->tag = tag;
    memcpy(blob + 1, data, length);
    blob->check = blob_check(blob);
    return PMO_OK;
}

int pmo_blob_read(pmo_pool *pool, uint64_t offset, pmo_value *value) {
    pmo_header *header = NULL;
    PMO_TRY(pmo_header_at(pool, offset, &header));
    if (header->type != PMO_TYPE_BLOB) {
        return PMO_ETYPE;
    }
    PMO_TRY(pmo_bounds(pool, offset, sizeof(pmo_blob)));
    const pmo_blob *blob = pmo_at(pool, offset);
    PMO_TRY(pmo_bounds(pool, offset + sizeof(pmo_blob), blob->length));
    if (blob->check != blob_check(blob) || blob->tag < PMO_STR) {
        return pmo_corrupt(pool, offset, "a value that does not match its check");
    }
    *value = (pmo_value){
        .tag = blob->tag, .number = (int64_t)blob->length, .data = (const char *)(blob + 1)};
    return PMO_OK;
}

int pmo_blob_new(pmo_pool *pool, uint32_t tag, int64_t number, const char *data,
                 uint64_t *offset) {
    PMO_TRY(pmo_value_valid(tag, number, data));
    if (tag < PMO_STR) {
        return PMO_EINVAL;
    }
    pmo_op op;
    PMO_TRY(pmo_op_begin(pool, &op));
    return pmo_op_end(pool, &op, pmo_blob_write(pool, tag, data, (uint64_t)number, offset));
}

int pmo_blob_get(pmo_pool *pool, uint64_t offset, pmo_value *value) {
    PMO_TRY(pmo_usable(pool));
    return pmo_blob_read(pool, offset, value);
}
