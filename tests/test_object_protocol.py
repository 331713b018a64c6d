"""PersistentObject: attributes, classes and instances behave as Python's own do."""

from __future__ import annotations

import abc
import functools
import gc
from collections.abc import Sized
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import pytest

import pmemobj
from pmemobj import PersistentDict, PersistentList, PersistentObject

T = TypeVar("T")


class Plain:
    """What an ordinary class gives its instances."""


class Verbose:
    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return f"verbose {name}"


class Behind(Verbose, PersistentObject):
    pass


class Mixed(Plain, PersistentObject):
    pass


class Hider:
    """A non-data descriptor that refuses access by the class."""

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            raise AttributeError("by an instance only")
        return "hidden by the class"


class Typed:
    """A data descriptor of the usual kind: it keeps its value in the ``__dict__``."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else instance.__dict__[self.name]

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.name] = int(value)


class Shape(PersistentObject):
    sides = 4
    secret = Hider()
    size = Typed()
    computed = 0

    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)

    def area(self) -> str:
        return "class"

    @functools.cached_property
    def total(self) -> Any:
        type(self).computed += 1
        return sum(self.parts)

    @property
    def doubled(self) -> int:
        return 2 * self.size

    @doubled.setter
    def doubled(self, value: int) -> None:
        self.size = value // 2


class Square(Shape):
    def area(self) -> str:
        return "square of " + super().area()


def found(pool: Any, reopen: Any) -> Any:
    gc.collect()
    return reopen(pool).root["it"]


def test_a_mixin_in_front_hides_nothing(pool: Any, reopen: Any) -> None:
    pool.root["it"] = pool.new(Behind)
    pool.root["it"].x = [1]
    it = found(pool, reopen)
    assert it.x == [1] and it.other == "verbose other"
    with pool_of(it).transaction():
        it.y = 2
        assert it.y == 2 and it.x == [1]
    del it.x
    assert it.x == "verbose x"


def pool_of(handle: Any) -> Any:
    return handle._p_mm


def test_a_plain_base_gives_no_way_past_the_pool(pool: Any, reopen: Any) -> None:
    pool.root["it"] = pool.new(Mixed)
    vars(pool.root["it"])["x"] = 1
    pool.root["it"].__dict__.update(y=2)
    it = found(pool, reopen)
    assert (it.x, it.y) == (1, 2)


def test_attributes_of_the_class_may_change(pool: Any, reopen: Any) -> None:
    class Changing(PersistentObject):
        limit = 10

    class Below(Changing):
        pass

    for cls in (Changing, Below):
        it = pool.new(cls)
        it.limit, it.colour, it.kept = 20, "red", "stored"
        # Inside of a transaction nothing is kept in the instance.
        with pool.transaction():
            it.other = 1
            Changing.limit = 50
            Changing.colour = "class"
            Changing.kept = lambda self: "method"
            assert (it.limit, it.colour, it.kept) == (20, "red", "stored")
            fresh = pool.new(cls)
            assert (fresh.limit, fresh.colour, fresh.kept()) == (50, "class", "method")
            assert (cls.limit, cls.colour) == (50, "class")
            del Changing.limit, Changing.colour
            assert (it.limit, it.colour) == (20, "red")
            assert not hasattr(fresh, "limit") and not hasattr(cls, "limit")
            with pytest.raises(AttributeError):
                del Changing.limit
            Changing.limit = property(lambda self: "property")
            assert it.limit == fresh.limit == "property"
            with pytest.raises(AttributeError):
                it.limit = 5
            del Changing.limit
            assert it.limit == 20
        del it.limit, it.colour, it.kept
        assert it.kept() == "method" and not hasattr(it, "limit")
        Changing.limit = 10
        del Changing.kept


def test_cached_property(pool: Any, reopen: Any) -> None:
    it = pool.root["it"] = pool.new(Shape, parts=[1, 2])
    Shape.computed = 0
    assert it.total == it.total == 3 and Shape.computed == 1
    assert "total" in vars(it) and "total" not in pmemobj.plain(it).__dict__
    with pytest.raises(KeyError), pool.transaction():
        it.parts.append(4)
        assert it.total == 3
        del it.total
        assert it.total == it.total == 7 and Shape.computed == 2 and vars(it)["total"] == 7
        raise KeyError
    assert it.total == 3 and it.parts == [1, 2]
    it.parts.append(5)
    del it.total
    assert it.total == 8
    with pytest.raises(AttributeError):
        del it.total, it.total
    it.total = [9]
    assert type(it.total) is PersistentList
    del it
    it = found(pool, reopen)
    assert it.total == [9]
    del it.total
    assert it.total == 8


def test_descriptors_rule_as_in_any_class(pool: Any, reopen: Any) -> None:
    it = pool.root["it"] = pool.new(Shape, size="7")
    assert it.size == 7 and it.doubled == 14 and it.secret == "hidden by the class"
    it.doubled = 10
    it.secret = "own"
    assert it.size == 5 and it.secret == "own"
    with pytest.raises(ValueError, match="invalid literal"):
        it.size = "x"
    del it
    it = found(pool, reopen)
    assert it.size == 5 and it.doubled == 10 and it.secret == "own"
    it.size = "8"
    assert it.size == 8 and vars(it)["size"] == 8
    del it.secret
    assert it.secret == "hidden by the class"


def test_resurrection_calls_no_setter(pool: Any, reopen: Any, monkeypatch: Any) -> None:
    pool.root["it"] = pool.new(Shape)
    pool.root["it"].colour = "red"
    called = []
    monkeypatch.setattr(
        Shape, "colour", property(lambda self: "p", lambda self, v: called.append(v)), raising=False
    )
    it = found(pool, reopen)
    assert it.colour == "p" and vars(it)["colour"] == "red"
    it.colour = "blue"
    assert called == ["blue"] and vars(it)["colour"] == "red"


def test_super_sees_the_class(pool: Any) -> None:
    it = pool.new(Square)
    assert it.area() == "square of class"
    other = pool.new(Shape)
    other.area = "own"
    assert other.area == "own" and it.area() == "square of class"


class Tagged(PersistentObject):
    def __new__(cls, tag: str, *rest: Any) -> Any:
        self = super().__new__(cls)
        self._v_made = tag
        return self

    def __init__(self, tag: str) -> None:
        self.tag = tag


class TaggedList(PersistentList):
    def __new__(cls, values: Any, *, needed: int) -> Any:
        return super().__new__(cls)

    def __init__(self, values: Any, *, needed: int) -> None:
        super().__init__(values)


class Single(PersistentObject):
    only: Any = None

    def __new__(cls) -> Any:
        if Single.only is None:
            Single.only = super().__new__(cls)
        return Single.only


def test_new_with_arguments(pool: Any, reopen: Any) -> None:
    tagged = pool.new(Tagged, "t")
    pool.root["it"] = [tagged, pool.new(TaggedList, [1], needed=1)]
    assert tagged._v_made == "t"
    del tagged
    first, second = found(pool, reopen)
    assert type(first) is Tagged and first.tag == "t"
    assert type(second) is TaggedList and second == [1]


def test_new_may_give_an_object_that_there_is(pool: Any) -> None:
    try:
        one = pool.root["one"] = pool.new(Single)
        one.x = 1
        assert pool.new(Single) is one and one.x == 1
    finally:
        Single.only = None
    assert pool.check().ok


def test_every_keyword_reaches_the_class(pool: Any) -> None:
    it = pool.new(Shape, typ=1, self_=2, manager=3)
    assert (it.typ, it.self_, it.manager) == (1, 2, 3)
    assert pool.new(PersistentDict, typ=1, self=2) == {"typ": 1, "self": 2}
    assert pool.mm.new(PersistentDict, typ=1, self=2) == {"typ": 1, "self": 2}


@pytest.mark.parametrize("name", ["", "a b", "\ud800", "class", "\0", "ü" * 500, "__odd__", "_x"])
def test_any_name(pool: Any, reopen: Any, name: str) -> None:
    it = pool.root["it"] = pool.new(Shape)
    setattr(it, name, 1)
    assert getattr(it, name) == 1 and vars(it)[name] == 1
    del it
    it = found(pool, reopen)
    assert getattr(it, name) == 1
    delattr(it, name)
    assert not hasattr(it, name)


def test_a_name_that_is_none(pool: Any) -> None:
    it = pool.new(Shape)
    for bad in (5, None, b"x"):
        with pytest.raises(TypeError):
            setattr(it, bad, 1)
        with pytest.raises(TypeError):
            it.__setattr__(bad, 1)
        with pytest.raises(TypeError):
            it.__delattr__(bad)


@dataclass(frozen=True)
class Point(PersistentObject):
    x: int
    tags: list[str] = field(default_factory=list)
    y: int = 0


@dataclass(order=True)
class Version(PersistentObject):
    number: int
    name: str = ""


def test_frozen_dataclass(pool: Any, reopen: Any) -> None:
    pool.root["it"] = pool.new(Point, 3, ["t"])
    it = found(pool, reopen)
    assert (it.x, it.tags, it.y) == (3, ["t"], 0) and type(it.tags) is PersistentList
    with pytest.raises(FrozenInstanceError):
        it.x = 4
    with pytest.raises(FrozenInstanceError):
        del it.x
    with pool_of(it).transaction():
        it.tags.append("u")
        assert it.x == 3
    it = found(pool, lambda _: pool_around(it))
    assert it.tags == ["t", "u"]
    with pytest.raises(pmemobj.UnstorableError):
        pool_of(it).new(Point, object())


def pool_around(handle: Any) -> Any:
    class Around:
        root = {"it": handle}

    return Around


def test_ordered_dataclass(pool: Any) -> None:
    a, b = pool.new(Version, 1), pool.new(Version, 2, "b")
    assert a < b and a == pool.new(Version, 1) and max(a, b) is b
    with pytest.raises(TypeError, match="unhashable"):
        hash(a)
    with pytest.raises(TypeError, match="__slots__"):
        dataclass(slots=True)(type("S", (PersistentObject,), {"__annotations__": {"x": int}}))


class Measurable(Protocol):
    def measure(self) -> int: ...


class Box(PersistentObject, Generic[T]):
    def __init__(self, content: T) -> None:
        self.content = content


class Abstract(PersistentObject, abc.ABC):
    @abc.abstractmethod
    def measure(self) -> int: ...


class Concrete(Abstract, Measurable, Sized):
    def measure(self) -> int:
        return 3

    def __len__(self) -> int:
        return self.measure()


def test_generic_abstract_and_protocol_classes(pool: Any, reopen: Any) -> None:
    pool.root["it"] = [pool.new(Box[int], 5), pool.new(Concrete), pool.new(Box, [1])]
    with pytest.raises(TypeError, match="abstract"):
        pool.new(Abstract)
    box, concrete, other = found(pool, reopen)
    assert type(box) is Box and box.content == 5 and other.content == [1]
    assert len(concrete) == concrete.measure() == 3
    assert isinstance(concrete, (Abstract,)) and isinstance(concrete, Sized)
    assert isinstance(box, PersistentObject) and not isinstance(box, Concrete)
    assert isinstance(box, pmemobj.Persistent)


class Careful(PersistentObject):
    level = 1

    def __getattribute__(self, name: str) -> Any:
        try:
            return super().__getattribute__(name)
        except AttributeError:
            if name.startswith("_"):
                raise
            return f"default {name}"


class Shouting(PersistentObject):
    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value.upper() if isinstance(value, str) else value)

    def __delattr__(self, name: str) -> None:
        super().__setattr__("deleted", name)
        super().__delattr__(name)


def test_own_access(pool: Any, reopen: Any) -> None:
    pool.root["it"] = [pool.new(Careful), pool.new(Shouting)]
    careful, shouting = pool.root["it"]
    careful.x, careful.level, shouting.x, shouting.y = 1, 2, "loud", 3
    del careful, shouting
    careful, shouting = found(pool, reopen)
    assert careful.x == 1 and careful.level == 2 and careful.z == "default z"
    with pool_of(careful).transaction():
        careful.y = 5
        assert (careful.y, careful.x, careful.level, careful.z) == (5, 1, 2, "default z")
    assert shouting.x == "LOUD"
    del shouting.y
    assert shouting.deleted == "y" and not hasattr(shouting, "y")


class Deaf:
    def __init_subclass__(cls, **kwargs: Any) -> None:
        pass  # does not ask further


def test_a_base_that_does_not_pass_on_the_definition(pool: Any, reopen: Any) -> None:
    class Quiet(Deaf, PersistentObject):
        pass

    it = pool.new(Quiet)
    it.x = 1
    assert it.x == 1
    with pytest.raises(TypeError, match="mixed"):
        type("Wrong", (Deaf, PersistentObject, PersistentList), {})


def test_the_class_of_an_object_stays(pool: Any) -> None:
    it = pool.new(Shape)
    with pytest.raises(TypeError, match="define the class again"):
        it.__class__ = Square
    assert type(it) is Shape


def test_a_failing_property_speaks_for_itself(pool: Any) -> None:
    class Failing(PersistentObject):
        @property
        def broken(self) -> Any:
            raise AttributeError("this is why")

    it = pool.new(Failing)
    vars(it)["broken"] = "stored"
    with pytest.raises(AttributeError, match="this is why"):
        it.broken  # noqa: B018
