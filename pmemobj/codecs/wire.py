"""Bytes of a payload: sizes, integers, texts, one after the other, each knowing its own length."""

from __future__ import annotations

from pmemobj.errors import PoolCorruptedError

_MAX_SIZE_BYTES = 9
_BYTES = [bytes((number,)) for number in range(256)]


def pack_size(size: int) -> bytes:
    """A non-negative number below 2**63: seven bits a byte, lowest first."""
    if size < 0x80:
        return _BYTES[size]
    packed = bytearray()
    while size >= 0x80:
        packed.append(size & 0x7F | 0x80)
        size >>= 7
    packed.append(size)
    return bytes(packed)


def pack_bytes(data: bytes) -> bytes:
    """The bytes after their size."""
    size = len(data)
    return (_BYTES[size] if size < 0x80 else pack_size(size)) + data


def pack_text(text: str) -> bytes:
    """UTF-8 after its size; lone surrogates survive."""
    return pack_bytes(text.encode("utf-8", "surrogatepass"))


def int_to_bytes(value: int) -> bytes:
    """Little-endian two's complement in as few bytes as hold it, at least one."""
    magnitude = value if value >= 0 else ~value
    return value.to_bytes(magnitude.bit_length() // 8 + 1, "little", signed=True)


def pack_int(value: int) -> bytes:
    """An integer of any size after its size in bytes."""
    if -0x80 <= value < 0x80:
        return b"\1" + _BYTES[value & 0xFF]
    return pack_bytes(int_to_bytes(value))


def int_from_bytes(data: bytes) -> int:
    """The reverse of int_to_bytes.

    Raises:
        PoolCorruptedError: no bytes.
    """
    if not data:
        raise PoolCorruptedError("a stored integer has no bytes")
    return int.from_bytes(data, "little", signed=True)


class Reader:
    """Takes a payload apart: whatever its bytes are, to a value or to PoolCorruptedError."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, size: int) -> bytes:
        """The next *size* bytes."""
        start = self._position
        end = start + size
        if end > len(self._data):
            raise PoolCorruptedError("a stored value ends too early")
        self._position = end
        return self._data[start:end]

    def byte(self) -> int:
        """The next byte as a number."""
        return self.take(1)[0]

    def size(self) -> int:
        """A number written by pack_size."""
        size = 0
        for shift in range(0, 7 * _MAX_SIZE_BYTES, 7):
            byte = self.byte()
            size |= (byte & 0x7F) << shift
            if byte < 0x80:
                return size
        raise PoolCorruptedError("a size in a stored value is out of range")

    def sized(self) -> bytes:
        """Bytes written by pack_bytes."""
        return self.take(self.size())

    def text(self) -> str:
        """A str written by pack_text."""
        try:
            return self.sized().decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise PoolCorruptedError(f"a stored text is no UTF-8: {error.reason}") from error

    def integer(self) -> int:
        """An int written by pack_int."""
        return int_from_bytes(self.sized())

    def rest(self) -> bytes:
        """All bytes that are left."""
        return self.take(len(self._data) - self._position)

    def taken(self) -> bytes:
        """The bytes taken so far."""
        return self._data[: self._position]

    def end(self) -> None:
        """Nothing may be left."""
        if self._position != len(self._data):
            raise PoolCorruptedError("a stored value has bytes too many")
