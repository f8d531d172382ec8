"""The parts that need no socket."""

import asyncio

import pytest

from chamade_mcp.connectors.web import ledger
from chamade_mcp.connectors.web.address import Addresses
from chamade_mcp.connectors.web.ledger import Ledger
from chamade_mcp.connectors.web.pace import Window, within
from chamade_mcp.connectors.web.passes import Passes
from chamade_mcp.connectors.web.tests.harness import ManualClock, eventually
from chamade_mcp.connectors.web.uploads import Uploads
from chamade_mcp.connectors.web.wire import Kind, Post
from chamade_mcp.model.errors import LimitReached
from chamade_mcp.model.ids import FileId
from chamade_mcp.model.messages import Attachment


async def test_within() -> None:
    clock = ManualClock()

    async def answer() -> int:
        return 42

    async def fail() -> int:
        raise KeyError

    assert await within(clock, 1, answer()) == 42
    with pytest.raises(KeyError):
        await within(clock, 1, fail())
    late = asyncio.create_task(within(clock, 10, asyncio.Event().wait()))
    await eventually(lambda: clock.sleepers == 1)
    clock.advance(9.9)
    await asyncio.sleep(0)
    assert not late.done()
    clock.advance(0.1)
    with pytest.raises(TimeoutError):
        await late
    assert clock.sleepers == 0
    assert len(asyncio.all_tasks()) == 1


def test_a_window_slides() -> None:
    clock = ManualClock()
    window = Window(clock, 2, 10)
    assert window.admit()
    clock.advance(6)
    assert window.admit()
    assert not window.admit()
    clock.advance(4)
    assert window.admit()
    assert not window.admit()


def test_a_pass_proves_one_guest_on_one_link() -> None:
    passes = Passes(b"key")
    guest = passes.new_guest()
    secret = passes.secret(guest, "t1")
    assert passes.guest(secret, "t1") == guest
    assert Passes(b"key").guest(secret, "t1") == guest
    for wrong in (passes.guest(secret, "t2"), Passes(b"other").guest(secret, "t1"), passes.guest(None, "t1")):
        assert wrong is None
    assert passes.guest(passes.new_guest() + secret[len(guest) :], "t1") is None
    assert passes.guest(secret + "x", "t1") is None
    assert "t1" not in secret


def test_a_ledger_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_REMEMBERED", 2)
    book = Ledger()
    posts = [Post(str(n), "k", "Ann", "g", Kind.PERSON, "hi", (), "now") for n in range(3)]
    for post in posts:
        book.show(post.id, post)
        book.store(post.id)
    assert [book.shown(p.id) for p in posts] == [None, *posts[1:]]
    assert [book.is_stored(p.id) for p in posts] == [False, True, True]
    book.store("0")
    assert not book.is_stored("0")


def test_uploads_are_bounded() -> None:
    clock = ManualClock()
    uploads = Uploads(clock)
    files = [Attachment(str(n), "text/plain", 1, "u", FileId(f"f_{n}")) for n in range(51)]
    for file in files:
        uploads.add("g", file)
    assert uploads.claim("g", ("f_50", "f_1")) == (files[50], files[1])
    assert uploads.claim("g", ("f_50", "f_0")) is None
    assert uploads.claim("other", ("f_50",)) is None
    assert uploads.claim("other", ()) == ()
    for n in range(2000):
        uploads.announce(f"g{n}")
    assert uploads.claim("g", ("f_50",)) is None
    for _ in range(19):
        uploads.announce("g1999")
    with pytest.raises(LimitReached):
        uploads.announce("g1999")


@pytest.mark.parametrize(
    ("origin", "host", "ours"),
    [
        ("https://talk.example.org", None, True),
        ("https://talk.example.org:443", None, True),
        ("https://TALK.example.org", "x", True),
        ("https://talk.example.org:8443", "x", False),
        ("http://localhost:8000", "localhost:8000", True),
        ("http://localhost:8000", "localhost:9000", False),
        ("http://localhost:99999", "x", False),
        ("null", "null", False),
        ("", "", False),
        ("https://evil.example", "talk.example.org", False),
    ],
)
def test_origins(origin: str, host: str | None, ours: bool) -> None:
    assert Addresses("https://talk.example.org").is_ours(origin, host) is ours


def test_a_gateway_below_a_path() -> None:
    addresses = Addresses("https://example.org/voice/")
    assert addresses.room("t") == "https://example.org/voice/r/t"
    assert addresses.room_token("https://example.org/voice/r/t") == "t"
