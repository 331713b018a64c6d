#include <stdlib.h>
#include <sys/mman.h>

#include "internal.h"

typedef struct leaving {
    const pmo_pool *pool;
    uintptr_t next;
    char *first; /* path of the first file */
    ino_t inode;
} leaving;

static bool same_folder(const char *one, const char *other) {
    const char *end = strrchr(one, '/');
    return end != NULL && strncmp(one, other, (size_t)(end - one) + 1) == 0;
}

static int leave_mapping(const pmo_mapping *at, void *context) {
    leaving *state = context;
    if (at->start != state->next) {
        return 1;
    }
    if (state->first == NULL) {
        state->first = strdup(at->path);
        state->inode = at->inode;
    }
    /* An elastic pool is several files, side by side in one directory. */
    bool own = at->shared && state->first != NULL &&
               (state->pool->parts != NULL ? same_folder(state->first, at->path)
                                           : at->inode == state->inode);
    if (!own) {
        return 1;
    }
    if (!pmo_maps_privatise(at)) {
        (void)mmap((void *)at->start, at->end - at->start, PROT_NONE,
                   MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE | MAP_ANONYMOUS, -1, 0);
    }
    state->next = at->end;
    return 0;
}

void pmo_leave_to_parent(pmo_pool *pool) {
    if (!pool->open) {
        return;
    }
    leaving state = {.pool = pool, .next = (uintptr_t)pool->base};
    (void)pmo_maps_walk(state.next, UINTPTR_MAX, leave_mapping, &state);
    free(state.first);
    pmo_windows_privatise(pool);
}
