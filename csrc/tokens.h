/*
 * The words of the streams that Python's marshal reads, written one after the other into a
 * buffer. Each function returns PMO_OK, PMO_ENOMEM or PMO_EINVAL.
 */
#ifndef PMO_TOKENS_H
#define PMO_TOKENS_H

#include "internal.h"

#define PMO_TOKEN_NUMBERED 0x80u /* in an object's letter: it has a number, see graph.c */
#define PMO_TOKEN_DIGIT_BITS 15u /* of an int that takes more than 32 bits */
#define PMO_TOKENS_DEEPEST 200u  /* levels; each is one of C's recursion */

int pmo_token_bytes(pmo_buffer *to, const void *bytes, uint64_t length);
int pmo_token_letter(pmo_buffer *to, int letter);
/* A letter and uint32; PMO_EINVAL: count is larger. */
int pmo_token_counted(pmo_buffer *to, int letter, uint64_t count);
/* A value that is no reference; PMO_EINVAL: streams have none of its kind. As a key a text is
 * interned by the reader, because keys are often the same ones. */
int pmo_token_value(pmo_buffer *to, const pmo_value *value, bool key);

#endif
