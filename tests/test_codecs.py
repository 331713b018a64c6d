"""Exact round trips of immutable values, one canonical form for equal keys, damage told as such."""

from __future__ import annotations

import copy
import enum
import io
import math
import pathlib
import pickle
import struct
import sys
import textwrap
import types
import uuid
from array import array
from collections import OrderedDict, namedtuple
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import run

from pmemobj import codecs
from pmemobj.codecs import (
    Missing,
    canonical,
    decode,
    decode_batch,
    encode,
    encode_batch,
    encode_key,
    encode_key_batch,
    encode_pickle,
    encode_pickle_key,
)
from pmemobj.errors import MissingClassError, PoolCorruptedError, UnstorableError

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


def double(bits: int) -> float:
    number: float = struct.unpack("<d", struct.pack("<Q", bits))[0]
    return number


SIGNALLING_NAN = double(0x7FF0_0000_0000_0001)
NEGATIVE_NAN = double(0xFFF8_0000_0000_1234)


class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796 - an alias is meant
    GREEN = "a value of another type"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2**70


class Name(str, enum.Enum):
    ANNA = "anna"


class Pair(tuple[int, int], enum.Enum):
    ONE_TWO = (1, 2)


class Day(date, enum.Enum):
    FIRST = 2024, 1, 1


class Odd(int, enum.Enum):
    """Equality of its own: never the same key as the number."""

    ONE = 1

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return 1


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Mode(enum.IntFlag):
    A = 1
    B = 2


class Outer:
    class Inner(enum.Enum):
        X = 1

    def method(self) -> None: ...


class Text(str): ...


class Number(int): ...


class Money(Decimal): ...


class Where(PosixPath): ...


