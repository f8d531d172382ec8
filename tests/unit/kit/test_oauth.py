"""The answers of token endpoints, good and bad."""

import base64
from collections.abc import Mapping
from urllib.parse import parse_qsl

import httpx2
import pytest

from chamade_mcp.kit.connector import AuthNeeded, PlatformUnavailable
from chamade_mcp.kit.oauth import fetch_token

GOOD = {"access_token": "t0ken", "token_type": "bearer", "scope": "identify"}
GRANT = "invalid_grant: used"
FORM = {"grant_type": "authorization_code", "code": "c1"}


async def ask(answer: httpx2.Response | Exception) -> tuple[Mapping[str, object], httpx2.Request]:
    """What is told, and what was asked."""
    asked: list[httpx2.Request] = []

    def platform(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    transport = httpx2.MockTransport(platform)
    async with httpx2.AsyncClient(transport=transport, base_url="https://fax.test") as http:
        return await fetch_token(http, "Fax", "/token", FORM, ("ours", "s3cret")), asked[0]


async def test_the_client_is_known_by_its_secret() -> None:
    told, asked = await ask(httpx2.Response(200, json=GOOD))
    assert told == GOOD
    assert asked.headers["authorization"] == "Basic " + base64.b64encode(b"ours:s3cret").decode()
    assert dict(parse_qsl(asked.content.decode())) == FORM


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx2.Response(400, json={"error": "invalid_grant", "error_description": "used"}), GRANT),
        (httpx2.Response(200, json={"ok": False, "error": "invalid_code"}), "invalid_code"),
        (httpx2.Response(403, json={}), "status 403"),
        (httpx2.Response(200, json={"access_token": 7}), "status 200"),
    ],
)
async def test_a_refusal_is_told_in_the_platforms_words(answer: httpx2.Response, words: str) -> None:
    with pytest.raises(AuthNeeded) as caught:
        await ask(answer)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(502, text="Bad Gateway"),
        httpx2.Response(500, json={"error": "server_error"}),
        httpx2.Response(200, text="<html>"),
        httpx2.Response(200, json=["x"]),
        httpx2.ConnectError("refused"),
        httpx2.ReadTimeout("slow"),
    ],
)
async def test_no_answer_is_no_refusal(answer: httpx2.Response | Exception) -> None:
    with pytest.raises(PlatformUnavailable) as caught:
        await ask(answer)
    assert "c1" not in str(caught.value)


async def test_a_rate_limit_says_when_to_come_again() -> None:
    with pytest.raises(PlatformUnavailable) as caught:
        await ask(httpx2.Response(429, json={"error": "ratelimited"}, headers={"retry-after": "7"}))
    assert caught.value.retry_after == 7
