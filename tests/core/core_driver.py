"""A pool and its containers, driven through the C interface alone."""

from __future__ import annotations

import shutil
import struct
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from pmemobj._native import ffi, lib

MIB = 1024 * 1024
DECIMAL = 22  # a payload tag that the core does not know
INT64 = range(-(2**63), 2**63)


class CoreError(Exception):
    """A negative status of the core."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"status {status}: {text}")
        self.status = status


class Reference:
    """The offset of a stored object, as a value."""

    def __init__(self, offset: int) -> None:
        self.offset = offset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and other.offset == self.offset

    def __hash__(self) -> int:
        return hash(("reference", self.offset))

    def __repr__(self) -> str:
        return f"Reference({self.offset:#x})"


def encode(value: Any) -> tuple[int, int, bytes]:
    if value is None:
        return lib.PMO_NONE, 0, b""
    if isinstance(value, bool):
        return (lib.PMO_TRUE if value else lib.PMO_FALSE), 0, b""
    if isinstance(value, int):
        return lib.PMO_INT, value, b""
    if isinstance(value, float):
        return lib.PMO_FLOAT, struct.unpack("<q", struct.pack("<d", value))[0], b""
    if isinstance(value, Reference):
        return lib.PMO_REF, value.offset, b""
    if isinstance(value, Decimal):
        text = str(value).encode()
        return DECIMAL, len(text), text
    tag = lib.PMO_STR if isinstance(value, str) else lib.PMO_BYTES
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    return tag, len(data), data


def decode(tag: int, number: int, data: bytes) -> Any:
    if tag == lib.PMO_NONE:
        return None
    if tag in (lib.PMO_FALSE, lib.PMO_TRUE):
        return tag == lib.PMO_TRUE
    if tag == lib.PMO_INT:
        return number
    if tag == lib.PMO_FLOAT:
        return struct.unpack("<d", struct.pack("<q", number))[0]
    if tag == lib.PMO_REF:
        return Reference(number)
    if tag == DECIMAL:
        return Decimal(data.decode())
    return data.decode("utf-8", "surrogatepass") if tag == lib.PMO_STR else data


def canon(key: Any) -> bytes:
    """What a caller passes beside a key: nothing where the core derives it."""
    if not isinstance(key, Decimal):
        return b""
    if key == key.to_integral_value() and int(key) in INT64:
        return b"i" + struct.pack("<q", int(key))
    if Decimal(float(key)) == key:
        return b"f" + struct.pack("<d", float(key))
    return b"D" + str(key.normalize()).encode()


class Batch:
    """A filled pmo_batch and the memory it points to."""

    def __init__(self, values: list[Any]) -> None:
        triples = [encode(value) for value in values]
        tags = bytes(triple[0] for triple in triples)
        uniform = len(set(tags)) == 1
        self.pointer = ffi.new("pmo_batch *")
        self._tags = ffi.from_buffer("uint8_t[]", tags or b"\0")
        self._numbers = array("q", [triple[1] for triple in triples] or [0])
        self._data = b"".join(triple[2] for triple in triples)
        self.pointer.count = len(values)
        self.pointer.tags = ffi.NULL if uniform else self._tags
        self.pointer.tag = tags[0] if uniform else 0
        self.pointer.numbers = ffi.from_buffer("int64_t[]", self._numbers)
        self._kept = (self.pointer.numbers, ffi.from_buffer(self._data))
        self.pointer.data = self._kept[1]
        self.pointer.data_length = len(self._data)


class Keys:
    """A filled pmo_keys and the memory it points to."""

    def __init__(self, keys: list[Any]) -> None:
        self._batch = Batch(keys)
        canons = (
            [canon(key) for key in keys] if any(isinstance(key, Decimal) for key in keys) else []
        )
        self.pointer = ffi.new("pmo_keys *")
        self.pointer.values = self._batch.pointer[0]
        if any(canons):
            lengths = array("q", [len(one) or -1 for one in canons])
            self._kept = (
                ffi.from_buffer("int64_t[]", lengths),
                ffi.from_buffer(b"".join(canons)),
                lengths,
            )
            self.pointer.canon_lengths, self.pointer.canon = self._kept[:2]


class Core:
    """One pool file, open; every method is one call of the core."""

    def __init__(self, path: Path, size: int = 64 * MIB) -> None:
        """Create the file, unless it exists, and open it."""
        self.path = path
        if not path.exists():
            self._create(path, size)
        self.open()

    @staticmethod
    def _create(path: Path, size: int) -> None:
        failure = ffi.new("pmo_failure_info *")
        status = lib.pmo_create(bytes(path), size, 0o600, failure)
        if status:
            raise CoreError(status, ffi.string(failure.text).decode())

    def open(self) -> None:
        failure = ffi.new("pmo_failure_info *")
        pool = ffi.new("pmo_pool **")
        policy = lib.PMO_POLICY_PROCESS
        status = lib.pmo_open(bytes(self.path), b"", policy, b"test", pool, failure)
        if status:
            raise CoreError(status, ffi.string(failure.text).decode())
        self.ctx = pool[0]
        self.check(lib.pmo_accept(self.ctx, b"test"))

    def close(self) -> None:
        if self.ctx != ffi.NULL:
            lib.pmo_close(self.ctx)
            lib.pmo_release(self.ctx)
            self.ctx = ffi.NULL

    def discard(self) -> None:
        """Close and delete the file: pools are large and pytest keeps what tests leave."""
        self.close()
        self.path.unlink()

    def reopen(self) -> None:
        self.close()
        self.open()

    def crash_images(self, action: Callable[[], Any], limit: int = 1000) -> list[Path]:
        """Run action; copies of the file as a crash at each of its persist points leaves it."""
        images: list[Path] = []

        @ffi.callback("pmo_persist_observer")
        def observe(address: Any, size: int) -> None:
            if len(images) < limit:
                images.append(self.path.with_name(f"{self.path.name}-{len(images)}"))
                shutil.copyfile(self.path, images[-1])

        lib.pmo_observe_persists(observe)
        try:
            action()
        finally:
            lib.pmo_observe_persists(ffi.NULL)
        return images

    def check(self, status: int) -> int:
        """status itself unless it is an error, which is raised."""
        if status < 0:
            failure = ffi.new("pmo_failure_info *")
            lib.pmo_failure(self.ctx, failure)
            raise CoreError(status, ffi.string(failure.text).decode())
        return status

    def begin(self) -> None:
        self.check(lib.pmo_tx_begin(self.ctx))

    def commit(self) -> None:
        self.check(lib.pmo_tx_commit(self.ctx))

    def abort(self) -> None:
        self.check(lib.pmo_tx_abort(self.ctx))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.begin()
        yield
        self.commit()

    def new(self, type_code: int) -> int:
        """A new object that the root refers to no further: one reference is counted."""
        offset = ffi.new("uint64_t *")
        self.check(lib.pmo_object_new(self.ctx, type_code, offset))
        self.check(lib.pmo_incref(self.ctx, offset[0]))
        return int(offset[0])

    def info(self, offset: int) -> Any:
        info = ffi.new("pmo_object_info *")
        self.check(lib.pmo_object_info_get(self.ctx, offset, info))
        return info

    def used(self) -> int:
        """Bytes allocated in the pool."""
        info = ffi.new("pmo_pool_info *")
        self.check(lib.pmo_info(self.ctx, info))
        return int(info.used)

    def counters(self) -> Any:
        counters = ffi.new("pmo_counters *")
        lib.pmo_count(self.ctx, counters)
        return counters

    def verify(self, offset: int) -> None:
        """All invariants of one object hold."""
        self.check(lib.pmo_object_check(self.ctx, offset))

    def decoded(self, value: Any) -> Any:
        payload = value.tag >= lib.PMO_STR
        return decode(
            value.tag, value.number, ffi.buffer(value.data, value.number)[:] if payload else b""
        )

    def unpack(self, batch: Any) -> list[Any]:
        """The values of a filled pmo_batch."""
        values, at = [], 0
        for i in range(batch.count):
            tag = batch.tag if batch.tags == ffi.NULL else batch.tags[i]
            number = batch.numbers[i]
            length = number if tag >= lib.PMO_STR else 0
            values.append(decode(tag, number, ffi.buffer(batch.data + at, length)[:]))
            at += length
        return values