class Odometer:
    """A nominated type: an immutable value without a codec."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Odometer) and self.count == other.count

    def __hash__(self) -> int:
        return hash(self.count)


class OtherZone(tzinfo):
    def utcoffset(self, _when: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, _when: datetime | None) -> None:
        return None

    def tzname(self, _when: datetime | None) -> str:
        return "other"


Point = namedtuple("Point", "x y")


def exactly(number: float) -> Decimal:
    return Decimal(number)


def kind(value: object) -> str:
    return type(value).__name__


def kinds(values: object) -> str:
    return "-".join(map(kind, values)) if isinstance(values, list) else repr(values)


def module_function() -> None: ...


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit: type, sign of zero, NaN payload, fold, zone, nested values."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float) and type(a) is float:
        return struct.pack("<d", a) == struct.pack("<d", b)
    if type(a) is complex:
        return same(a.real, b.real) and same(a.imag, b.imag)
    if type(a) is tuple:
        return len(a) == len(b) and all(map(same, a, b))
    if type(a) is frozenset:
        return sorted(map(encode_or_fail, a)) == sorted(map(encode_or_fail, b))
    if type(a) is Decimal:
        return a.as_tuple() == b.as_tuple()  # type: ignore[no-any-return]
    if isinstance(a, (datetime, time)) and not isinstance(a, enum.Enum):
        return a.replace(tzinfo=None) == b.replace(tzinfo=None) and (
            a.fold == b.fold and same_zone(a.tzinfo, b.tzinfo)
        )
    if isinstance(a, tzinfo):
        return same_zone(a, b)
    if type(a) is uuid.UUID:
        return a == b and a.is_safe is b.is_safe
    if type(a) is range:
        return (a.start, a.stop, a.step) == (b.start, b.stop, b.step)
    if isinstance(a, enum.Flag) and type(a)(a.value) is not a:
        return a.value == b.value  # Python 3.11.2 makes unknown flags anew
    if type(a) in (types.FunctionType, types.BuiltinFunctionType, type) or isinstance(a, enum.Enum):
        return a is b
    return bool(a == b)


def same_zone(a: tzinfo | None, b: tzinfo | None) -> bool:
    if isinstance(a, timezone) and isinstance(b, timezone):
        return a.__getinitargs__() == b.__getinitargs__()  # type: ignore[attr-defined,no-any-return]
    return a is b


def encode_or_fail(value: object) -> tuple[int, int, bytes]:
    encoded = encode(value)
    assert encoded is not None, f"{value!r} is no leaf"
    return encoded


def check_round_trip(value: object) -> None:
    tag, number, data = encode_or_fail(value)
    assert -(2**63) <= number < 2**63
    if tag >= codecs.FIRST_PAYLOAD_TAG:
        assert number == len(data)
    else:
        assert data == b""
    back = decode(tag, number, data)
    assert same(back, value), f"{value!r} came back as {back!r}"
    assert encode(back) == (tag, number, data)


EXACT = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    -(2**63) - 1,
    255,
    -256,
    10**6000,
    -(10**6000),
    0.0,
    -0.0,
    1.0,
    5e-324,
    math.inf,
    -math.inf,
    math.nan,
    SIGNALLING_NAN,
    NEGATIVE_NAN,
    complex(-0.0, 0.0),
    complex(0.0, -0.0),
    complex(NEGATIVE_NAN, SIGNALLING_NAN),
    complex(math.inf, -1),
    "",
    "a\0b",
    "\ud800",
    "\udc80\ud83d\ude00",
    "\U0001f600",
    "é",
    b"",
    b"\0\xff",
    (),
    (1, 1.0, True, None, "a", b"a", (), ((2**70,), frozenset({1, "x"}))),
    frozenset(),
    frozenset({frozenset({1}), (), "\ud800"}),
    Decimal(0),
    Decimal("-0E+7"),
    Decimal("1.50"),
    Decimal("1E+999999999999999999"),
    Decimal("-1E-1999999999999999997"),
    Decimal("NaN"),
    Decimal("-NaN123"),
    Decimal("sNaN"),
    Decimal("-sNaN99"),
    Decimal("-Infinity"),
    Decimal("1" * 5000),
    Fraction(0),
    Fraction(-1, 3),
    Fraction(10**5000, 3),
    datetime.min,
    datetime.max,
    datetime(2024, 10, 27, 2, 30, 15, 999999, fold=1),
    datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
    datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN),
    datetime(2024, 1, 1, tzinfo=timezone.utc),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(0), "UTC")),
    datetime(2024, 1, 1, tzinfo=timezone(-timedelta(hours=5, microseconds=1))),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1), "C\ud800T")),
    date.min,
    date.max,
    time(),
    time(23, 59, 59, 999999, fold=1),
    time(1, tzinfo=timezone.utc),
    time(1, tzinfo=BERLIN),
    timedelta.min,
    timedelta.max,
    timedelta(microseconds=-1),
    timezone.utc,
    timezone(timedelta(0), "UTC"),
    timezone(-timedelta(hours=23, microseconds=1)),
    timezone(timedelta(hours=1), "C\ud800T"),
    BERLIN,
    ZoneInfo("UTC"),
    uuid.UUID(int=0),
    uuid.UUID(int=2**128 - 1, is_safe=uuid.SafeUUID.safe),
    uuid.UUID(int=1, is_safe=uuid.SafeUUID.unsafe),
    PurePosixPath(),
    PurePosixPath("a/../b"),
    PosixPath("/x\udc80"),
    PosixPath("//net/x"),
    PureWindowsPath("C:/A/b"),
    PureWindowsPath("c:a"),
    PureWindowsPath("//host/share/x"),
    range(0),
    range(5, 5, 7),
    range(2**80, -(2**80), -3),
    Colour.RED,
    Colour.GREEN,
    Size.SMALL,
    Size.LARGE,
    Name.ANNA,
    Pair.ONE_TWO,
    Day.FIRST,
    Odd.ONE,
    Outer.Inner.X,
    Access.READ,
    Access.READ | Access.WRITE,
    Access(0),
    Mode.A | Mode.B,
    Mode(8),
    uuid.SafeUUID.safe,
    module_function,
    Outer.method,
    math.sin,
    len,
    int,
    Outer,
    Outer.Inner,
    Colour,
    type,
    type(None),
    types.FunctionType,
    OrderedDict,
    Ellipsis,
    NotImplemented,
]


@pytest.mark.parametrize("value", EXACT, ids=kind)
def test_a_value_comes_back_to_the_last_bit(value: object) -> None:
    check_round_trip(value)
    check_round_trip((value, value))


def test_what_came_back_is_the_singleton_that_it_was() -> None:
    assert decode(*encode_or_fail(datetime(1, 1, 1, tzinfo=timezone.utc))).tzinfo is timezone.utc  # type: ignore[attr-defined]
    assert decode(*encode_or_fail(datetime(1, 1, 1, tzinfo=BERLIN))).tzinfo is BERLIN  # type: ignore[attr-defined]
    assert decode(*encode_or_fail(Colour.CRIMSON)) is Colour.RED


zones = st.one_of(
    st.none(),
    st.sampled_from([timezone.utc, BERLIN, NEW_YORK, ZoneInfo("UTC")]),
    st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
folds = st.integers(0, 1)
datetimes = st.builds(
    lambda when, zone, fold: when.replace(tzinfo=zone, fold=fold),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)),
    zones,
    folds,
)
times = st.builds(lambda when, zone: when.replace(tzinfo=zone), st.times(), zones)
texts = st.text(st.characters(exclude_categories=[]))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.floats(),
    st.complex_numbers(),
    texts,
    st.binary(),
    st.decimals().filter(lambda number: not number.is_snan()),
    st.fractions(),
    datetimes,
    st.dates(),
    times,
    st.timedeltas(),
    st.uuids(),
    st.builds(range, st.integers(), st.integers(), st.integers(1)),
    st.sampled_from([*Colour, *Size, *Name, *Odd, Access.READ | Access.WRITE, len, int, ...]),
    st.lists(st.text("ab.C:/\\"), max_size=4).map(lambda parts: PurePosixPath(*parts)),
)
leaves = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(tuple), st.frozensets(inner, max_size=4)
    ),
    max_leaves=12,
)


@given(leaves)
def test_any_value_comes_back(value: object) -> None:
    check_round_trip(value)


def test_the_decimal_context_has_no_part_in_it() -> None:
    value = Decimal("1E+50")
    tag, number, data = encode_or_fail(value)
    with localcontext(Context(prec=2, Emax=5, Emin=-5, capitals=0, traps=[])):
        assert encode(value) == (tag, number, data)
        assert same(decode(tag, number, data), value)
        assert canonical(value) == canonical(10**50)
        with pytest.raises(PoolCorruptedError):
            decode(tag, 3, b"one")


def test_a_frozenset_has_one_form() -> None:
    values = [0, 8, 16, "a", "b", None, 1.5]
    assert encode(frozenset(values)) == encode(frozenset(reversed(values)))


def nested(depth: int) -> tuple[object, ...]:
    value: tuple[object, ...] = ()
    for _ in range(depth - 1):
        value = (value,)
    return value


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        set(),
        bytearray(),
        object(),
        Text("x"),
        Number(1),
        Money(1),
        Where("/x"),
        Point(1, 2),
        OrderedDict(),
        memoryview(b""),
        sys,
        (1, []),
        frozenset({object()}),
        (1, lambda: None),
        nested(codecs.MAX_DEPTH + 1),
        ("x" * codecs.MAX_PACKED,),
        Outer().method,
        tuple(range(codecs.MAX_PACKED)),
    ],
    ids=kind,
)
def test_no_leaf(value: object) -> None:
    assert encode(value) is None


def test_the_deepest_tuple_that_is_a_leaf() -> None:
    check_round_trip(nested(codecs.MAX_DEPTH))


def test_references_shared_by_tuples_do_not_multiply() -> None:
    value: tuple[object, ...] = ()
    for _ in range(codecs.MAX_DEPTH - 1):
        value = (value, value)
    assert encode(value) is None


def local_enum() -> enum.Enum:
    class Local(enum.Enum):
        X = 1

    return Local.X


def local_function() -> object:
    def inner() -> None: ...

    return inner


def replaced() -> object:
    stranger = types.FunctionType(module_function.__code__, {}, "module_function")
    stranger.__module__, stranger.__qualname__ = __name__, "module_function"
    return stranger


def nowhere() -> object:
    return type("Nowhere", (), {"__module__": __name__, "__qualname__": "Nowhere"})


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (lambda: None, "def"),
        (local_function(), "local to a function"),
        (local_enum(), "local to a function"),
        (type(local_enum()), "local to a function"),
        (replaced(), "defined again"),
        (nowhere(), "cannot be found"),
        ([].append, "bound to an object"),
        (datetime(2024, 1, 1, tzinfo=OtherZone()), "persist_via_pickle"),
        (time(1, tzinfo=OtherZone()), "OtherZone"),
    ],
)
def test_what_would_not_be_found_again_is_refused_with_the_reason(value: object, says: str) -> None:
    with pytest.raises(UnstorableError, match=says):
        encode(value)


def test_a_zone_without_a_key_is_refused() -> None:
    header = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    zone = ZoneInfo.from_file(io.BytesIO(header + bytes(6) + b"UTC\0"))
    with pytest.raises(UnstorableError, match="no key"):
        encode(datetime(2024, 1, 1, tzinfo=zone))
    with pytest.raises(UnstorableError, match="no key"):
        encode(zone)


# ---- placeholders ---------------------------------------------------------------------------


@pytest.fixture
def analysis(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A module that a test can forget and bring back."""
    module = types.ModuleType("an_analysis")
    source = """
    import enum
    class Model:
        class Part: ...
    def fit(): ...
    class Kind(enum.Enum):
        A = 1
    class Level(enum.IntEnum):
        LOW = 3
    class Bits(enum.Flag):
        X = 1
        Y = 2
    class Reading:
        def __eq__(self, other): return type(other) is Reading
        def __hash__(self): return 7
    """
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(textwrap.dedent(source), vars(module))
    yield module


