"""The parts that need no socket."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chamade_mcp.connectors.web import ledger
from chamade_mcp.connectors.web import uploads as module
from chamade_mcp.connectors.web.address import Addresses
from chamade_mcp.connectors.web.lately import Lately
from chamade_mcp.connectors.web.ledger import Ledger
from chamade_mcp.connectors.web.pace import Window, within
from chamade_mcp.connectors.web.passes import Passes
from chamade_mcp.connectors.web.post import MOST_REACTIONS, Board, Kind, Post, Reaction
from chamade_mcp.connectors.web.tests.harness import ManualClock, eventually
from chamade_mcp.connectors.web.uploads import Ticket, Uploads
from chamade_mcp.model.errors import LimitReached
from chamade_mcp.model.ids import ConversationRef, FileId
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
    secret = passes.secret(guest, "token-1")
    assert passes.guest(secret, "token-1") == guest
    assert Passes(b"key").guest(secret, "token-1") == guest
    for wrong in (
        passes.guest(secret, "token-2"),
        Passes(b"other").guest(secret, "token-1"),
        passes.guest(None, "token-1"),
    ):
        assert wrong is None
    assert passes.guest(passes.new_guest() + secret[len(guest) :], "token-1") is None
    assert passes.guest(secret + "x", "token-1") is None
    assert "token-1" not in secret


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


def upload(uploads: Uploads, link: str, guest: str, name: str = "f_1") -> Attachment:
    attachment = Attachment(name, "text/plain", 1, "u", FileId(name))
    uploads.begin(link, guest).add(attachment)
    return attachment


async def pour(ticket: Ticket, *sizes: int) -> int:
    async def chunks() -> AsyncIterator[bytes]:
        for size in sizes:
            yield bytes(size)

    return sum([len(chunk) async for chunk in ticket.metered(chunks())])


def test_a_file_is_its_uploaders_and_no_other_guest_takes_its_place() -> None:
    uploads = Uploads(ManualClock())
    first, second = (upload(uploads, "link", "g", f"f_{n}") for n in range(2))
    for n in range(150):
        upload(uploads, "link", f"g{n}", f"f_{n}")
        upload(uploads, f"link{n}", "g", f"f_{n}")
    assert uploads.claim("link", "g", ("f_1", "f_0")) == (second, first)
    assert uploads.claim("link", "g", ("f_0", "f_99")) is None
    assert uploads.claim("elsewhere", "g", ("f_0",)) is None
    assert uploads.claim("link", "nobody", ()) == ()
    uploads.begin("link", "late")
    assert uploads.claim("link", "late", ("f_0",)) is None


def test_a_guest_has_a_pace_and_a_link_has_a_day() -> None:
    clock = ManualClock()
    uploads = Uploads(clock)
    for _ in range(20):
        uploads.begin("link", "g")
    with pytest.raises(LimitReached) as paced:
        uploads.begin("link", "g")
    assert paced.value.retry_after == 60
    clock.advance(60)
    for n in range(180):
        uploads.begin("link", f"g{n}")
    with pytest.raises(LimitReached) as used_up:
        uploads.begin("link", "another guest")
    assert used_up.value.retry_after == 24 * 3600 - 60
    uploads.begin("another link", "g")
    clock.advance(24 * 3600 - 60)
    uploads.begin("link", "another guest")


async def test_a_link_takes_so_many_bytes_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BYTES_PER_DAY", 1000)
    clock = ManualClock()
    uploads = Uploads(clock)
    assert await pour(uploads.begin("link", "g"), 400, 400) == 800
    late = uploads.begin("link", "h")
    with pytest.raises(LimitReached):
        await pour(late, 100, 100, 1)
    with pytest.raises(LimitReached):
        uploads.begin("link", "i")
    clock.advance(24 * 3600)
    assert await pour(uploads.begin("link", "i"), 1000) == 1000


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


def said(post_id: str, text: str = "hi") -> Post:
    return Post(post_id, post_id, "Ann", "guest_1", Kind.PERSON, text, (), "2026-11-20T12:00:00Z")


def test_a_board_shows_the_newest_as_they_are_now() -> None:
    board = Board(2)
    for post_id in "abc":
        board.put(said(post_id))
    board.put(said("b", "hi again"))
    assert [board.get(post_id) for post_id in "abc"] == [None, said("b", "hi again"), said("c")]


def test_what_is_taken_back_stays_so_and_says_nothing() -> None:
    thumb = Reaction("👍", "guest_2", "Ben")
    gone = said("a").edited("ho", "later").with_reaction(thumb, on=True).taken_back()
    assert (gone.text, gone.edited_at, gone.reactions, gone.deleted) == ("", None, (), True)
    assert gone.edited("again", "even later") is gone
    assert gone.with_reaction(thumb, on=True) is gone


def test_reactions_are_put_once_and_not_without_end() -> None:
    post = said("a")
    for n in range(MOST_REACTIONS + 1):
        post = post.with_reaction(Reaction("👍", f"guest_{n}", "Ann"), on=True)
    assert len(post.reactions) == MOST_REACTIONS
    assert post.with_reaction(Reaction("👍", "guest_0", "Anna"), on=True) is post
    assert (
        len(post.with_reaction(Reaction("👍", "guest_0", "Anna"), on=False).reactions) == MOST_REACTIONS - 1
    )


def test_the_newest_changes_are_remembered_in_their_order() -> None:
    lately, chat = Lately(), ConversationRef("chat_1")
    lately.note(chat, "old", lambda post, _: post.taken_back())
    for n in range(200):
        lately.note(chat, "a", lambda post, agent, n=n: post.edited(f"{agent} {n}", "later"))
    assert lately.of(chat, "old") == lately.of(ConversationRef("chat_2"), "a") == []
    post = said("a")
    for revise in lately.of(chat, "a"):
        post = revise(post, "Ada")
    assert post.text == "Ada 199"
