"""Reactions, cards and addresses of Teams."""

import json
from typing import Any

import pytest

from chamade_mcp.connectors.teams.cards import CARD, card_of, summary_of
from chamade_mcp.connectors.teams.places import Places
from chamade_mcp.connectors.teams.reactions import emoji_of, name_of
from chamade_mcp.kit.markdown.formats import Format
from chamade_mcp.kit.markdown.render import render
from chamade_mcp.model.errors import PlatformRefused


@pytest.mark.parametrize(
    ("name", "emoji"),
    [
        ("like", "\U0001f44d"),
        ("heart", "\u2764\ufe0f"),
        ("1f389_partypopper", "\U0001f389"),
        ("1f469-200d-1f4bb_womantechnologist", "\U0001f469\u200d\U0001f4bb"),
        ("d800_x", ":d800_x:"),
        ("0041_a", ":0041_a:"),
        ("custom", ":custom:"),
    ],
)
def test_reactions_of_people(name: str, emoji: str) -> None:
    assert emoji_of(name) == emoji


def test_reactions_of_bots() -> None:
    assert [name_of(emoji) for emoji in ("\U0001f44d", "\u2764", "\u2764\ufe0f", "\u2705\ufe0f")] == [
        *("like", "heart", "heart", "2705_whiteheavycheckmark"),
    ]
    with pytest.raises(PlatformRefused, match="a bot reacts with one of"):
        name_of("\U0001f9ff")


def card(markdown: str) -> dict[str, Any] | None:
    made = card_of(markdown, render(markdown, Format.TEAMS))
    if made is None:
        return None
    assert made["contentType"] == CARD
    return made["content"]


@pytest.mark.parametrize(
    "markdown", ["hello", "# Title\n\nshort", "```\nplain\n```", "```nonsense\nx\n```", "- a\n- b", "> q"]
)
def test_what_text_says_as_well_is_no_card(markdown: str) -> None:
    assert card(markdown) is None


def test_a_table_with_words_around_it() -> None:
    made = card(
        "## Sales\n\nSee **bold _both_** `code` ~~gone~~ [here](https://a.example/) [no](ftp://x.example)\n\n"
        "1. one\n2. two\n   - deep\n\n> quoted\n\n| a | b |\n|---|---|\n| *x* | |\n"
    )
    assert made is not None
    title, words, one, two, deep, quote, table = made["body"]
    assert title["inlines"] == [{"type": "TextRun", "text": "Sales", "weight": "Bolder", "size": "Large"}]
    runs = {run["text"]: run for run in words["inlines"]}
    assert (runs["both"]["italic"], runs["both"]["weight"]) == (True, "Bolder")
    assert runs["code"]["fontType"] == "Monospace"
    assert runs["gone"]["strikethrough"] is True
    assert runs["here"]["selectAction"] == {"type": "Action.OpenUrl", "url": "https://a.example/"}
    assert "selectAction" not in runs["no"]
    leads = [element["inlines"][0]["text"] for element in (one, two, deep)]
    assert leads == ["1. ", "2. ", "\u2003\u2022 "]
    assert quote["items"][0]["inlines"][0]["text"] == "quoted"
    assert len(table["columns"]) == 2
    assert [len(row["cells"]) for row in table["rows"]] == [2, 2]
    assert table["rows"][1]["cells"][1]["items"] == []
    assert made["fallbackText"].startswith("**Sales**")


def test_code_in_colours() -> None:
    made = card("Run:\n\n```python title\nprint(1)\n```\n\n```\nplain\n```")
    assert made is not None
    _, code, plain = made["body"]
    assert (code["type"], code["language"], code["codeSnippet"]) == ("CodeBlock", "Python", "print(1)")
    assert code["fallback"]["inlines"][0] == {"type": "TextRun", "text": "print(1)", "fontType": "Monospace"}
    assert plain["inlines"][0]["text"] == "plain"


def test_what_does_not_fit_a_card_is_none() -> None:
    assert card("# T\n\n" + "word " * 1000) is not None
    assert card("| a |\n|---|\n" + "| \u00e9 |\n" * 2000) is None
    assert card("|" + " a |" * 11 + "\n|" + "---|" * 11) is None


def test_a_summary() -> None:
    assert summary_of("# Two  *words*\n\nmore") == "Two  words"
    assert summary_of("![](https://a.example/x.png)\n\nb") == "b"
    assert len(summary_of("x" * 500)) == 200
    assert summary_of("---") == "\u2026"


def places(api_url: str = "https://smba.trafficmanager.net/teams") -> Places:
    return Places(api_url, "tenant")


@pytest.mark.parametrize(
    ("url", "service", "store"),
    [
        ("https://smba.trafficmanager.net/emea/", True, True),
        ("https://smba.infra.gcc.teams.microsoft.com/teams", True, False),
        ("https://contoso-my.sharepoint.com/personal/a?tempauth=x", False, True),
        ("https://evil.trafficmanager.net/emea/", False, False),
        ("https://smba.trafficmanager.net.evil.example/", False, False),
        ("https://sharepoint.com.evil.example/", False, False),
        ("https://eviLsharepoint.com/", False, False),
        ("http://contoso.sharepoint.com/", False, False),
        ("http://smba.trafficmanager.net/emea/", False, False),
        ("https://contoso.sharepoint.com:8443/", False, False),
        ("https://x@contoso.sharepoint.com/", False, False),
        ("https://evil.example\\.sharepoint.com/", False, False),
        ("https://evil.example/\n.sharepoint.com", False, False),
        ("https://\u2603.sharepoint.com/", False, False),
        ("https://contoso.sharepoint.com/" + "x" * 8000, False, False),
        ("https://169.254.169.254/", False, False),
        ("https://[::1/", False, False),
        ("file:///etc/passwd", False, False),
        ("", False, False),
    ],
)
def test_addresses_that_are_believed(url: str, service: bool, store: bool) -> None:
    assert (places().is_service(url), places().is_store(url)) == (service, store)


def test_addresses_of_an_emulator_are_its_own() -> None:
    mine = places("http://127.0.0.1:9000/teams")
    assert mine.is_service("http://127.0.0.1:9000/emea/")
    assert not mine.is_service("http://127.0.0.1:9001/emea/")
    assert mine.trusted == {"127.0.0.1:9000"}


def test_where_a_conversation_is_answered() -> None:
    known = places()
    known.note("a:1", "https://smba.trafficmanager.net/emea/", "other")
    known.note("a:2", "https://evil.example/", "other")
    assert (known.service_of("a:1"), known.tenant_of("a:1")) == (
        "https://smba.trafficmanager.net/emea",
        "other",
    )
    common = "https://smba.trafficmanager.net/teams"
    assert [known.service_of(place) for place in ("a:2", "a:3")] == [common, common]
    assert known.tenant_of("a:3") == "tenant"


def test_a_card_is_json() -> None:
    made = card("| a |\n|---|\n| \U0001f600 <b> |\n")
    assert "\U0001f600 <b>" in json.dumps(made, ensure_ascii=False)
