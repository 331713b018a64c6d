#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "internal.h"

int pmo_exchange(const char *one, const char *other, pmo_failure_info *failure) {
    if (renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) == 0) {
        return PMO_OK;
    }
    *failure = (pmo_failure_info){.error = errno};
    return PMO_ESYSTEM;
}
