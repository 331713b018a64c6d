"""What is compared with what, and how far ours may lie from the best peer."""

from __future__ import annotations

from functools import partial

from benchmarks import limits
from benchmarks.arrays import LARGE, MIB, SIZE, run_array
from benchmarks.growth import ITERATED, SIZES, run_growth, run_memory
from benchmarks.harness import BYTES, Contender, Group, Role
from benchmarks.measures import run_measure
from benchmarks.stores import CRASH, POWER, installed, store_class
from benchmarks.works import run_work

__all__ = ["GROUPS"]

NOBODY: dict[str, str] = {}
WHOLE = ("pickle", "dill")  # every change writes the whole variable again


def ours(work: str, safety: str = CRASH) -> Contender:
    kind = store_class("pmemobj")
    return Contender(
        kind.title, partial(run_work, work, "pmemobj", safety), Role.OURS, kind.settings[safety]
    )


def peer(work: str, store: str, safety: str = CRASH, role: Role = Role.PEER) -> Contender:
    kind = store_class(store)
    return Contender(
        kind.title, partial(run_work, work, store, safety), role, kind.settings[safety]
    )


def measure(title: str, name: str, role: Role) -> Contender:
    return Contender(title, partial(run_measure, name), role)


def raw(name: str, role: Role = Role.FLOOR) -> Contender:
    title = "libpmemobj in C, 8 bytes" if name == "word" else "libpmemobj in C, like update"
    return measure(title, f"raw-{name}", role)


def against(
    work: str,
    title: str,
    peers: tuple[str, ...],
    must: float | None,
    aim: float | None = None,
    *,
    floor: Contender | None = None,
    aside: tuple[str, ...] = (),
    safety: str = CRASH,
    unit: str = "seconds",
    quick: bool = True,
) -> Group:
    """One work, ours and its peers."""
    contenders = [ours(work, safety)]
    contenders += [peer(work, name, safety) for name in peers if installed(name)]
    contenders += [peer(work, name, safety, Role.ASIDE) for name in aside if installed(name)]
    if floor is not None:
        contenders.append(floor)
    name = work if safety == CRASH else f"{work}-{safety}"
    return Group(name, title, tuple(contenders), must, aim, unit=unit, quick=quick)


MACHINE = Group(
    "machine",
    "the machine",
    (
        Contender("memcpy, 1 MiB", limits.copied, Role.FLOOR),
        Contender("write, 1 MiB", limits.written, Role.FLOOR),
        Contender("4 KiB and fdatasync", limits.synced, Role.FLOOR),
    ),
)

ENGINE = (
    Group(
        "replace",
        "d[key] = int, the key there, beside libpmemobj's own transaction",
        (
            measure("pmemobj", "dict-replace", Role.OURS),
            raw("store", Role.PEER),
            raw("word", Role.FLOOR),
        ),
        must=4,
    ),
    Group(
        "insert",
        "d[key] = int, a new key, beside libpmemobj's own transaction",
        (measure("pmemobj", "dict-insert", Role.OURS), raw("insert", Role.PEER)),
        must=4,
    ),
    Group(
        "assign",
        "l[i] = int, beside libpmemobj's own transaction",
        (measure("pmemobj", "list-replace", Role.OURS), raw("store", Role.PEER)),
        must=4,
    ),
    Group(
        "push",
        "l.append(int), beside libpmemobj's own transaction",
        (measure("pmemobj", "list-append", Role.OURS), raw("append", Role.PEER)),
        must=4,
    ),
)

CHANGES = (
    against(
        "insert-int",
        "one committed dict insert, str -> int",
        ("lmdb", "sqlite", "zodb", "diskcache"),
        1.0,
        0.6,
        floor=raw("insert"),
        aside=("shelve", *WHOLE),
    ),
    against(
        "insert-str",
        "one committed dict insert, str -> 40-char str",
        ("lmdb", "sqlite", "zodb", "diskcache"),
        1.0,
        0.7,
        aside=("shelve",),
    ),
    against(
        "append",
        "one committed list append",
        ("lmdb", "sqlite", "zodb"),
        0.7,
        0.4,
        floor=raw("append"),
        aside=WHOLE,
    ),
    against(
        "rebind",
        "rebind one variable beside 1 GiB of others",
        ("lmdb", "sqlite", "zodb"),
        0.7,
        floor=raw("store"),
        quick=False,
    ),
    against(
        "together",
        "10,000 dict sets in one transaction, a call each",
        ("lmdb", "sqlite", "zodb"),
        1.0,
        aside=("diskcache", "shelve"),
    ),
    *(
        against(
            work,
            f"{title}, surviving a power cut",
            ("lmdb", "sqlite", "zodb", "diskcache"),
            None,
            safety=POWER,
            aside=("pickle",),
            quick=False,
        )
        for work, title in (("insert-int", "one committed dict insert, str -> int"),)
    ),
)

