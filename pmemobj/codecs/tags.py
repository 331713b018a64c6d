"""The tags of stored values. Those below STR are fixed by the C core; docs/format.md lists all."""

from __future__ import annotations

NONE = 1
FALSE = 2
TRUE = 3
INT = 4
FLOAT = 5
REF = 6

STR = 16
BYTES = 17
BIGINT = 18
COMPLEX = 19
TUPLE = 20
FROZENSET = 21
DECIMAL = 22
FRACTION = 23
DATETIME = 24
DATE = 25
TIME = 26
TIMEDELTA = 27
UUID = 28
PATH = 29
RANGE = 30
ENUM = 31
GLOBAL = 32
PICKLE = 33
NUMPY = 34
ZONE = 35

FIRST_PAYLOAD_TAG = STR

MAX_DEPTH = 50
"""How deep packed tuples and frozensets may be nested in each other."""
