/*
 * Keys of tables: canonical bytes, hash, comparison.
 *
 * Two keys are one key exactly when their canonical bytes are equal. The first
 * byte is the domain; integers are 8 bytes, little-endian:
 *   'n'              None
 *   'i' int64        bool, int, a float that is an integer within int64 (-0.0 is 0)
 *   'f' bits         every other float
 *   's' UTF-8        str
 *   'b' bytes        bytes
 *   'r' offset       reference
 * These the core derives when the caller passes none (canon_length 0), and the
 * key is stored as a plain cell. Bytes that the caller passes are taken as they
 * are and stored beside the value (a KEYED cell). They may use the forms above:
 * Decimal(1) passes 'i' and 1, and is the same key as 1. For keys that are equal
 * to none of the core's, the caller uses domains of its own.
 */
#include "table.h"

static bool is_word(char domain, uint64_t length) {
    return length == 8 && (domain == 'i' || domain == 'f' || domain == 'r');
}

static void set_word(pmo_key *key, char domain, uint64_t word) {
    key->domain = domain;
    key->bytes = NULL;
    key->length = 0;
    key->word = word;
}

static void set_bytes(pmo_key *key, char domain, const char *bytes, uint64_t length) {
    key->domain = domain;
    key->bytes = length ? bytes : NULL;
    key->length = length;
    key->word = 0;
}

static void set_float(pmo_key *key, int64_t bits) {
    double number;
    memcpy(&number, &bits, sizeof(number));
    if (number >= -PMO_INT64_LIMIT && number < PMO_INT64_LIMIT) {
        int64_t whole = (int64_t)number;
        if ((double)whole == number) {
            set_word(key, 'i', (uint64_t)whole);
            return;
        }
    }
    set_word(key, 'f', (uint64_t)bits);
}

static void set_canon(pmo_key *key, const char *canon, uint64_t length) {
    if (is_word(canon[0], length - 1)) {
        uint64_t word;
        memcpy(&word, canon + 1, sizeof(word));
        set_word(key, canon[0], word);
    } else {
        set_bytes(key, canon[0], canon + 1, length - 1);
    }
}

static int derive(pmo_key *key, const pmo_value *value) {
    switch (value->tag) {
    case PMO_NONE:
        set_bytes(key, 'n', NULL, 0);
        return PMO_OK;
    case PMO_FALSE:
        set_word(key, 'i', 0);
        return PMO_OK;
    case PMO_TRUE:
        set_word(key, 'i', 1);
        return PMO_OK;
    case PMO_INT:
        set_word(key, 'i', (uint64_t)value->number);
        return PMO_OK;
    case PMO_FLOAT:
        set_float(key, value->number);
        return PMO_OK;
    case PMO_REF:
        set_word(key, 'r', (uint64_t)value->number);
        return PMO_OK;
    case PMO_STR:
        set_bytes(key, 's', value->data, (uint64_t)value->number);
        return PMO_OK;
    case PMO_BYTES:
        set_bytes(key, 'b', value->data, (uint64_t)value->number);
        return PMO_OK;
    default:
        return PMO_EINVAL;
    }
}

uint64_t pmo_key_hash(const pmo_pool *pool, const pmo_key *key) {
    const uint64_t *secret = pool->root->hash_key;
    uint64_t domain = (uint64_t)(unsigned char)key->domain;
    if (key->bytes) {
        uint64_t mixed[2] = {secret[0], secret[1] ^ domain};
        return pmo_hash_bytes(mixed, key->bytes, key->length);
    }
    return pmo_fold(pmo_fold(key->word ^ secret[0], secret[1] ^ domain), secret[0]);
}

int pmo_key_make(const pmo_value *value, const char *canon, uint64_t canon_length,
                 pmo_key *key) {
    if (canon_length) {
        set_canon(key, canon, canon_length);
    } else {
        PMO_TRY(derive(key, value));
    }
    key->tag = canon_length ? PMO_KEYED : (uint8_t)value->tag;
    key->composed =
        !canon_length && pmo_cell_compose(value->tag, value->number, value->data, &key->cell);
    return PMO_OK;
}

int pmo_key_stored(pmo_pool *pool, const pmo_heap *heap, const pmo_cell *cell, pmo_key *key) {
    if (cell->tag == PMO_KEYED) {
        const pmo_keyed *record;
        PMO_TRY(pmo_cell_keyed(pool, heap, cell, &record));
        if (record->canon_length == 0) {
            return pmo_corrupt(pool, pmo_offset_of(pool, cell),
                               "a key without canonical bytes");
        }
        set_canon(key, (const char *)(record + 1), record->canon_length);
        return PMO_OK;
    }
    if (cell->tag == PMO_STR && cell->len <= PMO_INLINE_MAX && pmo_cell_intact(cell)) {
        set_bytes(key, 's', cell->inline_bytes, cell->len);
        return PMO_OK;
    }
    if (cell->tag == PMO_REF) { /* the object is not looked at */
        uint64_t offset = 0;
        PMO_TRY(pmo_cell_reference(pool, heap, cell, &offset));
        set_word(key, 'r', offset);
        return PMO_OK;
    }
    pmo_value value;
    PMO_TRY(pmo_cell_read(pool, heap, cell, &value));
    if (derive(key, &value) != PMO_OK) {
        return pmo_corrupt(pool, pmo_offset_of(pool, cell),
                           "a key of a kind that needs a record");
    }
    return PMO_OK;
}

int pmo_key_moved(pmo_pool *pool, const pmo_heap *heap, const pmo_cell *cell, pmo_key *key) {
    if (cell->tag == PMO_STR && cell->len == PMO_LEN_HEAP) {
        set_bytes(key, 's', heap->bytes + cell->word, cell->extent);
        return PMO_OK;
    }
    return pmo_key_stored(pool, heap, cell, key);
}

bool pmo_key_equal(const pmo_key *a, const pmo_key *b) {
    return a->domain == b->domain && a->word == b->word && a->length == b->length &&
           (a->length == 0 || memcmp(a->bytes, b->bytes, a->length) == 0);
}
