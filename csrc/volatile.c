#include <stdlib.h>

#include "internal.h"

int pmo_vector_push(pmo_vector *vector, uint64_t item) {
    if (vector->count == vector->room) {
        uint64_t room = vector->room ? vector->room * 2 : 64;
        uint64_t *items = realloc(vector->items, room * sizeof(uint64_t));
        if (items == NULL) {
            return PMO_ENOMEM;
        }
        vector->items = items;
        vector->room = room;
    }
    vector->items[vector->count++] = item;
    return PMO_OK;
}

void pmo_vector_free(pmo_vector *vector) {
    free(vector->items);
    *vector = (pmo_vector){0};
}

static uint64_t map_slot(const pmo_map *map, uint64_t key) {
    uint64_t mask = map->room - 1;
    uint64_t slot = pmo_fold(key, map->room) & mask;
    while (map->keys[slot] != 0 && map->keys[slot] != key) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

uint64_t *pmo_map_find(pmo_map *map, uint64_t key) {
    if (map->count == 0) {
        return NULL;
    }
    uint64_t slot = map_slot(map, key);
    return map->keys[slot] == key ? &map->counts[slot] : NULL;
}

static int map_grow(pmo_map *map) {
    pmo_map larger = {.room = map->room ? map->room * 2 : 64};
    larger.keys = calloc(larger.room, sizeof(uint64_t));
    larger.counts = malloc(larger.room * sizeof(uint64_t));
    if (larger.keys == NULL || larger.counts == NULL) {
        free(larger.keys);
        free(larger.counts);
        return PMO_ENOMEM;
    }
    for (uint64_t i = 0; i < map->room; i++) {
        if (map->keys[i] != 0) {
            uint64_t slot = map_slot(&larger, map->keys[i]);
            larger.keys[slot] = map->keys[i];
            larger.counts[slot] = map->counts[i];
        }
    }
    larger.count = map->count;
    pmo_map_clear(map);
    *map = larger;
    return PMO_OK;
}

int pmo_map_add(pmo_map *map, uint64_t key, uint64_t count) {
    if (map->count * 2 >= map->room) {
        PMO_TRY(map_grow(map));
    }
    uint64_t slot = map_slot(map, key);
    if (map->keys[slot] == key) {
        map->counts[slot] += count;
    } else {
        map->keys[slot] = key;
        map->counts[slot] = count;
        map->count++;
    }
    return PMO_OK;
}

void pmo_map_remove(pmo_map *map, uint64_t key) {
    if (pmo_map_find(map, key) == NULL) {
        return;
    }
    uint64_t mask = map->room - 1;
    uint64_t hole = map_slot(map, key);
    /* Close the gap, so that probing needs no tombstones. */
    for (uint64_t next = (hole + 1) & mask; map->keys[next] != 0; next = (next + 1) & mask) {
        uint64_t home = pmo_fold(map->keys[next], map->room) & mask;
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            map->keys[hole] = map->keys[next];
            map->counts[hole] = map->counts[next];
            hole = next;
        }
    }
    map->keys[hole] = 0;
    map->count--;
}

void pmo_map_clear(pmo_map *map) {
    free(map->keys);
    free(map->counts);
    *map = (pmo_map){0};
}

void pmo_map_empty(pmo_map *map) {
    if (map->count > 0 && map->room <= 1024) {
        memset(map->keys, 0, map->room * sizeof(uint64_t));
        map->count = 0;
    } else if (map->count > 0) {
        pmo_map_clear(map);
    }
}

int pmo_buffer_reserve(pmo_buffer *buffer, uint64_t extra) {
    if (buffer->room - buffer->length >= extra) {
        return PMO_OK;
    }
    uint64_t room = buffer->room ? buffer->room : 4096;
    while (room - buffer->length < extra) {
        room *= 2;
    }
    char *bytes = realloc(buffer->bytes, room);
    if (bytes == NULL) {
        return PMO_ENOMEM;
    }
    buffer->bytes = bytes;
    buffer->room = room;
    return PMO_OK;
}

static inline uint64_t rotate(uint64_t x, int bits) {
    return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

uint64_t pmo_hash_bytes(const uint64_t key[2], const void *data, uint64_t length) {
    const char *bytes = data;
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575ull, key[1] ^ 0x646f72616e646f6dull,
                     key[0] ^ 0x6c7967656e657261ull, key[1] ^ 0x7465646279746573ull};
    uint64_t tail = length << 56;
    for (; length >= 8; length -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    tail |= pmo_load_short(bytes, length);
    v[3] ^= tail;
    sip_round(v);
    v[0] ^= tail;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