BUILDING = (
    against(
        "build-ints",
        "build a list of 1M ints, committed",
        ("pickle", "lmdb", "sqlite", "zodb"),
        2.0,
        1.2,
    ),
    against(
        "build-strings",
        "build a list of 1M 8-char strings",
        ("pickle", "lmdb", "sqlite", "zodb"),
        1.0,
        0.5,
    ),
    against(
        "build-floats",
        "build a dict of 200,000 str -> float",
        ("pickle", "lmdb", "sqlite", "zodb"),
        2.0,
        1.2,
    ),
    against("build-set", "build a set of 1M strings", ("pickle",), 2.0, 1.2),
    against(
        "build-records",
        "convert 100,000 nested records",
        ("lmdb", "pickle", "sqlite", "zodb"),
        1.5,
        1.0,
    ),
)

READING = (
    against("get", "d[key], warm", ("zodb", "lmdb", "sqlite", "diskcache"), 0.8, aside=("plain",)),
    against("contains", "key in d, warm", ("zodb", "lmdb", "sqlite"), 0.8, aside=("plain",)),
    against("index", "l[i], warm", ("zodb", "lmdb", "sqlite"), 0.8, aside=("plain",)),
    against(
        "iterate",
        "iterate a list of 1M ints, an element",
        ("zodb", "lmdb", "sqlite"),
        0.8,
        0.5,
        aside=("plain",),
    ),
    against(
        "walk",
        "walk 100,000 nested records, first pass after opening, a record",
        ("lmdb", "sqlite", "zodb", "pickle"),
        0.6,
    ),
)

STARTING = (
    against(
        "fresh",
        "a fresh process reads one of 1M strings beside 1 GiB",
        ("lmdb", "sqlite"),
        1.0,
        aside=("zodb", "pickle"),
        floor=measure("python -c pass", "start-python", Role.FLOOR),
        quick=False,
    ),
    against(
        "after-kill",
        "the same after kill -9 amid writes",
        ("lmdb", "sqlite"),
        2.5,
        quick=False,
    ),
    *(
        Group(
            f"open-{size}",
            f"open a pool that was closed: {title}",
            (measure("pmemobj", f"open-{size}", Role.OURS),),
            limit=0.010,
            quick=size != "10GiB",
        )
        for size, title in (
            ("64MiB", "64 MiB, empty"),
            ("full", "64 MiB, 2,000,000 strings"),
            ("10GiB", "10 GiB, empty"),
        )
    ),
    *(
        Group(
            f"display-{what}",
            f"display {title} in a notebook",
            (measure("pmemobj", f"display-{what}", Role.OURS),),
            limit=0.050,
        )
        for what, title in (
            ("workspace", "a workspace of 1,000 variables"),
            ("list", "a list of 1M strings"),
        )
    ),
    Group(
        "import",
        "python -c 'import pmemobj'",
        (
            measure("pmemobj", "start-pmemobj", Role.OURS),
            measure("python -c pass", "start-python", Role.FLOOR),
        ),
    ),
)

SPACE = tuple(
    against(
        f"bytes-{kind}",
        f"bytes of the pool for one {title}",
        ("sqlite",),
        1.0,
        aim=None,
        aside=("lmdb", "pickle"),
        unit=BYTES,
        quick=False,
    )
    for kind, title in (
        ("int", "int"),
        ("str8", "8-char str"),
        ("str40", "40-char str"),
        ("pair", "dict item, str -> float"),
        ("record", "nested record"),
    )
)

GROWTH = tuple(
    Group(
        f"growth-{name}",
        title,
        tuple(
            Contender(
                f"{who}, {size:,} elements", partial(run_growth, name, size, store), role, "", size
            )
            for store, who, role in (
                ("pmemobj", "pmemobj", Role.OURS),
                ("memory", "in memory", Role.ASIDE),
            )
            for size in SIZES
        ),
        quick=False,
    )
    for name, title in (
        ("append", "l.append(int)"),
        ("insert", "d[key] = int, a new key"),
        ("get", "d[key], none read before"),
        ("delete", "del d[key]"),
        ("add", "s.add(str)"),
    )
)

