"""Displays: text and HTML tell the same, nothing escapes, nothing overflows."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmemobj.display import html, text
from pmemobj.display.summary import (
    Badge,
    Cell,
    Column,
    Fact,
    Gap,
    Meter,
    Part,
    Row,
    Summary,
    Table,
    count,
    percent,
    printable,
    size,
)

COLUMNS = (
    Column("name", "name"),
    Column("type", "word"),
    Column("length", "number"),
    Column("size", "size", "a hint"),
    Column("value"),
)
VOID = {"br", "hr", "img", "input", "meta", "link"}


class Page(HTMLParser):
    """Collects the words that are visible, the elements and their ids; checks nesting."""

    def __init__(self, markup: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, str]] = []
        self.chunks: list[str] = []
        self.nested: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(markup)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag not in VOID:
            self.open.append((tag, dict(attrs).get("class") or ""))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if any(tag == "style" for tag, _ in self.open):
            return
        inside = any(name == "pmo-nested" for _, name in self.open)
        (self.nested if inside else self.chunks).append(data)

    def words(self) -> list[str]:
        return [chunk.strip() for chunk in self.chunks if chunk.strip()]


def nested(depth: int) -> Summary:
    inner = nested(depth - 1) if depth > 1 else None
    row = Row((f"depth{depth}", Cell(f"value{depth}", nested=inner)))
    return Summary("list", tables=(Table((COLUMNS[0], COLUMNS[4]), (row,)),))


SUMMARIES = {
    "workspace": Summary(
        "ws",
        "analysis.pool",
        badges=(Badge("open", "good"), Badge("survives kill -9", "info", "and no power cut")),
        warnings=("A transaction is open.",),
        meter=Meter(
            (Part("used", 43 << 20), Part("free", 10 << 20, "plain")),
            128 << 20,
            "34% of 128 MiB used",
            "not on disk yet",
        ),
        facts=(Fact("variables", "3", "a hint"),),
        tables=(
            Table(
                COLUMNS,
                (
                    Row(("readings", "Readings", "1,000", Cell("15.6 KiB", share=0.4), "[0.5, …]")),
                    Row(
                        ("x", "str", "4", "", Cell("<b>&", (Badge("shared ×2"),), None, nested(2)))
                    ),
                    Gap(12_000),
                ),
                "stored",
            ),
            Table(COLUMNS[:2], (Row((Cell("_v_lock", (Badge("mine"),)), "lock")),), "volatile"),
        ),
        notes=("A note.",),
    ),
    "empty": Summary("ws", "empty.pool", empty="Nothing is stored yet."),
    "recovered": Summary(
        "recovered", "a.pool", "warn", facts=(Fact("rolled back", "1 transaction"),)
    ),
}


@pytest.mark.parametrize("summary", SUMMARIES.values(), ids=SUMMARIES)
def test_text_and_html_tell_the_same(summary):
    plain = text.render(summary, width=1000)
    visible = Page(html.render(summary)).words()
    for words in visible:
        assert words in plain
    rest = plain
    for words in sorted(visible, key=len, reverse=True):
        rest = rest.replace(words, "")
    assert re.sub(r"[\s·█▒░!\[\]]", "", rest) == ""


def test_html_has_no_script_no_id_and_one_scoped_style():
    markup = html.render(SUMMARIES["workspace"])
    page = Page(markup)
    assert page.tags <= {
        *("div", "span", "style", "dl", "dt", "dd", "details", "summary"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    assert page.attributes <= {
        *("class", "style", "title", "role", "aria-label", "scope", "colspan"),
    }
    assert markup.count("<style>") == 1
    assert ":root" not in html.style()
    for selector in re.findall(r"([^{}]+)\{", html.style()):
        if not selector.strip().startswith("@container "):
            for one in selector.split(","):
                assert ".pmemobj" in one


hostile = st.text(max_size=30) | st.sampled_from(
    ["</style><script>alert(1)</script>", '"onload="x', "<td>", "&lt;", "a\x00b", "'\"><img src=x>"]
)


@settings(max_examples=50)
@given(hostile, hostile, hostile, hostile)
def test_everything_is_escaped(name, value, badge, note):
    def made(name, value, badge, note):
        inside = Cell(value, (Badge(badge, "warn", value),), nested=nested(2))
        row = Row((name, value, value, Cell(value, share=0.5), inside))
        return Summary(
            name,
            value,
            badges=(Badge(badge, "bad", note),),
            warnings=(note,),
            facts=(Fact(name, value, note),),
            meter=Meter((Part(name, 1),), 2, note, name),
            tables=(Table((Column(name, "name", note), *COLUMNS[1:]), (row,), name),),
            notes=(note,),
        )

    long = "x" * 40
    page = Page(html.render(made(name, value, badge, note)))
    expected = Page(html.render(made(long, long, long, long)))
    assert page.tags == expected.tags
    assert page.attributes <= expected.attributes


def test_levels_are_bounded():
    markup = html.render(nested(6), depth=3)
    assert "value4" in markup
    assert "value3" not in markup
    assert markup.count("<details>") == 2
    assert "<details>" not in html.render(nested(6), depth=1)


@given(st.text(max_size=200), st.text(max_size=200), st.integers(20, 200))
def test_text_stays_within_its_width(name, value, width):
    cells = (printable(name), "str", "5", Cell("5 B", share=0.001), printable(value))
    summary = Summary(
        "ws",
        warnings=(printable(value),),
        facts=(Fact("fact", printable(value)),),
        tables=(Table(COLUMNS, (Row(cells),)),),
        notes=(printable(name),),
    )
    for line in text.render(summary, width).split("\n"):
        assert text.width_of(line) <= width


@pytest.mark.parametrize(
    ("words", "width", "clipped"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("日本語", 5, "日本…"),
        ("日本語", 6, "日本語"),
    ],
)
def test_clip_counts_columns(words, width, clipped):
    assert text.clip(words, width) == clipped


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1 << 20, "1.0 MiB"),
        ((1 << 20) - 1, "1.0 MiB"),
        (128 << 20, "128 MiB"),
        (5 << 40, "5.0 TiB"),
        (1 << 70, "1048576 PiB"),
    ],
)
def test_sizes_in_words(amount, words):
    assert size(amount) == words


def test_small_words():
    assert count(1, "entry", "entries") == "1 entry"
    assert count(12_000, "entry", "entries") == "12,000 entries"
    assert percent(0.0001) == percent(0) == ""
    assert percent(0.44) == "44%"
    assert printable("x") == "x"
    assert printable("a\u202eb") == r"'a\u202eb'"


def test_a_meter_shows_something_for_a_little_and_never_overflows():
    little = text.render_meter(Meter((Part("used", 1),), 1 << 40, "caption", "free"))
    assert little.startswith("█░")
    assert little.endswith("1 B used · 1.0 TiB free")
    over = Meter((Part("a", 9), Part("b", 9)), 10, "caption", "free")
    assert text.render_meter(over) == "█" * 30 + "  caption\n9 B a · 9 B b"
    assert re.findall(r"width:([\d.]+)%", html.render(Summary("s", meter=over))) == [
        "90.00",
        "10.00",
    ]


def test_sizes_are_aligned_at_their_units():
    rows = (Row((Cell("15.6 KiB"),)), Row((Cell("512 B"),)), Row(("",)))
    assert text.render_table(Table((Column("size", "size"),), rows)) == [
        "    size",
        "15.6 KiB",
        " 512 B",
        "",
    ]


def test_paint_changes_no_facts():
    def paint(words, tone):
        return f"\x1b[1m{words}\x1b[0m"

    painted = text.render(SUMMARIES["workspace"], paint=paint)
    assert re.sub(r"\x1b\[\d*m", "", painted) == text.render(SUMMARIES["workspace"])
