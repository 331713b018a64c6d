/*
 * Runs of values as they cross the interface: made from a stream, taken apart by a feed.
 */
#include <stdlib.h>

#include "internal.h"

void pmo_stream_free(pmo_stream *stream) {
    free(stream->tags.bytes);
    free(stream->numbers.bytes);
    free(stream->data.bytes);
    *stream = (pmo_stream){0};
}

void pmo_stream_reset(pmo_stream *stream) {
    stream->tags.length = 0;
    stream->numbers.length = 0;
    stream->data.length = 0;
}

int pmo_stream_push(pmo_stream *stream, const pmo_value *value) {
    PMO_TRY(pmo_buffer_reserve(&stream->tags, 1));
    PMO_TRY(pmo_buffer_reserve(&stream->numbers, sizeof(int64_t)));
    stream->tags.bytes[stream->tags.length++] = (char)value->tag;
    memcpy(stream->numbers.bytes + stream->numbers.length, &value->number, sizeof(int64_t));
    stream->numbers.length += sizeof(int64_t);
    if (value->tag >= PMO_STR && value->number > 0) {
        uint64_t length = (uint64_t)value->number;
        PMO_TRY(pmo_buffer_reserve(&stream->data, length));
        memcpy(stream->data.bytes + stream->data.length, value->data, length);
        stream->data.length += length;
    }
    return PMO_OK;
}

int pmo_stream_extend(pmo_stream *stream, uint32_t tag, uint64_t count, int64_t **numbers) {
    PMO_TRY(pmo_buffer_reserve(&stream->tags, count));
    PMO_TRY(pmo_buffer_reserve(&stream->numbers, count * sizeof(int64_t)));
    memset(stream->tags.bytes + stream->tags.length, (int)tag, count);
    *numbers = (int64_t *)(void *)(stream->numbers.bytes + stream->numbers.length);
    stream->tags.length += count;
    stream->numbers.length += count * sizeof(int64_t);
    return PMO_OK;
}

void pmo_stream_cut(pmo_stream *stream, uint64_t count) {
    stream->tags.length -= count;
    stream->numbers.length -= count * sizeof(int64_t);
}

void pmo_stream_batch(pmo_stream *stream, pmo_batch *batch) {
    const uint8_t *tags = (const uint8_t *)stream->tags.bytes;
    uint64_t count = stream->tags.length;
    bool uniform = count == 0 || memcmp(tags, tags + 1, count - 1) == 0;
    *batch = (pmo_batch){
        .count = count,
        .tags = uniform ? NULL : tags,
        .numbers = (const int64_t *)(const void *)stream->numbers.bytes,
        .data = stream->data.bytes,
        .data_length = stream->data.length,
        .tag = count ? tags[0] : PMO_EMPTY,
        .owned = {stream->tags.bytes, stream->numbers.bytes, stream->data.bytes},
    };
    *stream = (pmo_stream){0};
}

void pmo_batch_release(pmo_batch *batch) {
    for (int i = 0; i < 3; i++) {
        free(batch->owned[i]);
    }
    *batch = (pmo_batch){0};
}

int pmo_feed_next(pmo_feed *from, pmo_value *value) {
    const pmo_batch *batch = from->batch;
    uint64_t i = from->next++;
    *value = (pmo_value){.tag = batch->tags ? batch->tags[i] : batch->tag,
                         .number = batch->numbers[i],
                         .data = batch->data ? batch->data + from->data_at : ""};
    if (value->tag < PMO_STR) {
        return PMO_OK;
    }
    if (value->number < 0 || (uint64_t)value->number > batch->data_length - from->data_at) {
        return PMO_EINVAL;
    }
    from->data_at += (uint64_t)value->number;
    return PMO_OK;
}