def stored_forms(module: Any) -> list[tuple[int, int, bytes]]:
    values = [
        module.Model,
        module.Model.Part,
        module.fit,
        module.Kind.A,
        module.Level.LOW,
        module.Bits.X | module.Bits.Y,
    ]
    return [*map(encode_or_fail, values), encode_pickle(module.Reading())]


def test_a_placeholder_loses_nothing(analysis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    forms = stored_forms(analysis)
    values = [decode(*form) for form in forms]
    together = encode_or_fail(tuple(values[:-1]))
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, analysis.__name__)
        for form, value in zip(forms, values, strict=True):
            missing = decode(*form)
            assert isinstance(missing, Missing)
            assert encode(missing) == form
            assert missing == decode(*form)
            assert hash(missing) == hash(decode(*form))
            assert missing.name.startswith("an_analysis:")
            assert missing.name in repr(missing)
            assert same(pickle.loads(pickle.dumps(missing)), missing)
            assert same(copy.deepcopy(missing), missing)
            if form[0] != codecs.PICKLE:
                with pytest.MonkeyPatch.context() as back:
                    back.setitem(sys.modules, analysis.__name__, analysis)
                    key = encode_key(value)
                assert encode_key(missing) == key
        packed = decode(*together)
        assert isinstance(packed, tuple)
        assert all(isinstance(item, Missing) for item in packed)
        assert encode(packed) == together
    assert all(map(same, [decode(*form) for form in forms], values))
    assert decode(*together) == tuple(values[:-1])


