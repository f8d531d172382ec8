"""Whatever comes to Teams's webhook: an activity that can be used, or `Unreadable`; a token, or a refusal."""

import base64
import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chamade_mcp.connectors.teams.cards import card_of, summary_of
from chamade_mcp.connectors.teams.places import Places
from chamade_mcp.connectors.teams.reactions import emoji_of
from chamade_mcp.connectors.teams.signing import audience, bearer
from chamade_mcp.connectors.teams.wire import Unreadable, read_activity, read_consent
from chamade_mcp.kit.connection import HookRefused
from chamade_mcp.kit.markdown.formats import Format
from chamade_mcp.kit.markdown.render import render
from tests.unit.kit.markdown.test_injection import ANY_MARKDOWN

BOT = "28:helper"
NAMES = st.sampled_from(
    [
        *("type", "id", "channelId", "serviceUrl", "timestamp", "from", "recipient", "conversation", "text"),
        *("replyToId", "name", "action", "value", "channelData", "attachments", "entities", "tenant", "team"),
        *("reactionsAdded", "reactionsRemoved", "membersAdded", "conversationType", "tenantId", "channel"),
        *("contentType", "contentUrl", "content", "downloadUrl", "mentioned", "quotedReply", "messageId"),
        *("aadObjectId", "context", "uploadInfo", "uploadUrl", "offer"),
    ]
)
WORDS = st.sampled_from(
    [
        *(
            "message",
            "messageReaction",
            "invoke",
            "mention",
            "quotedReply",
            BOT,
            "personal",
            "channel",
            "like",
        ),
        *("<at>x</at>", '<quoted messageId="1"/>', "text/html", "image/*", "19:1;messageid=2", "1e999"),
        "application/vnd.microsoft.teams.file.download.info",
    ]
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), WORDS,
        st.datetimes().map(str),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=8)),
    max_leaves=30,
)  # fmt: skip


def use(raw: bytes) -> None:
    with suppress(Unreadable):
        told = read_activity(raw)
        assert told.place + told.thread in told.conversation.id.replace(";messageid=", "", 1)
        assert "<quoted " not in told.said(BOT)
        assert isinstance(told.mentions(BOT), bool)
        assert told.timestamp is None or told.timestamp.tzinfo is not None
        assert len(told.quotes) <= 190
        assert all(told.added) or not told.added
        assert all(isinstance(one.download_url + one.quoted, str) for one in told.attachments)
        assert told.group is None or isinstance(told.group, str)
        assert isinstance(told.tenant, str)


@given(JSON)
def test_any_json(told: Any) -> None:
    use(json.dumps(told).encode())
    with suppress(Unreadable):
        assert isinstance(read_consent(told).action, str)


@given(st.dictionaries(NAMES, JSON, max_size=9))
def test_any_activity(told: dict[str, Any]) -> None:
    use(json.dumps({"type": "message", "conversation": {"id": "a:1"}, **told}).encode())


@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    use(raw)


@given(st.one_of(st.text(max_size=300), st.binary(max_size=100).map(lambda raw: raw.decode("latin-1"))), JSON)
def test_any_token(text: str, claims: Any) -> None:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()
    for authorization in (text, f"Bearer {text}", f"Bearer {part}.{part}.x", f"bearer x.{text}.y"):
        with suppress(HookRefused):
            assert bearer(authorization)
        with suppress(HookRefused):
            assert isinstance(audience(authorization), str)


@given(
    st.one_of(st.text(max_size=100), st.text(max_size=30).map(lambda text: f"https://{text}.sharepoint.com/"))
)
def test_any_address(url: str) -> None:
    places = Places("https://smba.trafficmanager.net/teams", "tenant")
    places.note("a:1", url, "")
    assert places.service_of("a:1").startswith("https://")
    assert isinstance(places.is_store(url), bool)


@given(st.text(max_size=80))
def test_any_reaction(name: str) -> None:
    assert emoji_of(name)


@given(ANY_MARKDOWN)
def test_any_markdown(markdown: str) -> None:
    assert summary_of(markdown)
    made = card_of(f"{markdown}\n\n|a|\n|---|\n|{markdown}|\n", render(markdown, Format.TEAMS))
    assert made is None or _elements(made["content"]["body"])


def _elements(elements: list[dict[str, Any]]) -> bool:
    """Each has what its type wants."""
    for element in elements:
        match element["type"]:
            case "RichTextBlock":
                assert all(run["type"] == "TextRun" and run["text"] for run in element["inlines"])
            case "Container":
                assert _elements(element["items"])
            case "CodeBlock":
                assert element["language"]
            case kind:
                assert kind == "Table"
    return bool(elements)
