"""The challenge a client gets, and where a credential is looked for."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from chamade_mcp.model.access import Caller, Principal
from chamade_mcp.model.errors import Unauthenticated, Unavailable
from chamade_mcp.oauth.resource import ProtectedResource, challenge
from tests.support.core_api import KEY, PRINCIPAL

METADATA = "https://gw.example.org/.well-known/oauth-protected-resource/mcp"


async def authenticate(credential: str) -> Principal:
    if credential == "busy":
        raise Unavailable("The database is busy")
    if credential != KEY:
        raise Unauthenticated(code="KEY_REVOKED")
    return PRINCIPAL


async def ask(headers: dict[bytes, bytes], metadata: str | None = None) -> tuple[list[Caller], list[Message]]:
    callers: list[Caller] = []
    sent: list[Message] = []

    async def inner(caller: Caller, _: Scope, __: Receive, ___: Send) -> None:
        callers.append(caller)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    resource = ProtectedResource(inner, authenticate, resource_metadata=metadata)
    await resource({"type": "http", "headers": list(headers.items())}, receive, send)
    return callers, sent


def test_challenges() -> None:
    assert challenge(None, rejected=False) == "Bearer"
    assert challenge(None, rejected=True) == 'Bearer error="invalid_token"'
    assert challenge(METADATA, rejected=False) == f'Bearer resource_metadata="{METADATA}"'
    assert (
        challenge(METADATA, rejected=True) == f'Bearer error="invalid_token", resource_metadata="{METADATA}"'
    )


@pytest.mark.parametrize(
    "headers",
    [
        {b"authorization": b"Bearer " + KEY.encode()},
        {b"authorization": b"BEARER   " + KEY.encode()},
        {b"x-api-key": KEY.encode()},
        {b"authorization": b"Basic abc", b"x-api-key": KEY.encode()},
        {b"authorization": b"Bearer " + KEY.encode(), b"x-api-key": b"other"},
    ],
)
async def test_where_a_credential_stands(headers: dict[bytes, bytes]) -> None:
    callers, sent = await ask({**headers, b"traceparent": b"00-abc"})
    assert [caller.credential for caller in callers] == [KEY]
    assert (callers[0].principal, callers[0].traceparent) == (PRINCIPAL, "00-abc")
    assert sent == []


async def test_the_code_tells_which_key_is_wrong_and_the_challenge_where_to_look() -> None:
    callers, sent = await ask({b"x-api-key": b"chmd_old"}, METADATA)
    assert (callers, sent[0]["status"]) == ([], 401)
    assert dict(sent[0]["headers"])[b"www-authenticate"].decode() == challenge(METADATA, rejected=True)
    assert b'"code":"KEY_REVOKED"' in sent[1]["body"]


async def test_other_errors_are_left_to_the_layer_above() -> None:
    with pytest.raises(Unavailable):
        await ask({b"x-api-key": b"busy"})