ITERATING = tuple(
    Group(
        f"iterate-memory-{kind}",
        f"memory that the first pass over {title} of {ITERATED:,} needs",
        (Contender("pmemobj", partial(run_memory, kind), Role.OURS),),
        limit=ITERATED,  # a byte an element, a hundredth of what they would take
        unit=BYTES,
        quick=False,
    )
    for kind, title in (("list", "a list"), ("dict", "the items of a dict"), ("set", "a set"))
)

COLLECTION = (
    Group(
        "collect",
        "gc() of a pool with 1M small lists, an object",
        (ours("collect"),),
        limit=0.5e-6,
        quick=False,
    ),
)


def of_arrays(
    name: str,
    title: str,
    peers: dict[str, str] = NOBODY,
    aside: dict[str, str] = NOBODY,
    must: float | None = None,
    limit: float | None = None,
    unit: str = "seconds",
) -> Group:
    """Large data: ours, and others with their titles, by what follows the group's name."""

    def contender(word: str, words: str, role: Role) -> Contender:
        return Contender(words, partial(run_array, f"{name}-{word}"), role)

    contenders = (
        contender("pmemobj", "pmemobj", Role.OURS),
        *(contender(*one, Role.PEER) for one in peers.items()),
        *(contender(*one, Role.ASIDE) for one in aside.items()),
    )
    return Group(name, title, contenders, must, limit=limit, unit=unit, quick=False)


_AMOUNT = f"{SIZE // MIB:,} MiB of float64"
_LARGE = f"{LARGE // MIB:,} MiB of it, hardly written,"
ARRAYS = (
    of_arrays(
        "array-store",
        f"storing {_AMOUNT}, committed",
        {"save": "numpy.save"},
        {"pickle": "pickle.dump", "joblib": "joblib.dump", "dill": "dill.dump"},
        must=1.3,
    ),
    of_arrays(
        "array-store-power",
        f"storing {_AMOUNT}, on the disk",
        {"save": "numpy.save, fsync"},
        must=1.3,
    ),
    of_arrays(
        "array-open",
        f"opening, and one element of {_AMOUNT}",
        aside={"save": "numpy.load, mapped", "pickle": "pickle.load"},
        limit=0.015,
    ),
    of_arrays(
        "array-memory",
        f"memory that opening and one element of {_AMOUNT} take",
        limit=SIZE / 100,
        unit=BYTES,
    ),
    of_arrays(
        "array-open-large",
        f"opening, and one element of {_LARGE[:-1]}",
        limit=0.015,
    ),
    of_arrays(
        "array-memory-large",
        f"memory that opening and one element of {_LARGE} take",
        limit=LARGE / 100,
        unit=BYTES,
    ),
    of_arrays(
        "array-update",
        f"a committed change of 1 MiB in {_AMOUNT}",
        {"memcpy": "the same in ordinary memory"},
        {"memmap": "numpy.memmap, not atomic"},
        must=2.0,
    ),
    of_arrays(
        "frame-mean",
        "a stored frame's mean of one column, in a new process",
        {"arrow": "Arrow IPC, mapped", "parquet": "Parquet", "pickle": "pickle"},
        must=1.0,
    ),
    of_arrays(
        "workspace",
        f"one small change beside {_AMOUNT} that stay",
        {"diskcache": "diskcache, a key each"},
        {
            "joblib": "joblib.dump of it all",
            "dill": "dill.dump of it all",
            "store": "%store of it all",
        },
    ),
)

SURVIVAL = tuple(
    Group(
        f"survival-{safety}",
        f"committed changes lost by kill -9, safety {safety!r}",
        (
            ours("survival", safety),
            *(
                peer("survival", store, safety, Role.ASIDE)
                for store in ("lmdb", "sqlite", "zodb", "diskcache", "shelve", *WHOLE)
                if installed(store) and safety in store_class(store).settings
            ),
        ),
        limit=0,
        unit="changes",
        quick=False,
    )
    for safety in (CRASH, POWER)
)

GROUPS = (
    MACHINE,
    *ENGINE,
    *CHANGES,
    *BUILDING,
    *READING,
    *STARTING,
    *SPACE,
    *GROWTH,
    *ITERATING,
    *COLLECTION,
    *ARRAYS,
    *SURVIVAL,
)