def test_using_a_placeholder_names_what_is_missing(
    analysis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = encode_or_fail(analysis.fit)
    del analysis.fit
    missing: Any = decode(*form)
    assert "function an_analysis:fit" in repr(missing)
    uses: list[Any] = [
        lambda: missing(1, a=2),
        lambda: missing.anything,
        lambda: missing[0],
        lambda: iter(missing),
        lambda: 1 in missing,
        lambda: isinstance(1, missing),
        lambda: issubclass(int, missing),
        lambda: types.new_class("Sub", (missing,)),
    ]
    for use in uses:
        with pytest.raises(MissingClassError, match="an_analysis:fit") as caught:
            use()
        assert caught.value.name == "an_analysis:fit"
    assert not hasattr(missing, "_repr_html_")
    assert missing != form


def test_a_member_that_was_removed_is_missing(analysis: Any) -> None:
    form = encode_or_fail(analysis.Kind.A)
    exec("class Kind(enum.Enum):\n    B = 2", vars(analysis))
    missing = decode(*form)
    assert isinstance(missing, Missing)
    assert "Kind A" in repr(missing)
    analysis.Kind = int
    assert "no Enum" in decode(*form).reason  # type: ignore[attr-defined]


def test_a_name_that_became_something_else_is_missing(analysis: Any) -> None:
    forms = [encode_or_fail(analysis.Model), encode_or_fail(analysis.fit)]
    analysis.Model = 5
    analysis.fit = 5
    assert all(isinstance(decode(*form), Missing) for form in forms)


def test_a_module_that_fails_to_import_is_missing(
    analysis: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = encode_or_fail(analysis.fit)
    (tmp_path / "an_analysis.py").write_text("raise RuntimeError('not today')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, analysis.__name__)
        missing = decode(*form)
    assert isinstance(missing, Missing)
    assert "not today" in missing.reason


def test_a_zone_without_data_is_missing() -> None:
    for value in (
        BERLIN,
        datetime(2024, 1, 1, tzinfo=BERLIN),
        datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN),
        time(1, tzinfo=BERLIN),
    ):
        tag, number, data = encode_or_fail(value)
        form = (tag, number, data.replace(b"Berlin", b"Xerlin"))
        canon = full_canon(value).replace(b"Berlin", b"Xerlin")
        missing = decode(*form)
        assert full_canon(missing) == canon
        assert isinstance(missing, Missing)
        assert encode(missing)[2] == form[2]  # type: ignore[index]
        assert encode_key(missing)[3]  # type: ignore[index]
        assert "Europe/Xerlin" in repr(missing)


def test_definitions_of_a_notebook_are_found_in_main() -> None:
    script = """
    import enum, sys
    from pmemobj.codecs import encode, decode, encode_pickle
    class Model: ...
    class Kind(enum.Enum):
        A = 1
    def fit(): ...
    for value in (Model, Kind.A, fit):
        assert decode(*encode(value)) is value
    assert type(decode(*encode_pickle(Model()))) is Model
    form = encode(Model)
    del Model
    missing = decode(*form)
    print(missing)
    class Model: ...
    assert decode(*form) is Model
    """
    assert run(script) == "<missing class __main__:Model>"


# ---- pickles --------------------------------------------------------------------------------


def test_a_pickled_value() -> None:
    form = encode_pickle(Odometer(5))
    assert form[0] == codecs.PICKLE
    assert decode(*form) == Odometer(5)
    refused = decode(*form, allow_pickle=False)
    assert isinstance(refused, Missing)
    assert "not trusted" in refused.reason
    assert encode(refused) == form
    tuple_form = encode_or_fail((1, refused))
    assert decode(*tuple_form) == (1, Odometer(5))
    inner = decode(*tuple_form, allow_pickle=False)
    assert isinstance(inner, tuple)
    assert isinstance(inner[1], Missing)


def test_a_pickle_is_checked_before_it_is_loaded() -> None:
    tag, number, data = encode_pickle(Odometer(5))
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1
        with pytest.raises(PoolCorruptedError):
            decode(tag, number, bytes(damaged))


def test_what_cannot_be_pickled() -> None:
    with pytest.raises(UnstorableError, match=r"generator.* cannot be pickled"):
        encode_pickle(number for number in range(3))


def test_pickled_keys_do_not_depend_on_which_parts_are_one_object() -> None:
    text = "a long enough text " * 3
    shared, apart = (text, text), (text, "".join(text))
    shared_key, apart_key = (
        encode_pickle_key(types.SimpleNamespace.__new__(Frozen)._with(pair))
        for pair in (shared, apart)
    )
    assert shared_key == apart_key
    assert decode(*shared_key[:3]).pair == shared  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="unhashable"):
        encode_pickle_key([])


class Frozen(types.SimpleNamespace):
    pair: tuple[str, str]

    def _with(self, pair: tuple[str, str]) -> Frozen:
        self.pair = pair
        return self

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.pair)


# ---- keys -----------------------------------------------------------------------------------


def full_canon(value: object) -> bytes:
    """The canonical bytes of a key; where the core derives them, as the core does."""
    key = encode_key(value)
    assert key is not None
    tag, number, data, canon = key
    if canon:
        return canon
    if tag == codecs.NONE:
        return b"n"
    if tag in (codecs.FALSE, codecs.TRUE):
        return b"i" + struct.pack("<q", tag - codecs.FALSE)
    if tag == codecs.INT:
        return b"i" + struct.pack("<q", number)
    if tag == codecs.FLOAT:
        bits = struct.pack("<q", number)
        real = struct.unpack("<d", bits)[0]
        if -(2.0**63) <= real < 2.0**63 and int(real) == real:
            return b"i" + struct.pack("<q", int(real))
        return b"f" + bits
    return {codecs.STR: b"s", codecs.BYTES: b"b"}[tag] + data


def test_keys_that_the_core_derives_by_itself() -> None:
    for value in (None, True, 5, -(2**63), 0.5, -0.0, 1e18, math.inf, math.nan, "x", "", b"x"):
        encoded = encode_or_fail(value)
        assert encode_key(value) == (*encoded, b"")
        if value == value:
            assert canonical(value) == full_canon(value)


