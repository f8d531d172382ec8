"""The challenge a client gets, and where a credential is looked for."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from chamade_mcp.model.access import Caller, Permission, Principal
from chamade_mcp.model.errors import MissingPermission, Unauthenticated, Unavailable
from chamade_mcp.oauth.resource import ProtectedResource, challenge
from tests.support.core_api import KEY, PRINCIPAL

METADATA = "https://gw.example.org/.well-known/oauth-protected-resource/mcp"
READER = Principal(PRINCIPAL.scope, frozenset({Permission.READ}), email_verified=True)


async def authenticate(credential: str) -> Principal:
    if credential == "reader":
        return READER
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
        if caller.principal is READER:
            raise MissingPermission("call", "access token")

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    def metadata_url(host: str) -> str:
        return f"https://{host}/.well-known/oauth-protected-resource/mcp"

    resource = ProtectedResource(inner, authenticate, metadata_url=metadata_url if metadata else None)
    told = {b"host": b"gw.example.org", **headers}
    await resource({"type": "http", "headers": list(told.items())}, receive, send)
    return callers, sent


def test_challenges() -> None:
    assert challenge(None) == "Bearer"
    assert challenge(None, error="invalid_token") == 'Bearer error="invalid_token"'
    where = f'resource_metadata="{METADATA}", scope="read message call"'
    assert challenge(METADATA) == f"Bearer {where}"
    assert challenge(METADATA, error="invalid_token") == f'Bearer error="invalid_token", {where}'


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
    assert dict(sent[0]["headers"])[b"www-authenticate"].decode() == challenge(
        METADATA, error="invalid_token"
    )
    assert b'"code":"KEY_REVOKED"' in sent[1]["body"]


async def test_other_errors_are_left_to_the_layer_above() -> None:
    with pytest.raises(Unavailable):
        await ask({b"x-api-key": b"busy"})


async def test_no_credential_is_no_wrong_one() -> None:
    callers, sent = await ask({}, METADATA)
    assert (callers, sent[0]["status"]) == ([], 401)
    assert dict(sent[0]["headers"])[b"www-authenticate"].decode() == challenge(METADATA)


async def test_who_lacks_a_permission_hears_what_to_come_back_with() -> None:
    _, sent = await ask({b"authorization": b"Bearer reader"}, METADATA)
    assert sent[0]["status"] == 403
    told = dict(sent[0]["headers"])[b"www-authenticate"].decode()
    assert told == f'Bearer error="insufficient_scope", resource_metadata="{METADATA}", scope="read call"'
    assert b'"code":"INSUFFICIENT_PERMISSIONS"' in sent[1]["body"]
    assert b'"scope":"call"' in sent[1]["body"]
