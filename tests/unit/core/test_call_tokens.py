import base64
import json

import pytest

from chamade_mcp.core.call_tokens import PREFIX, CallTokens
from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.model.access import ALL_PERMISSIONS, Permission, Principal, Scope
from chamade_mcp.model.errors import Unauthenticated
from chamade_mcp.model.ids import AccountId, AgentId, CallId, GrantId, KeyId

CALL = CallId("call_1")
OWNER = Principal(Scope(AccountId("a"), AgentId("b")), ALL_PERMISSIONS, True, key=KeyId("key_1"))


def refuses(tokens: CallTokens, token: str, call: str = CALL) -> bool:
    with pytest.raises(Unauthenticated) as refused:
        tokens.open(token, call)
    return refused.value.code == "AUTH_FAILED"


async def test_a_token_opens_its_call_for_five_minutes() -> None:
    clock = VirtualClock()
    tokens = CallTokens(b"k" * 32, clock)
    token = tokens.issue(OWNER, CALL).value
    await clock.advance(299)
    opened = tokens.open(token, CALL)
    assert (opened.scope, opened.key, opened.email_verified) == (OWNER.scope, OWNER.key, True)
    assert opened.permissions == {Permission.CALL, Permission.MESSAGE}
    assert refuses(tokens, token, "call_2")
    await clock.advance(1)
    assert refuses(tokens, token)


def test_nobody_else_can_write_one() -> None:
    tokens = CallTokens(b"k" * 32, VirtualClock())
    token = tokens.issue(OWNER, CALL).value
    assert refuses(CallTokens(b"j" * 32, VirtualClock()), token)
    body, _, signature = token.removeprefix(PREFIX).partition(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    forged = base64.urlsafe_b64encode(json.dumps({**claims, "account": "x"}).encode()).rstrip(b"=").decode()
    for wrong in ("", PREFIX, token[5:], f"{PREFIX}{body}", f"{PREFIX}{forged}.{signature}", f"{token}x"):
        assert refuses(tokens, wrong), wrong
    assert refuses(tokens, f"{PREFIX}\u00e9.{signature}")
    assert refuses(tokens, f"{PREFIX}{body}.\ud800")


async def test_it_ends_with_the_key_or_grant_that_asked_for_it() -> None:
    clock = VirtualClock()
    tokens = CallTokens(b"k" * 32, clock)
    grant = Principal(OWNER.scope, frozenset({Permission.CALL}), True, grant=GrantId("grant_1"))
    by_key, by_grant = tokens.issue(OWNER, CALL).value, tokens.issue(grant, CALL).value
    tokens.revoke(KeyId("key_1"))
    assert refuses(tokens, by_key)
    assert tokens.open(by_grant, CALL).permissions == {Permission.CALL}
    tokens.revoke(GrantId("grant_1"))
    assert refuses(tokens, by_grant)


def test_it_is_not_shown() -> None:
    token = CallTokens(b"k" * 32, VirtualClock()).issue(OWNER, CALL)
    assert token.value not in repr(token)
