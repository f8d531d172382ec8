"""Every connector that is found keeps the promises of kit/connector.py and of its own manifest."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from chamade_mcp.kit.connector import (
    Calls,
    Connector,
    Deletes,
    Edits,
    InviteKind,
    Link,
    Messages,
    Nudges,
    Reacts,
    Served,
)
from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.kit.registry import discover
from chamade_mcp.kit.testing import ScriptedConnector
from chamade_mcp.model.access import Scope
from chamade_mcp.model.audio import MAX_RATE_HZ, MIN_RATE_HZ
from chamade_mcp.model.capabilities import VOICE, Capability, MessageFeature
from chamade_mcp.model.errors import GatewayError
from chamade_mcp.model.ids import CallId, ConversationRef, MessageRef, RoomRef, ThreadRef
from chamade_mcp.model.messages import DeliveryState, Outgoing
from tests.support.house import House

REGISTRY = discover()
# The platform of our tests is held to the same promises.
CONNECTORS: list[Connector] = [*REGISTRY.connectors.values(), ScriptedConnector()]
EMBEDDED = [c for c in CONNECTORS if c.manifest.embedded]
ARRIVED = (DeliveryState.SENT, DeliveryState.DELIVERED)
"""A platform that tells later what people got has only taken it."""
HOSTED = frozenset({Capability.HOSTED_STT, Capability.HOSTED_TTS})


@pytest.mark.parametrize("manifest", REGISTRY.manifests.values(), ids=lambda m: m.platform)
def test_a_manifest_agrees_with_itself(manifest: Manifest) -> None:
    voice = manifest.capabilities & VOICE
    assert bool(voice) == (manifest.sample_rate_hz is not None)
    assert manifest.sample_rate_hz is None or MIN_RATE_HZ <= manifest.sample_rate_hz <= MAX_RATE_HZ
    assert (Capability.WRITE in manifest.capabilities) == (manifest.text_limit is not None)
    assert not manifest.capabilities & HOSTED, "speech is the gateway's, not the platform's"
    assert not (manifest.creates_rooms and manifest.needs_meeting_url)
    assert (manifest.status == "ok") == manifest.embedded
    assert not manifest.inbox or {Capability.READ, Capability.WRITE} <= manifest.capabilities


@pytest.fixture(params=EMBEDDED, ids=lambda c: c.manifest.platform)
def connector(request: pytest.FixtureRequest) -> Connector:
    found: Connector = request.param
    return found


@pytest.fixture
async def link(connector: Connector, house: House) -> AsyncGenerator[Link]:
    async with connector.open(house.context(connector.manifest.platform)) as link:
        yield link


@pytest.fixture
def calls(link: Link) -> Calls:
    assert link.calls is not None
    return link.calls


@pytest.fixture
def messages(link: Link) -> Messages:
    assert link.messages is not None
    return link.messages


async def test_the_facets_are_those_of_the_manifest(connector: Connector, link: Link) -> None:
    manifest = connector.manifest
    assert (link.messages is not None) == manifest.inbox
    if manifest.creates_rooms or manifest.capabilities & VOICE:
        assert link.calls is not None
    if isinstance(link, Served):
        assert manifest.embedded


async def test_opening_and_closing_leaves_no_task(connector: Connector, house: House) -> None:
    before = asyncio.all_tasks()
    for _ in range(3):
        async with connector.open(house.context(connector.manifest.platform)):
            pass
    await house.clock.advance(0)
    assert asyncio.all_tasks() == before


async def new_room(calls: Calls, scope: Scope) -> RoomRef:
    return await calls.locate(await calls.create(scope, "Bea"))


async def test_a_room_that_is_made_can_be_located_and_joined(
    connector: Connector, calls: Calls, house: House
) -> None:
    scope = (await house.owner()).scope
    room = await new_room(calls, scope)
    async with calls.join(scope, room, CallId("call_1"), "Bea") as leg:
        rates = {port.format.rate_hz for port in leg.ports().values()}
        assert rates == ({connector.manifest.sample_rate_hz} if connector.manifest.sample_rate_hz else set())
        delivery = await leg.send_chat(Outgoing("key-1", "hello", "Bea"))
        assert delivery.state is DeliveryState.DELIVERED
        await leg.typing()
        await leg.caption("Alice", "hello")
    async with calls.join(scope, room, CallId("call_2"), "Bea") as leg:
        assert leg.ports().keys() == leg.ports().keys()


async def test_leaving_leaves_no_task(calls: Calls, house: House) -> None:
    scope = (await house.owner()).scope
    room = await new_room(calls, scope)
    before = asyncio.all_tasks()
    async with calls.join(scope, room, CallId("call_1"), "Bea") as leg:
        waiting = asyncio.ensure_future(leg.ended())
        await house.clock.advance(0)
        assert not waiting.done()
        waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await house.clock.advance(0)
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    "url", ["", "x", "https://elsewhere.test/r/abc", "javascript:alert(1)", "http://[::1"]
)
async def test_what_is_no_room_is_told(calls: Calls, url: str) -> None:
    with pytest.raises(GatewayError) as caught:
        await calls.locate(url)
    assert 400 <= caught.value.status < 500


async def test_refusing_what_does_not_ring_is_harmless(calls: Calls, house: House) -> None:
    room = await new_room(calls, (await house.owner()).scope)
    for _ in range(2):
        await calls.refuse(room)


async def test_the_same_key_twice_is_sent_once(messages: Messages) -> None:
    to = ConversationRef("chat_1")
    first = await messages.send(to, Outgoing("key-1", "hello"))
    assert first == await messages.send(to, Outgoing("key-1", "hello"))
    assert first.state in ARRIVED
    await messages.typing(to)


async def test_what_the_manifest_promises_is_there(connector: Connector, messages: Messages) -> None:
    manifest = connector.manifest
    assert (MessageFeature.EDIT in manifest.messages) <= isinstance(messages, Edits)
    assert (MessageFeature.DELETE in manifest.messages) <= isinstance(messages, Deletes)
    assert (MessageFeature.REACT in manifest.messages) <= isinstance(messages, Reacts)
    assert (manifest.window is not None) <= isinstance(messages, Nudges)


async def test_what_was_sent_can_be_changed_and_taken_back(connector: Connector, messages: Messages) -> None:
    to = ConversationRef("chat_1")
    sent = await messages.send(to, Outgoing("key-1", "hello", markdown="hello"))
    assert sent.ref is not None
    for _ in range(2):
        if MessageFeature.EDIT in connector.manifest.messages:
            assert isinstance(messages, Edits)
            await messages.edit(to, sent.ref, Outgoing("key-1", "hello again", markdown="hello again"))
        if MessageFeature.REACT in connector.manifest.messages:
            assert isinstance(messages, Reacts)
            await messages.react(to, sent.ref, "👍", on=True)
    for _ in range(2):
        if MessageFeature.DELETE in connector.manifest.messages:
            assert isinstance(messages, Deletes)
            await messages.delete(to, sent.ref)


async def test_what_is_quoted_may_be_gone(messages: Messages) -> None:
    quoting = Outgoing("key-1", "hello", reply_to=MessageRef("gone"), thread=ThreadRef("gone"))
    assert (await messages.send(ConversationRef("chat_1"), quoting)).state in ARRIVED


async def test_an_invitation_is_admitted_until_it_is_revoked(
    connector: Connector, messages: Messages, house: House
) -> None:
    owner = await house.owner()
    url, invite = await messages.invite(owner.scope, "Bea")
    assert (invite.scope, invite.kind, invite.agent_name) == (owner.scope, InviteKind.CHAT, "Bea")
    (listed,) = await house.invitations.list(owner.scope)
    assert listed["platform"] == connector.manifest.platform
    assert url.startswith("http")
