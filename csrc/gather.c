#include "internal.h"

int pmo_gather(const char *records, uint64_t count, int letter, uint32_t width,
               int64_t *numbers) {
    if (width != 4 && width != 8) {
        return PMO_EINVAL;
    }
    for (uint64_t i = 0; i < count; i++, records += width + 1) {
        if (*records != letter) {
            return PMO_EINVAL;
        }
        int32_t narrow;
        memcpy(&narrow, records + 1, sizeof narrow);
        numbers[i] = narrow;
        if (width == 8) {
            memcpy(&numbers[i], records + 1, sizeof numbers[i]);
        }
    }
    return PMO_OK;
}
