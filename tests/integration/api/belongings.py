"""One of everything that an agent, or its account, can have."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

import httpx2
from sqlalchemy import Connection

from chamade_mcp.core.consents import ConsentRequest
from chamade_mcp.core.tokens import challenge_of
from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.kit.testing_bots import BOTS
from chamade_mcp.model.recording import RecordingFormat
from chamade_mcp.store.schema import passkeys
from chamade_mcp.web.docs.samples import example
from tests.integration.api.conftest import EMAIL, PASSWORD, House, client_of
from tests.support.waiting import until

NOBODYS = frozenset({"platform", "provider", "did_id"})
"""Path parameters that name nothing of an account; of numbers there are none before there is a trunk."""
BY_TOKEN = frozenset({"token", "upload_token"})
"""Whoever has the link has the file."""


async def made(asked: httpx2.Response) -> dict[str, Any]:
    assert asked.is_success, asked.text
    return asked.json()


async def speak(house: House, api: httpx2.AsyncClient) -> dict[str, str]:
    """A conversation with a message either way, and a call that is recorded."""
    await house.scripted.write(house.owner.scope, "a secret of the first account")
    said = await made(await api.post("/api/dm/chat", json={"platform": "scripted", "text": "and its answer"}))
    wanted = {"platform": "scripted"}
    call = await made(await api.post("/api/call", json=wanted))
    await until(lambda: call["room_id"] in house.scripted.legs)
    core = house.gateway.core
    live = core.calls.live(house.owner, call["call_id"])
    await core.studio.start(live, RecordingFormat.WAV)
    await core.studio.stop(live)
    (recording,) = (await made(await api.get(f"/api/call/{call['call_id']}/recordings")))["recordings"]
    (conversation,) = (await made(await api.get("/api/inbox")))["conversations"]
    return {
        "call_id": call["call_id"],
        "recording_id": recording["recording_id"],
        "track_id": recording["tracks"][0]["track_id"],
        "conversation_id": conversation["conversation_id"],
        "message_id": said["message_id"],
    }


async def connect(house: House, api: httpx2.AsyncClient) -> dict[str, str]:
    """A bot with somebody who asks to be let in, a link, and a webhook that something was sent to."""
    bot = {"platform": BOTS, "bot_token": house.bots.accept("helper"), "access": "pairing"}
    connection = (await made(await api.post("/api/bot-tokens", json=bot)))["id"]
    await until(lambda: connection in house.bots.links)
    await house.bots.write(connection, "hello?", sender="stranger", name="Mallory")
    await until(lambda: house.bots.heard("stranger"))
    (pairing,) = (await made(await api.get("/api/pairings?status=pending")))["pairings"]
    link = await made(await api.post("/api/invite-link", json={}))
    url = house.elsewhere.serve("https://receiver.example/hook", b"")
    webhook = (await made(await api.post("/api/webhooks", json={"url": url})))["id"]
    await made(await api.post(f"/api/webhooks/{webhook}/test"))
    deliveries = (await made(await api.get(f"/api/webhooks/{webhook}/deliveries")))["deliveries"]
    return {
        "connection_id": connection,
        "bot_id": connection,
        "pairing_id": pairing["id"],
        "link_id": link["id"],
        "webhook_id": webhook,
        "delivery_id": deliveries[0]["id"],
    }


async def let_in(house: House, api: httpx2.AsyncClient) -> dict[str, str]:
    """A key, a ping, an OAuth client, a browser, a passkey, an invitation."""
    key = (await made(await api.post("/api/api-keys", json={"name": "k"})))["id"]
    ping = (await made(await api.post("/api/api-keys/ping")))["ping_id"]
    request = ConsentRequest(
        client_id="client_1",
        client_name="A client",
        client_host="",
        redirect_uri="http://localhost/cb",
        state=None,
        permissions=house.owner.permissions,
        challenge=challenge_of("v" * 43),
        refreshes=True,
    )
    core = house.gateway.core
    await core.grants.approve(house.owner, request)
    (grant,) = (await made(await api.get("/api/grants")))["grants"]
    await core.accounts.sign_in(EMAIL, PASSWORD)
    sign_in = (await made(await api.get("/api/sign-ins")))["sign_ins"][0]
    await core.accounts.keys._database.write(  # pyright: ignore[reportPrivateUsage]
        lambda conn: keep_a_passkey(conn, house)
    )
    invited = await made(await api.post("/api/account-invitations", json={"email": "ben@example.org"}))
    return {
        "key_id": key,
        "ping_id": ping,
        "grant_id": grant["id"],
        "sign_in_id": sign_in["id"],
        "passkey_id": "pass_1",
        "invitation_id": invited["id"],
    }


def keep_a_passkey(conn: Connection, house: House) -> None:
    conn.execute(
        passkeys.insert().values(
            id="pass_1",
            account_id=house.owner.account,
            credential_id="AAAA",
            public_key=b"-",
            sign_count=0,
            transports=[],
            is_synced=False,
            name="Laptop",
            created_at=SystemClock().now(),
        )
    )


async def belongings(house: House, api: httpx2.AsyncClient) -> dict[str, str]:
    """Of the house's owner, who calls by `api`: ids by the name of their path parameter."""
    ids = {**await speak(house, api), **await connect(house, api), **await let_in(house, api)}
    return {**ids, "agent_id": house.owner.scope.agent, "trouble_id": await refuse(house, api)}


async def refuse(house: House, api: httpx2.AsyncClient) -> str:
    """A key that somebody still uses."""
    key = await made(await api.post("/api/api-keys", json={"name": "old"}))
    await made(await api.delete(f"/api/api-keys/{key['id']}"))
    async with client_of(house, **{"x-api-key": key["key"]}) as late:
        assert (await late.get("/api/account")).status_code == 401
    (trouble,) = (await made(await api.get("/api/troubles")))["troubles"]
    return trouble["id"]


def filled(path: str, ids: Mapping[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda found: ids[found[1]], path)


async def kept(owner: httpx2.AsyncClient) -> dict[str, Any]:
    """All of the account but how it was used, which looking changes."""
    exported = await made(await owner.get("/api/export"))
    for key in exported["api_keys"]:
        del key["last_used_at"]
    return exported


class Aimed(NamedTuple):
    """An operation to be asked for what somebody else has."""

    method: str
    path: str
    names: frozenset[str]
    """Of the ids in its path."""
    sent: dict[str, Any]
    """The example that is documented."""


def aimed(document: Mapping[str, Any], ids: Mapping[str, str]) -> Iterator[Aimed]:
    """Every operation of the API that takes `ids` and asks who calls."""
    for path, item in document["paths"].items():
        names = frozenset(re.findall(r"{(\w+)}", path))
        if not names or names & (NOBODYS | BY_TOKEN):
            continue
        assert names <= set(ids), f"{path}: make one of these in `belongings`"
        for method, operation in item.items():
            if operation.get("security") == []:
                continue
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            sent = {"json": example(body["schema"], document)} if body else {}
            yield Aimed(method.upper(), filled(path, ids), names, sent)


async def lists_without(
    other: httpx2.AsyncClient, document: Mapping[str, Any], marks: Collection[str]
) -> int:
    """Reads, as `other`, all that needs no id: none of `marks` is in it. How many lists there are."""
    read = 0
    for path, item in document["paths"].items():
        if "get" not in item or "{" in path or path in ("/api/events", "/api/live", "/openapi.json"):
            continue
        told = (await other.get(path)).text
        assert [mark for mark in marks if mark in told] == [], path
        read += 1
    return read
