#include "tokens.h"

int pmo_token_bytes(pmo_buffer *to, const void *bytes, uint64_t length) {
    PMO_TRY(pmo_buffer_reserve(to, length));
    memcpy(to->bytes + to->length, bytes, length);
    to->length += length;
    return PMO_OK;
}

int pmo_token_letter(pmo_buffer *to, int letter) {
    const char byte = (char)letter;
    return pmo_token_bytes(to, &byte, 1);
}

int pmo_token_counted(pmo_buffer *to, int letter, uint64_t count) {
    const uint32_t narrow = (uint32_t)count;
    PMO_TRY(count <= INT32_MAX ? pmo_token_letter(to, letter) : PMO_EINVAL);
    return pmo_token_bytes(to, &narrow, sizeof narrow);
}

static int put_int(pmo_buffer *to, int64_t number) {
    const int32_t narrow = (int32_t)number;
    if (narrow == number) {
        PMO_TRY(pmo_token_letter(to, 'i'));
        return pmo_token_bytes(to, &narrow, sizeof narrow);
    }
    uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    uint16_t digits[5];
    int32_t count = 0;
    for (; magnitude; magnitude >>= PMO_TOKEN_DIGIT_BITS) {
        digits[count++] = (uint16_t)(magnitude & ((1u << PMO_TOKEN_DIGIT_BITS) - 1));
    }
    const int32_t head = number < 0 ? -count : count;
    PMO_TRY(pmo_token_letter(to, 'l'));
    PMO_TRY(pmo_token_bytes(to, &head, sizeof head));
    return pmo_token_bytes(to, digits, (uint64_t)count * sizeof digits[0]);
}

static bool is_ascii(const char *text, uint64_t length) {
    unsigned char all = 0;
    for (uint64_t i = 0; i < length; i++) {
        all |= (unsigned char)text[i];
    }
    return all < 0x80;
}

static int put_text(pmo_buffer *to, const pmo_value *value, bool key) {
    uint64_t length = (uint64_t)value->number;
    if (length <= UINT8_MAX && is_ascii(value->data, length)) {
        const uint8_t head[2] = {key ? 'Z' : 'z', (uint8_t)length};
        PMO_TRY(pmo_token_bytes(to, head, sizeof head));
    } else {
        PMO_TRY(pmo_token_counted(to, 'u', length));
    }
    return pmo_token_bytes(to, value->data, length);
}

int pmo_token_value(pmo_buffer *to, const pmo_value *value, bool key) {
    switch (value->tag) {
    case PMO_NONE:
        return pmo_token_letter(to, 'N');
    case PMO_FALSE:
        return pmo_token_letter(to, 'F');
    case PMO_TRUE:
        return pmo_token_letter(to, 'T');
    case PMO_INT:
        return put_int(to, value->number);
    case PMO_FLOAT:
        PMO_TRY(pmo_token_letter(to, 'g'));
        return pmo_token_bytes(to, &value->number, sizeof value->number);
    case PMO_STR:
        return put_text(to, value, key);
    case PMO_BYTES:
        PMO_TRY(pmo_token_counted(to, 's', (uint64_t)value->number));
        return pmo_token_bytes(to, value->data, (uint64_t)value->number);
    default:
        return PMO_EINVAL;
    }
}
