"""The headers that a file goes out with."""

import re
from urllib.parse import unquote

import pytest

from chamade_mcp.api.serving import Span, disposition_of, etag_of, span_of
from chamade_mcp.core.files import ServedFile
from chamade_mcp.model.errors import RangeNotSatisfiable
from chamade_mcp.model.ids import new_file_id


def file(name: str, mime: str = "application/pdf") -> ServedFile:
    return ServedFile(new_file_id(), name, mime, 100)


@pytest.mark.parametrize(
    "name",
    [
        "report (1).pdf",
        'a "quoted" name',
        "back\\slash",
        "naïve.png",
        "日本.txt",
        "50%.txt",
        "a;b=c",
        "' * '",
    ],
)
def test_a_name_comes_through_whole_and_breaks_nothing(name: str) -> None:
    told = disposition_of(file(name))
    assert told.isascii()
    plain = re.fullmatch(r"attachment; filename=\"([^\"\\%]*)\"(?:; filename\*=UTF-8''([^'\s;]+))?", told)
    assert plain is not None
    assert (unquote(plain[2]) if plain[2] else plain[1]) == name


def test_shown_or_saved() -> None:
    assert disposition_of(file("a.png", "image/png")) == 'inline; filename="a.png"'
    assert disposition_of(file("a.html", "text/html")) == 'attachment; filename="a.html"'


def test_the_tag_is_strong_and_tells_no_id() -> None:
    one = file("a")
    assert etag_of(one) == etag_of(one) != etag_of(file("a"))
    assert re.fullmatch(r'"[0-9a-f]{32}"', etag_of(one))
    assert one.id not in etag_of(one)


@pytest.mark.parametrize(
    ("asked", "span"),
    [
        (b"bytes=0-9", Span(0, 10)),
        (b"bytes=99-", Span(99, 100)),
        (b"bytes=-1", Span(99, 100)),
        (b"bytes=0-999999999999999999", Span(0, 100)),
        (b"bytes=0-9, 20-29", Span(0, 100, whole=True)),
        (b"bytes=9-0", Span(0, 100, whole=True)),
        (b"bytes=" + b"9" * 40 + b"-", Span(0, 100, whole=True)),
        ("bytes=\u0661-".encode(), Span(0, 100, whole=True)),
        (b"", Span(0, 100, whole=True)),
        (None, Span(0, 100, whole=True)),
    ],
)
def test_ranges(asked: bytes | None, span: Span) -> None:
    assert span_of(asked, 100) == span


@pytest.mark.parametrize("asked", [b"bytes=100-", b"bytes=-0", b"bytes=100-200"])
def test_ranges_with_nothing_in_them(asked: bytes) -> None:
    with pytest.raises(RangeNotSatisfiable, match="100 bytes"):
        span_of(asked, 100)