@pytest.mark.parametrize(
    "equals",
    [
        [1, 1.0, True, Decimal("1.0"), Fraction(1), complex(1, -0.0), Size.SMALL, Mode.A],
        [0, -0.0, False, Decimal("-0E+9"), Fraction(0), complex(-0.0, -0.0), Mode(0)],
        [0.5, Decimal("0.50"), Fraction(1, 2), complex(0.5)],
        [5e-324, exactly(5e-324), Fraction(5e-324), complex(5e-324)],
        [2**53 + 2, float(2**53 + 2), Decimal(2**53 + 2)],
        [2**63, 2.0**63, Decimal(2**63), Fraction(2**63), complex(2**63)],
        [-(2**63), -(2.0**63), Decimal(-(2**63))],
        [2**70, Size.LARGE, 2.0**70],
        [10**300, Decimal("1E+300"), Fraction(10**300)],
        [int(1e300), 1e300, exactly(1e300)],
        [Decimal("1E+999999999999999999"), Decimal("10E+999999999999999998")],
        [math.inf, Decimal("inf"), complex(math.inf)],
        [Fraction(1, 3), Fraction(2, 6)],
        [Decimal("0.1"), Fraction(1, 10)],
        [0.1, exactly(0.1), Fraction(0.1)],
        ["anna", Name.ANNA],
        [(1, 2), Pair.ONE_TWO, (1.0, Decimal(2))],
        [date(2024, 1, 1), Day.FIRST],
        [frozenset({1, 2}), frozenset({2.0, True})],
        [
            datetime(2024, 1, 1, 12, tzinfo=timezone.utc),
            datetime(2024, 1, 1, 13, tzinfo=BERLIN),
            datetime(2024, 1, 1, 7, tzinfo=NEW_YORK, fold=1),
        ],
        [
            datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN),
            datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
        ],
        [time(1), time(1, fold=1), time(1, tzinfo=BERLIN)],
        [time(1, tzinfo=timezone.utc), time(2, tzinfo=timezone(timedelta(hours=1)))],
        [timezone.utc, timezone(timedelta(0), "UTC"), timezone(timedelta(0), "Z")],
        [BERLIN, ZoneInfo("Europe/Berlin")],
        [range(0), range(5, 5, 3)],
        [range(3, 4), range(3, 9, 100)],
        [range(0, 3, 2), range(0, 4, 2)],
        [PurePosixPath("a/b"), PosixPath("a//b")],
        [PureWindowsPath("C:/A"), PureWindowsPath("c:\\a")],
        [uuid.UUID(int=5), uuid.UUID(int=5, is_safe=uuid.SafeUUID.safe)],
    ],
    ids=kinds,
)
def test_equal_keys_are_one_key(equals: list[Any]) -> None:
    assert all(value == equals[0] for value in equals)
    assert all(hash(value) == hash(equals[0]) for value in equals)
    assert len(set(map(full_canon, equals))) == 1


def test_different_keys_are_different() -> None:
    different: list[Any] = [
        0,
        None,
        "",
        b"",
        (),
        frozenset(),
        range(0),
        Colour.RED,
        Colour.GREEN,
        Odd.ONE,
        Access.READ,
        Access.READ | Access.WRITE,
        int,
        len,
        ...,
        2**53 + 1,
        2.0**53,
        Decimal("1E+999999999999999999"),
        0.1,
        Decimal("0.1"),
        1j,
        complex(0, -1),
        date(2024, 1, 1),
        datetime(2024, 1, 1),
        datetime(2024, 1, 1, tzinfo=timezone.utc),
        datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN),
        datetime(2024, 10, 27, 0, 30, tzinfo=timezone.utc),
        time(1),
        time(1, tzinfo=timezone.utc),
        timedelta(hours=1),
        timezone.utc,
        timezone(timedelta(hours=1)),
        ZoneInfo("UTC"),
        BERLIN,
        PurePosixPath("a"),
        PureWindowsPath("a"),
        PurePosixPath("A"),
        uuid.UUID(int=0),
        (1, (2,)),
        ((1, 2),),
        ("ab", "c"),
        ("a", "bc"),
    ]
    assert len(set(different)) == len(different)
    assert len(set(map(full_canon, different))) == len(different)


def test_nan_keys_are_told_apart_by_their_bits() -> None:
    nans = [math.nan, NEGATIVE_NAN, Decimal("NaN"), Decimal("NaN1"), complex(math.nan, 1)]
    assert len(set(map(full_canon, nans))) == len(nans)
    for value in nans:
        assert full_canon(value) == full_canon(decode(*encode_or_fail(value)))


wholes = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**53, 2**63, -(2**63), 10**19, 10**25, 3 * 2**90, 5**23, 5**30]),
).flatmap(lambda number: st.integers(number - 1, number + 1))
rationals = st.one_of(
    wholes,
    st.builds(Fraction, wholes, st.sampled_from([1, 2, 3, 5, 7, 10, 64, 10**20, 2**1074])),
    st.floats(allow_nan=False, allow_infinity=False).map(Fraction),
)


def forms_of(number: int | Fraction) -> list[Any]:
    """The number in every type that holds it exactly."""
    forms: list[Any] = [number, Fraction(number)]
    try:
        real = float(number)
    except OverflowError:
        real = math.inf
    if real == number:
        forms += [real, complex(real)]
    if number == int(number):
        forms.append(int(number))
        forms += [flag for flag in (False, True) if flag == number]
    fraction = Fraction(number)
    with localcontext(Context(prec=2000)):
        quotient = Decimal(fraction.numerator) / Decimal(fraction.denominator)
        if quotient == fraction:
            forms += [quotient, quotient.normalize()]
    return forms


