"""What a stored value becomes while something that it needs is not there."""

from __future__ import annotations

from pmemobj.codecs.registry import CANONICALS, ENCODERS
from pmemobj.errors import MissingAttributeError, MissingClassError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


UNTRUSTED = {
    "reason": "it could run any code, and this pool is not trusted",
    "advice": "open the pool with allow_pickle=True if you trust all who could write to it",
}
"""Keywords for a placeholder of what an untrusted pool does not get."""


class Missing:
    """A placeholder for a stored value whose class, function or data cannot be found.

    Nothing is lost: stored again it is the very same bytes, and read again it is the value
    itself as soon as the definition exists. Equal placeholders stand for equal bytes.

    Attributes:
        what: what is missing, such as ``class analysis:Model``.
        name: its name alone, such as ``analysis:Model``.
        reason: why it was not found.
        advice: what to do, to have the value itself.
        tag, payload: the stored form.
        canon: its canonical bytes as a key.
    """

    __slots__ = ("advice", "canon", "name", "payload", "reason", "tag", "what")

    tag: int
    payload: bytes
    what: str
    name: str
    reason: str
    advice: str
    canon: bytes

    def __init__(
        self,
        tag: int,
        payload: bytes,
        *,
        what: str,
        name: str,
        reason: str,
        advice: str = "define or import it, then read the value again",
        canon: bytes | None = None,
    ) -> None:
        self.tag = tag
        self.payload = payload
        self.what = what
        self.name = name
        self.reason = reason
        self.advice = advice
        self.canon = b"M" + bytes((tag,)) + payload if canon is None else canon

    def __repr__(self) -> str:
        return f"<missing {self.what}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Missing):
            return NotImplemented
        return self.tag == other.tag and self.payload == other.payload

    def __hash__(self) -> int:
        return hash((self.tag, self.payload))

    def __reduce__(self) -> tuple[object, ...]:
        from pmemobj.codecs import decode

        return decode, (self.tag, len(self.payload), self.payload)

    def _explain(self) -> str:
        return f"{self.what} is missing ({self.reason}); the stored value is safe: {self.advice}"

    def _used(self, *_args: object, **_keywords: object) -> NoReturn:
        raise MissingClassError(self._explain(), name=self.name)

    def __getattr__(self, _name: str) -> NoReturn:
        raise MissingAttributeError(self._explain(), name=self.name)

    __call__ = _used
    __contains__ = _used
    __enter__ = _used
    __exit__ = _used
    __getitem__ = _used
    __instancecheck__ = _used
    __iter__ = _used
    __mro_entries__ = _used
    __subclasscheck__ = _used


def _encode_missing(value: Missing) -> tuple[int, int, bytes]:
    return value.tag, len(value.payload), value.payload


ENCODERS[Missing] = _encode_missing
CANONICALS[Missing] = lambda value: value.canon
