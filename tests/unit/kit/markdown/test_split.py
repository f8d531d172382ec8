"""A long message as several: nothing is lost, every part is within the limit and whole in itself."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chamade_mcp.kit.markdown.dialect import ZERO_WIDTH
from chamade_mcp.kit.markdown.formats import Format, Unit
from chamade_mcp.kit.markdown.graphemes import graphemes
from chamade_mcp.kit.markdown.limits import length
from chamade_mcp.kit.markdown.render import Node, parse, render
from chamade_mcp.kit.markdown.split import split
from tests.unit.kit.markdown.test_injection import ANY_MARKDOWN

FAMILY = "👨‍👩‍👧‍👦"
_INLINE = st.text("abc de.!?é漢。👍🏽\U0001f1e9\U0001f1ea", min_size=1, max_size=60) | st.sampled_from(
    [
        "**bold words. And more** ",
        "_so it is_ ",
        "`code()` ",
        "~~gone~~ ",
        "[a link](https://a.example) ",
        FAMILY * 9,
    ]
)
_PARAGRAPH = st.lists(_INLINE, min_size=1, max_size=8).map("".join).map(str.strip).filter(bool)
_CODE = st.lists(st.text("abc  {}#*`.", max_size=50), max_size=12).map("\n".join)
_BLOCK = st.one_of(
    _PARAGRAPH,
    _PARAGRAPH.map("## {}".format),
    _PARAGRAPH.map("> {}".format),
    _CODE.map("~~~~python\n{}\n~~~~".format),
    st.lists(_PARAGRAPH, min_size=1, max_size=5).map(lambda items: "\n".join(f"- {item}" for item in items)),
    st.lists(_PARAGRAPH, min_size=1, max_size=5).map(
        lambda items: "\n".join(f"1. {item}\n   - x y" for item in items)
    ),
)
DOCUMENTS = st.lists(_BLOCK, min_size=1, max_size=6).map("\n\n".join)
FORMATS = st.sampled_from(list(Format))
UNITS = st.sampled_from(list(Unit))


def said(markdown: str) -> str:
    """All the words of it, without the space between them."""
    return re.sub(rf"[\s{ZERO_WIDTH}]+", "", _said(parse(markdown)))


def _said(node: Node) -> str:
    if node.type in ("text", "code_inline", "fence", "code_block"):
        return node.content
    return "".join(_said(child) for child in node.children)


def of(markdown: str, limit: int, to: Format = Format.PLAIN) -> list[str]:
    return split(markdown, to, Unit.CHARACTERS, limit)


@given(DOCUMENTS, FORMATS, UNITS, st.integers(150, 600))
@settings(max_examples=200, deadline=None)
def test_every_part_is_within_the_limit_and_nothing_is_lost(
    markdown: str, to: Format, unit: Unit, limit: int
):
    parts = split(markdown, to, unit, limit)
    assert all(length(render(part, to), to, unit) <= limit for part in parts)
    assert len(parts) == 1 or all(render(part, to) for part in parts)
    assert "".join(map(said, parts)) == said(markdown)


@given(ANY_MARKDOWN.filter(lambda markdown: "|" not in markdown), FORMATS, st.integers(1, 60))
@example("# 0&#10;#", Format.PLAIN, 9)
@example("000***\u20280*", Format.PLAIN, 6)
@example("* * x\n* y", Format.PLAIN, 3)
@example("** _0*a*_", Format.PLAIN, 4)
@example("0 0***a*a*", Format.PLAIN, 5)
@settings(max_examples=300, deadline=None)
def test_any_text_keeps_its_words(markdown: str, to: Format, limit: int):
    # What leaks out of its markup would be words that were none.
    assert "".join(said(part) for part in of(markdown, limit, to)) == said(markdown)


def test_what_stands_beside_a_table_keeps_its_markup():
    parts = of("**bold**\n\n| a | b |\n|---|---|\n| c | `d` |\n\n" + "word " * 20, 60)
    assert parts[0].startswith("**bold**\n\n```")


@settings(deadline=None)
@given(st.lists(st.sampled_from([FAMILY, "👍🏽", "🇩🇪", "e\u0301", "漢", "각\u11a8", "a"]), max_size=60))
def test_what_is_one_character_to_a_reader_stays_one(characters: list[str]):
    text = "".join(characters)
    kept = [shown for part in of(text, 24) for shown in graphemes(part)]
    assert kept == list(graphemes(text))
    assert len(kept) == len(characters)


@pytest.mark.parametrize(
    ("markdown", "limit", "parts"),
    [
        ("short", 10, ["short"]),
        ("One paragraph.\n\nAnother one.", 20, ["One paragraph.", "Another one."]),
        ("It rains today. It will not tomorrow.", 25, ["It rains today.", "It will not tomorrow."]),
        ("a long line of words only", 12, ["a long line", "of words", "only"]),
        ("x" * 25, 10, ["x" * 10, "x" * 10, "x" * 5]),
        ("first line here\nsecond line", 20, ["first line here", "second line"]),
        ("**one two three four**", 12, ["**one two**", "**three four**"]),
        ("> one two three four", 12, ["> one two", "> three four"]),
        ("- one two\n- three four\n- five", 14, ["- one two", "- three four", "- five"]),
        ("3. one two\n4. three four", 14, ["3. one two", "4. three four"]),
        ("```py\na = 1\nb = 2\nc = 3\n```", 12, ["```py\na = 1\nb = 2\n```", "```py\nc = 3\n```"]),
        ("some words\n\n## Title\n\nmore words here", 22, ["some words", "## Title\n\nmore words here"]),
        ("天気がいい。明日は雨だろう。", 8, ["天気がいい。", "明日は雨だろう。"]),
        ("a [label](https://a.example/x) b", 27, ["a", "[label](https://a.example/x)", "b"]),
        ("![cat](https://a.example/c.png)", 10, ["[cat](https://a.example/c.png)"]),
        (
            "see snake_case_name and *no markup \\* here",
            26,
            ["see snake_case_name and", "\\*no markup \\* here"],
        ),
    ],
)
def test_it_is_cut_where_a_reader_would_pause(markdown: str, limit: int, parts: list[str]):
    assert of(markdown, limit) == parts


def test_the_rows_of_a_table_come_with_its_head():
    rows = [f"row {n:02}" for n in range(12)]
    table = "| name | n |\n|--|--|\n" + "\n".join(f"| {row} | {row[-2:]} |" for row in rows)
    parts = of(table, 100)
    assert len(parts) > 1
    assert all(part.startswith("```\nname   | n") for part in parts)
    assert re.findall(r"row \d\d", "".join(parts)) == rows


def test_markup_that_the_platform_counts_is_counted():
    text = " ".join(["a_"] * 100)
    parts = of(text, 80, Format.WHATSAPP)
    assert all(len(render(part, Format.WHATSAPP)) <= 80 for part in parts)
    assert len(parts) > len(of(text, 80))