numbers = rationals.flatmap(lambda number: st.sampled_from(forms_of(number)))
same_day_datetimes = st.builds(
    lambda minute, zone, fold: (
        datetime(2024, 10, 27, tzinfo=zone, fold=fold) + timedelta(minutes=30 * minute)
    ).replace(fold=fold),
    st.integers(-4, 12),
    zones.filter(lambda zone: not isinstance(zone, timezone)) | st.just(timezone.utc),
    folds,
)
same_day_times = st.builds(
    lambda hour, zone, fold: time(hour, tzinfo=zone, fold=fold),
    st.integers(0, 3),
    st.sampled_from([None, BERLIN, timezone.utc, timezone(timedelta(hours=1))]),
    folds,
)
key_scalars = st.one_of(
    numbers,
    numbers,
    st.none(),
    st.text("ab", max_size=2),
    st.binary(max_size=1),
    same_day_datetimes,
    same_day_times,
    st.builds(range, *[st.integers(-2, 3)] * 2, st.sampled_from([-2, -1, 1, 2])),
    st.sampled_from([*Size, *Name, *Colour, *Odd, *Pair, *Day, Mode.A, Mode(3), Access.READ]),
    st.sampled_from([PurePosixPath, PosixPath, PureWindowsPath]).flatmap(
        lambda cls: st.text("aA/", max_size=3).map(cls)
    ),
)
keys = st.recursive(
    key_scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple), st.frozensets(inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.lists(keys, min_size=2, max_size=8))
def test_keys_are_equal_exactly_when_their_canonical_bytes_are(values: list[Any]) -> None:
    canons = [full_canon(value) for value in values]
    for a, a_canon in zip(values, canons, strict=True):
        for b, b_canon in zip(values, canons, strict=True):
            assert (a == b) == (a_canon == b_canon), (a, b)
            if a == b:
                assert hash(a) == hash(b)


@given(rationals)
def test_a_number_is_one_key_in_all_its_types(number: int | Fraction) -> None:
    assert len(set(map(full_canon, forms_of(number)))) == 1


@pytest.mark.parametrize(
    "value", [[], {}, set(), bytearray(), (1, [2]), (1, (set(),)), Decimal("sNaN")], ids=kind
)
def test_an_unhashable_key_fails_as_hash_does(value: object) -> None:
    with pytest.raises(TypeError) as expected:
        hash(value)
    with pytest.raises(TypeError) as caught:
        encode_key(value)
    assert type(caught.value) is TypeError
    assert str(caught.value) == str(expected.value)


def test_a_hashable_key_that_is_no_leaf() -> None:
    assert encode_key(object()) is None
    assert encode_key((1, object())) is None
    assert encode_key(Text("x")) is None


def test_references_inside_canonical_bytes_come_from_the_caller() -> None:
    thing = object()
    assert canonical((1, thing)) is None
    a = canonical((1, thing), lambda value: b"r" + b"\1" * 8)
    b = canonical((1.0, thing), lambda value: b"r" + b"\1" * 8)
    c = canonical((1, thing), lambda value: b"r" + b"\2" * 8)
    assert a is not None
    assert a == b != c
    assert canonical((thing,), lambda value: None) is None
    assert canonical(nested(codecs.MAX_DEPTH + 1)) is None


# ---- batches --------------------------------------------------------------------------------


def no_reference(value: object) -> Any:
    raise UnstorableError(f"asked for {value!r}")


def unresolved(offsets: Sequence[int]) -> list[object]:
    raise AssertionError(f"no reference was stored, asked for {offsets}")


def through_a_batch(values: list[Any]) -> list[Any]:
    batch = encode_batch(values, no_reference)
    assert batch.count == len(values) == len(batch.numbers)
    return decode_batch(
        batch.count, batch.tag, batch.tags, memoryview(batch.numbers), batch.data, unresolved
    )


@pytest.mark.parametrize(
    ("values", "tag"),
    [
        ([], codecs.NONE),
        ([None, None], codecs.NONE),
        ([True, True], codecs.TRUE),
        ([1, -1, 2**31 - 1, -(2**31), 0], codecs.INT),
        ([1, 2, 3], codecs.INT),
        ([1, 2**31], codecs.INT),
        ([-(2**63), 2**63 - 1], codecs.INT),
        ([0.0, -0.0, math.inf], codecs.FLOAT),
        (["", "ab", "c"], codecs.STR),
        (["", "é", "\ud800", "\udc00", "x"], codecs.STR),
        ([b"", b"ab"], codecs.BYTES),
        ([Decimal(1), Decimal(2)], codecs.DECIMAL),
        ([2**70, -(2**70)], codecs.BIGINT),
        ([(), (1,)], codecs.TUPLE),
    ],
    ids=kinds,
)
def test_a_batch_of_one_kind(values: list[Any], tag: int) -> None:
    batch = encode_batch(values, no_reference)
    assert batch.tags is None
    assert batch.tag == tag
    assert all(map(same, through_a_batch(values), values))


@pytest.mark.parametrize(
    "values",
    [
        [1, True],
        [True, 1],
        [1, 2, True, 3, 4],
        [1, Size.SMALL, 1],
        [1, None, None, None, 1],
        [1, 2**63],
        [2**63, 1],
        [1, 1.0, 2],
        [1.0, 1, 1.0],
        ["a", None, "b"],
        ["a", Name.ANNA, "b"],
        [1, "i" * 4, 1],
        [False, None, "\ud800", b"x", 1.5, (1,), 2**64, Decimal(1), ...],
    ],
    ids=kinds,
)
def test_a_batch_of_several_kinds(values: list[Any]) -> None:
    assert encode_batch(values, no_reference).tags is not None
    assert all(map(same, through_a_batch(values), values))


