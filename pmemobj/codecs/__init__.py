"""Immutable values to bytes and back, exactly.

A leaf crosses to the C core as (tag, number, data): see tags.py for the tags, leaves.py and its
siblings for the payloads, keys.py for what makes two keys equal.
"""

from __future__ import annotations

import pmemobj.codecs.references  # registers functions and classes  # noqa: F401
from pmemobj.codecs.batches import (
    Batch,
    KeyBatch,
    decode_batch,
    encode_batch,
    encode_key_batch,
)
from pmemobj.codecs.keys import DERIVED_KEYS, EncodedKey, canonical, encode_key
from pmemobj.codecs.leaves import SIMPLE
from pmemobj.codecs.missing import Missing
from pmemobj.codecs.registry import CANONICALS, ENCODERS, Encoded
from pmemobj.codecs.tags import (
    BIGINT,
    BYTES,
    COMPLEX,
    DATE,
    DATETIME,
    DECIMAL,
    ENUM,
    FALSE,
    FIRST_PAYLOAD_TAG,
    FLOAT,
    FRACTION,
    FROZENSET,
    GLOBAL,
    INT,
    MAX_DEPTH,
    NONE,
    PATH,
    PICKLE,
    RANGE,
    REF,
    STR,
    TIME,
    TIMEDELTA,
    TRUE,
    TUPLE,
    UUID,
)
from pmemobj.codecs.values import MAX_PACKED, decode, encode, not_a_leaf

__all__ = [
    "BIGINT",
    "BYTES",
    "CANONICALS",
    "COMPLEX",
    "DATE",
    "DATETIME",
    "DECIMAL",
    "DERIVED_KEYS",
    "ENCODERS",
    "ENUM",
    "FALSE",
    "FIRST_PAYLOAD_TAG",
    "FLOAT",
    "FRACTION",
    "FROZENSET",
    "GLOBAL",
    "INT",
    "MAX_DEPTH",
    "MAX_PACKED",
    "NONE",
    "PATH",
    "PICKLE",
    "RANGE",
    "REF",
    "SIMPLE",
    "STR",
    "TIME",
    "TIMEDELTA",
    "TRUE",
    "TUPLE",
    "UUID",
    "Batch",
    "Encoded",
    "EncodedKey",
    "KeyBatch",
    "Missing",
    "canonical",
    "decode",
    "decode_batch",
    "encode",
    "encode_batch",
    "encode_key",
    "encode_key_batch",
    "encode_pickle",
    "encode_pickle_key",
    "equal_leaf",
    "not_a_leaf",
]


def equal_leaf(value: object) -> object | None:
    """See equals.equal_leaf; numbers is imported at the first call."""
    from pmemobj.codecs import equals

    return equals.equal_leaf(value)


def encode_pickle(value: object) -> Encoded:
    """See pickles.encode_pickle; pickle is imported at the first call."""
    from pmemobj.codecs import pickles

    return pickles.encode_pickle(value)


def encode_pickle_key(value: object) -> EncodedKey:
    """See pickles.encode_pickle_key; pickle is imported at the first call."""
    from pmemobj.codecs import pickles

    return pickles.encode_pickle_key(value)
