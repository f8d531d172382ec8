"""Slack's text and emoji, its signature, and how long messages go out."""

from datetime import UTC, datetime, timedelta

import pytest

from chamade_mcp.connectors.slack.emoji import emoji_of, name_of
from chamade_mcp.connectors.slack.messages import BLOCK_LIMIT, sections_of
from chamade_mcp.connectors.slack.signing import SIGNATURE, TIMESTAMP, is_signed, signature
from chamade_mcp.connectors.slack.text import mentioned, plain
from chamade_mcp.kit.markdown.formats import Format
from chamade_mcp.kit.markdown.render import render
from chamade_mcp.model.messages import Outgoing


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a &amp; b &lt;c&gt;", "a & b <c>"),
        ("&amp;lt;", "&lt;"),
        ("<@U1> and <@U2|bob>", "@Ann and @bob"),
        ("<@U9>", "@U9"),
        ("<#C1|general> <#C2>", "#general #C2"),
        ("<!here> <!channel> <!subteam^S1|@team>", "@here @channel @team"),
        ("<!date^1392734382^{date}|a day>", "a day"),
        ("<https://x.example/?a=1&amp;b=2>", "https://x.example/?a=1&b=2"),
        ("<https://x.example/|here>", "[here](https://x.example/)"),
        ("<https://x.example|https://x.example>", "https://x.example"),
        ("<mailto:a@x.example|a@x.example>", "a@x.example"),
        ("<> < <<x>", "<> < <x"),
    ],
)
def test_text_is_made_plain(text: str, said: str) -> None:
    assert plain(text, {"U1": "Ann"}) == said


def test_who_is_called() -> None:
    assert mentioned("<@U1> <@U2|bob> <@U1> &lt;@U3&gt; <#C1>") == ["U1", "U2"]


@pytest.mark.parametrize(
    ("emoji", "name"),
    [
        ("👍", "+1"), ("👍🏽", "+1::skin-tone-4"), ("🎉", "tada"), ("🚀", "rocket"), ("❤️", "heart"),
        ("🦀", "crab"), ("✅", "white_check_mark"),
    ],
)  # fmt: skip
def test_emoji_have_names_both_ways(emoji: str, name: str) -> None:
    assert name_of(emoji) == name
    assert emoji_of(name) == emoji.replace("\ufe0f", "")


def test_emoji_by_other_names() -> None:
    assert (name_of(":Thumbsup:"), name_of("partyparrot")) == ("thumbsup", "partyparrot")
    assert (emoji_of("thumbsup"), emoji_of("partyparrot")) == ("👍", ":partyparrot:")
    assert emoji_of("comma") == ":comma:"


def test_the_signature_of_slacks_own_example() -> None:
    # https://docs.slack.dev/authentication/verifying-requests-from-slack
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F"
        b"96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    secret, at = "8f742231b10e8888abcd99yyyzzz85a5", "1531420618"
    signed = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
    assert signature(secret, at, body) == signed
    headers = {TIMESTAMP: at, SIGNATURE: signed}
    then = datetime.fromtimestamp(1531420618, UTC)
    for off, taken in ((0, True), (300, True), (301, False), (-300, True), (-301, False)):
        assert is_signed(secret, headers, body, then + timedelta(seconds=off)) is taken
    assert not is_signed(secret, headers, body + b" ", then)
    assert not is_signed(secret[:-1], headers, body, then)
    for wrong in ("", "1e9", "-1", "9" * 400, "１５３１４２０６１８"):
        assert not is_signed(secret, {**headers, TIMESTAMP: wrong}, body, then)
    assert not is_signed(secret, {TIMESTAMP: at, SIGNATURE: "v0=é"}, body, then)


def outgoing(markdown: str) -> Outgoing:
    return Outgoing("k", render(markdown, Format.SLACK), markdown=markdown)


def test_what_fits_is_one_text() -> None:
    assert sections_of(outgoing("x" * BLOCK_LIMIT)) == []


def test_code_is_closed_and_opened_anew_between_blocks() -> None:
    sections = sections_of(outgoing("```\n" + "a line of code\n" * 300 + "```"))
    assert len(sections) == 2
    assert all(s.startswith("```\n") and s.endswith("\n```") and len(s) <= BLOCK_LIMIT for s in sections)


def test_what_is_too_much_for_blocks_is_text() -> None:
    assert sections_of(outgoing("word " * 2500)) == []
    assert sections_of(outgoing(f"[x](https://example.org/{'a' * 3000})")) == []