@pytest.mark.parametrize("stranger", [True, 2**31, 1.0, -1, "x", [[]], Number(7)], ids=kind)
@pytest.mark.parametrize("place", [0, 1, 16383, 16384, 39999])
def test_one_other_value_in_a_long_batch(stranger: object, place: int) -> None:
    def reference(value: object) -> tuple[int, int, bytes]:
        return codecs.REF, 64, b""

    for values in (list(range(40000)), list(map(float, range(40000)))):
        changed: list[Any] = [*values]
        changed[place] = stranger
        batch = encode_batch(changed, reference)
        back = decode_batch(
            batch.count, batch.tag, batch.tags, batch.numbers, batch.data, lambda _: [stranger]
        )
        assert same(back[place], stranger)
        assert back == changed
        assert {type(back[i]) for i in range(40000) if i != place} == {type(values[0])}


@given(
    st.one_of(
        st.lists(leaves),
        st.lists(st.integers(-(2**40), 2**40)),
        st.lists(st.integers(-(2**31), 2**31 - 1)),
        st.lists(st.floats()),
        st.lists(texts),
        st.lists(st.integers() | st.booleans()),
    )
)
def test_any_batch_comes_back(values: list[Any]) -> None:
    batch = encode_batch(values, no_reference)
    singles = [encode_or_fail(value) for value in values]
    assert list(batch.numbers) == [number for _, number, _ in singles]
    assert batch.data == b"".join(data for _, _, data in singles)
    assert list(batch.tags or [batch.tag] * len(values)) == [tag for tag, _, _ in singles]
    assert all(map(same, through_a_batch(values), values))


def test_references_in_a_batch() -> None:
    class Handle:
        def __init__(self, offset: int) -> None:
            self.offset = offset

    handles = {offset: Handle(offset) for offset in (64, 128)}

    def reference(value: Handle) -> tuple[int, int, bytes]:
        return codecs.REF, value.offset, b""

    for values in ([handles[64], handles[128]], [handles[64], 5, "x", handles[64]]):
        batch = encode_batch(values, reference)
        back = decode_batch(
            batch.count,
            batch.tag,
            batch.tags,
            batch.numbers.tobytes(),
            batch.data,
            lambda offsets: [handles[offset] for offset in offsets],
        )
        assert back == values


def test_what_cannot_be_encoded_in_a_batch_is_the_callers() -> None:
    when = datetime(2024, 1, 1, tzinfo=OtherZone())
    with pytest.raises(UnstorableError, match="asked for"):
        encode_batch([1, when], no_reference)
    batch = encode_batch([1, when], encode_pickle)
    assert batch.tags == bytes((codecs.INT, codecs.PICKLE))
    with pytest.raises(UnstorableError, match="asked for"):
        encode_key_batch([1, object()], no_reference)


@given(st.lists(keys) | st.lists(st.integers()) | st.lists(st.floats()) | st.lists(st.text()))
def test_a_batch_of_keys_is_its_keys(values: list[Any]) -> None:
    batch = encode_key_batch(values, no_reference)
    singles: list[Any] = [encode_key(value) for value in values]
    stored = batch.values
    assert list(stored.numbers) == [number for _, number, _, _ in singles]
    assert stored.data == b"".join(data for _, _, data, _ in singles)
    assert list(stored.tags or [stored.tag] * len(values)) == [tag for tag, *_ in singles]
    assert batch.canon == b"".join(canon for *_, canon in singles)
    if batch.canon_lengths is None:
        assert batch.canon == b""
    else:
        assert list(batch.canon_lengths) == [len(canon) or -1 for *_, canon in singles]


@pytest.mark.parametrize(
    ("count", "tag", "tags", "numbers", "data"),
    [
        (2, codecs.INT, None, [1], b""),
        (1, codecs.INT, b"\4\4", [1], b""),
        (1, codecs.STR, None, [2], b"abc"),
        (2, codecs.STR, None, [-1, 4], b"abc"),
        (2, codecs.STR, None, [1, 3], b"abc"),
        (1, codecs.STR, None, [1], b"\xff"),
        (1, codecs.BYTES, None, [4], b"abc"),
        (1, codecs.DECIMAL, None, [3], b"abc"),
        (2, 0, bytes((codecs.STR, codecs.INT)), [4, 1], b"abc"),
        (2, 0, bytes((codecs.STR, codecs.INT)), [-1, 1], b"abc"),
        (2, 0, bytes((codecs.STR, codecs.INT)), [2, 1], b"abc"),
        (2, 0, b"\7\4", [2, 1], b""),
        (1, 7, None, [2], b""),
        (1, 99, None, [0], b""),
    ],
)
def test_a_damaged_batch(
    count: int, tag: int, tags: bytes | None, numbers: list[int], data: bytes
) -> None:
    with pytest.raises(PoolCorruptedError):
        decode_batch(count, tag, tags, array("q", numbers), data, unresolved)


def test_pickles_in_a_batch_need_permission() -> None:
    form = encode_pickle(Odometer(1))
    for values in ([decode(*form, allow_pickle=False)], [decode(*form, allow_pickle=False), 1]):
        batch = encode_batch(values, no_reference)
        for allowed in (True, False):
            first, *_ = decode_batch(
                batch.count,
                batch.tag,
                batch.tags,
                batch.numbers,
                batch.data,
                unresolved,
                allow_pickle=allowed,
            )
            assert isinstance(first, Odometer if allowed else Missing)


# ---- damage ---------------------------------------------------------------------------------

payload_tags = range(codecs.STR, codecs.PICKLE + 3)


def check_no_other_error(tag: int, data: bytes) -> None:
    try:
        value = decode(tag, len(data), data)
    except PoolCorruptedError:
        return
    if isinstance(value, Missing):
        assert encode(value) == (tag, len(data), data)


@pytest.mark.parametrize("tag", payload_tags)
@given(data=st.binary(max_size=60))
def test_random_bytes_give_a_value_or_the_error_for_damage(tag: int, data: bytes) -> None:
    check_no_other_error(tag, data)


GOOD = [encode_or_fail(value) for value in EXACT if encode_or_fail(value)[0] >= codecs.STR]


@given(st.sampled_from(GOOD), st.data())
def test_changed_bytes_give_a_value_or_the_error_for_damage(
    form: tuple[int, int, bytes], data: st.DataObject
) -> None:
    tag, _, payload = form
    if tag == codecs.GLOBAL:
        return  # another name may be anything; random bytes above are enough
    damaged = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 3))):
        if damaged:
            place = data.draw(st.integers(0, len(damaged) - 1))
            damaged[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    check_no_other_error(tag, bytes(damaged))
    check_no_other_error(tag, bytes(damaged[:cut]))
    check_no_other_error(data.draw(st.sampled_from(payload_tags)), payload)


@pytest.mark.parametrize(
    ("tag", "data"),
    [
        (codecs.BIGINT, b""),
        (codecs.COMPLEX, bytes(15)),
        (codecs.STR, b"\xff"),
        (codecs.RANGE, b"\1\0\1\1\1\0"),
        (codecs.RANGE, b"\1\0\1\1\1\1\0"),
        (codecs.TUPLE, b""),
        (codecs.TUPLE, b"\xff" * 20),
        (codecs.TUPLE, b"\2\1"),
        (codecs.TUPLE, b"\1\1\1"),
        (codecs.TUPLE, b"\1\6"),
        (codecs.TUPLE, b"\1\7"),
        (codecs.FROZENSET, b"\1\5\0"),
        (codecs.DECIMAL, "１".encode()),
        (codecs.DECIMAL, b"1_0"),
        (codecs.DECIMAL, b" 1"),
        (codecs.DECIMAL, b"1E+9999999999999999999"),
        (codecs.FRACTION, b"\1\2\1\4"),
        (codecs.FRACTION, b"\1\1\1\0"),
        (codecs.FRACTION, b"\1\1\1\xff"),
        (codecs.DATE, bytes(4)),
        (codecs.DATETIME, bytes(13)),
        (codecs.TIME, bytes((1, 2, 3, 0, 0, 0, 0, 0, 9))),
        (codecs.TIME, bytes((25, 2, 3, 0, 0, 0, 0, 0, 0))),
        (codecs.TIMEDELTA, struct.pack("<iII", 0, 86400, 0)),
        (codecs.TIMEDELTA, struct.pack("<iII", 2**31 - 1, 0, 0)),
        (codecs.UUID, bytes(16)),
        (codecs.UUID, bytes(16) + b"\3"),
        (codecs.PATH, b""),
        (codecs.PATH, b"\3a"),
        (codecs.PATH, b"\0a//b"),
        (codecs.ENUM, b"\0\0\0\0\0"),
        (codecs.GLOBAL, b"\0\0\0"),
        (codecs.GLOBAL, b"\7\1a\1b"),
        (codecs.PICKLE, b""),
        (codecs.REF, b""),
        (0, b""),
        (7, b""),
        (200, b""),
    ],
)
def test_damaged_payloads(tag: int, data: bytes) -> None:
    with pytest.raises(PoolCorruptedError):
        decode(tag, len(data), data)


def test_a_payload_nested_without_end_does_not_exhaust_the_stack() -> None:
    payload = b"\0"
    for _ in range(60):
        size = len(payload)
        head = bytes((size,)) if size < 128 else bytes((size & 127 | 128, size >> 7))
        payload = b"\1" + bytes((codecs.TUPLE,)) + head + payload
    with pytest.raises(PoolCorruptedError, match="nested too deep"):
        decode(codecs.TUPLE, len(payload), payload)


# ---- loading --------------------------------------------------------------------------------


def test_importing_the_codecs_loads_no_rarely_used_module() -> None:
    script = """
    import sys
    sys.modules["pmemobj"] = type(sys)("pmemobj")  # no other part of the library
    sys.modules["pmemobj"].__path__ = [package]
    before = set(sys.modules)
    import pmemobj.codecs
    print(sorted({"decimal", "fractions", "uuid", "pathlib", "datetime", "zoneinfo", "pickle",
                  "enum", "zlib", "typing"} & (set(sys.modules) - before)))
    from pmemobj.codecs import encode, decode
    assert encode(object()) is None
    assert str(decode(24, 13, bytes((232, 7, 1, 1)) + bytes(9))) == "2024-01-01 00:00:00"
    import decimal
    assert decode(*encode(decimal.Decimal("1.50"))).as_tuple().exponent == -2
    """
    package = pathlib.Path(codecs.__file__).parents[1]
    assert run(f"package = {str(package)!r}\n" + textwrap.dedent(script)) == "[]"


def test_another_module_of_a_known_name_does_no_harm(tmp_path: pathlib.Path) -> None:
    (tmp_path / "uuid.py").write_text("class Mine: ...")
    script = """
    import sys
    sys.path.insert(0, sys.argv[1])
    import uuid
    from pmemobj.codecs import encode
    assert encode(uuid.Mine()) is None
    """
    run(script, tmp_path)


def test_every_path_class_of_pathlib_is_covered_or_refused() -> None:
    classes = [cls for cls in vars(pathlib).values() if isinstance(cls, type)]
    covered = {PurePosixPath, PosixPath, PureWindowsPath}
    for cls in classes:
        if issubclass(cls, PurePath) and cls not in covered and cls.__name__ != "WindowsPath":
            assert type(cls("a")) in covered
