"""From a request to an answer: credentials, permissions, bodies, errors, headers."""

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator

import httpx2
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Scope

from chamade_mcp.api.access import Gate
from chamade_mcp.api.body import JSON_CAP_BYTES
from chamade_mcp.api.dispatch import Dispatch
from chamade_mcp.api.errors import Problems
from chamade_mcp.api.fields import Body, Query, Text
from chamade_mcp.api.operation import Answer, AnyOperation, Asked, Operation, Reply
from chamade_mcp.api.routing import Router
from chamade_mcp.model.access import Permission, Principal
from chamade_mcp.model.access import Scope as Owner
from chamade_mcp.model.errors import Forbidden, LimitReached, Unauthenticated
from chamade_mcp.model.ids import AccountId, AgentId
from tests.support.problems import assert_problem

KEY = "chmd_reader"
SESSION = "session-token"
ORIGIN = "https://gateway.example"
LARGE = 3 * JSON_CAP_BYTES


class Doors:
    """One key that may read and call, one browser session that may do everything."""

    async def authenticate(self, key: str | None) -> Principal:
        if key is None:
            raise Unauthenticated(code="MISSING_API_KEY")
        if key != KEY:
            raise Unauthenticated()
        return _principal(Permission.READ, Permission.CALL)

    async def authenticate_session(self, token: str) -> Principal:
        if token != SESSION:
            raise Unauthenticated("Please sign in again", code="SESSION_ENDED")
        return _principal(*Permission)

    async def require_all(self, principal: Principal) -> None:
        if principal.browser is None:
            raise Forbidden("Sign in", code="SESSION_REQUIRED")


def _principal(*permissions: Permission) -> Principal:
    return Principal(Owner(AccountId("acct"), AgentId("agent")), frozenset(permissions), email_verified=True)


class Said(Body):
    text: Text = "nothing"


class Many(Query):
    n: int = 1


async def _echo(asked: Asked[Said, None]) -> Answer:
    return {"text": asked.body.text}


async def _count(asked: Asked[None, Many]) -> Answer:
    return {"n": asked.query.n, "permissions": sorted(asked.principal.permissions), **asked.ids}


async def _later(asked: Asked[None, None]) -> Answer:
    del asked
    return Reply(202, {"status": "queued"})


async def _text(asked: Asked[None, None]) -> Answer:
    del asked
    return PlainTextResponse("hello")


async def _busy(asked: Asked[None, None]) -> Answer:
    del asked
    raise LimitReached("Concurrent call limit reached", code="CALL_LIMIT_REACHED", retry_after=1.2)


async def _broken(asked: Asked[None, None]) -> Answer:
    raise RuntimeError(f"the secret of {asked.scope['path']}")


OPERATIONS: list[AnyOperation] = [
    Operation("POST", "/api/echo", "Echo", _echo, Permission.CALL, body=Said),
    Operation("POST", "/api/maybe", "Echo", _echo, Permission.CALL, body=Said, body_optional=True),
    Operation("POST", "/api/large", "Echo", _echo, Permission.CALL, body=Said, large_body=True),
    Operation("GET", "/api/count", "Count", _count, Permission.READ, query=Many),
    Operation("GET", "/api/call/{call_id}", "Count", _count, Permission.READ, query=Many),
    Operation("DELETE", "/api/count", "Refused to this key", _later, Permission.MANAGE),
    Operation("POST", "/api/later", "Later", _later, Permission.CALL),
    Operation("GET", "/text", "Text", _text, public=True),
    Operation("GET", "/busy", "Busy", _busy, public=True),
    Operation("GET", "/broken", "Broken", _broken, public=True),
]
APP = Problems(Dispatch(Router(OPERATIONS), Gate(Doors(), b"chamade", ORIGIN), Doors(), LARGE))


@pytest.fixture
async def client() -> AsyncGenerator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(APP, raise_app_exceptions=True)
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN, headers={"x-api-key": KEY}) as client:
        yield client


@pytest.fixture
async def stranger() -> AsyncGenerator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(APP), base_url=ORIGIN) as client:
        yield client


# --- routes and methods ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/echo", "/api/echo/"])
async def test_both_forms_of_a_path_answer_without_a_redirect(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.post(path, json={"text": "é"})
    assert (answer.status_code, answer.json()) == (200, {"text": "é"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


async def test_head_has_the_headers_of_get_and_no_body(client: httpx2.AsyncClient) -> None:
    for path in ("/api/count", "/text"):
        get, head = await client.get(path), await client.head(path)
        assert head.status_code == 200
        assert head.headers["content-length"] == get.headers["content-length"]
        assert head.content == b""


async def test_an_unknown_path_is_a_problem(client: httpx2.AsyncClient) -> None:
    assert_problem(await client.get("/api/nope"), 404, "NOT_FOUND")


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "POST", "PATCH", "BREW"])
async def test_another_method_is_told_which_there_are(client: httpx2.AsyncClient, method: str) -> None:
    answer = await client.request(method, "/api/count")
    assert_problem(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "DELETE, GET, HEAD"


async def test_a_handler_may_choose_its_status(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/api/later")).status_code == 202


async def test_ids_reach_the_handler(client: httpx2.AsyncClient) -> None:
    assert (await client.get("/api/call/call_1?n=7")).json()["call_id"] == "call_1"


# --- who is asking ---------------------------------------------------------------------------------------


async def test_a_missing_and_a_wrong_key(stranger: httpx2.AsyncClient) -> None:
    text = "Invalid or missing API key"
    assert_problem(await stranger.get("/api/count"), 401, "MISSING_API_KEY", detail=text)
    wrong = await stranger.get("/api/count", headers={"x-api-key": "chmd_wrong"})
    assert_problem(wrong, 401, "INVALID_API_KEY", detail=text)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-api-key": KEY},
        {"x-api-key": f" {KEY} "},
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer {KEY}"},
    ],
)
async def test_a_key_may_come_in_either_header(stranger: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    assert (await stranger.get("/api/count", headers=headers)).status_code == 200


async def test_a_session_cookie_counts_where_a_key_does(stranger: httpx2.AsyncClient) -> None:
    answer = await stranger.get("/api/count", headers={"cookie": f"a=b; chamade={SESSION}"})
    assert answer.json()["permissions"] == sorted(Permission)
    ended = await stranger.get("/api/count", headers={"cookie": "chamade=old"})
    assert_problem(ended, 401, "SESSION_ENDED")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": ORIGIN}, 202),
        ({"sec-fetch-site": "same-origin"}, 202),
        ({}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "https://"}, 403),
        ({"origin": "https://gateway.example.evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "https://evil.example"}, 403),
    ],
)
async def test_a_cookie_changes_things_from_our_own_pages_only(
    stranger: httpx2.AsyncClient, headers: dict[str, str], status: int
) -> None:
    answer = await stranger.delete("/api/count", headers={"cookie": f"chamade={SESSION}", **headers})
    assert answer.status_code == status
    if status == 403:
        assert_problem(answer, 403, "CROSS_ORIGIN")


async def test_a_key_needs_the_permission(client: httpx2.AsyncClient) -> None:
    problem = assert_problem(await client.delete("/api/count"), 403, "INSUFFICIENT_PERMISSIONS")
    assert "manage" in problem["detail"]


# --- bodies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "media", ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"']
)
async def test_json_by_any_of_its_names(client: httpx2.AsyncClient, media: str) -> None:
    answer = await client.post("/api/echo", content=b'{"text":"x"}', headers={"content-type": media})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "media", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16"]
)
async def test_another_media_type_is_refused(client: httpx2.AsyncClient, media: str | None) -> None:
    headers = {} if media is None else {"content-type": media}
    answer = await client.post("/api/echo", content=b'{"text":"x"}', headers=headers)
    assert_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_compressed_body_is_refused(client: httpx2.AsyncClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = await client.post("/api/echo", content=b"\x1f\x8b", headers=headers)
    assert_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_an_empty_body(client: httpx2.AsyncClient) -> None:
    assert_problem(await client.post("/api/echo"), 422, "VALIDATION_FAILED", field="body")
    assert (await client.post("/api/maybe")).json() == {"text": "nothing"}


async def test_broken_json(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/echo", content=b"{", headers={"content-type": "application/json"})
    assert_problem(answer, 400, "INVALID_JSON")


async def test_a_query_is_checked(client: httpx2.AsyncClient) -> None:
    assert_problem(await client.get("/api/count?n=x"), 422, "VALIDATION_FAILED", field="n")


async def test_a_body_over_the_cap_is_refused(client: httpx2.AsyncClient) -> None:
    too_much = {"text": "x" * JSON_CAP_BYTES}
    assert_problem(await client.post("/api/echo", json=too_much), 413, "BODY_TOO_LARGE")
    assert_problem(await client.post("/api/large", json=too_much), 422, "VALIDATION_FAILED", field="text")


async def test_a_body_without_a_length_is_cut_at_the_cap() -> None:
    read = 0

    async def receive() -> Message:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 65536, "more_body": True}

    answer = await _call("POST", "/api/echo", receive, (b"content-type", b"application/json"))
    assert answer["code"] == "BODY_TOO_LARGE"
    assert read == JSON_CAP_BYTES // 65536 + 1


async def test_a_declared_length_over_the_cap_is_refused_unread() -> None:
    async def receive() -> Message:
        raise AssertionError("read although the length was over the cap")

    length = (b"content-length", b"%d" % (JSON_CAP_BYTES + 1))
    answer = await _call("POST", "/api/echo", receive, length)
    assert answer["code"] == "BODY_TOO_LARGE"


async def test_a_client_that_hangs_up_gets_nothing() -> None:
    messages: AsyncIterator[Message] = _messages(
        {"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}
    )
    assert await _call("POST", "/api/echo", messages.__anext__) == {}


async def test_bodies_in_pieces_are_put_together() -> None:
    messages = _messages(
        {"type": "http.request", "body": b'{"te', "more_body": True},
        {"type": "http.request", "body": b'xt":"whole"}', "more_body": False},
    )
    answer = await _call("POST", "/api/echo", messages.__anext__, (b"content-type", b"application/json"))
    assert answer == {"text": "whole"}


async def _messages(*messages: Message) -> AsyncIterator[Message]:
    for message in messages:
        yield message


async def _call(method: str, path: str, receive: object, *headers: tuple[bytes, bytes]) -> dict[str, object]:
    """The JSON of the answer to a hand-made request; empty when there is none."""
    scope: Scope = {
        "type": "http", "method": method, "path": path, "query_string": b"",
        "headers": [(b"x-api-key", KEY.encode()), *headers],
    }  # fmt: skip
    body = bytearray()

    async def send(message: Message) -> None:
        body.extend(message.get("body", b""))

    assert callable(receive)
    await APP(scope, receive, send)  # pyright: ignore[reportArgumentType]
    return json.loads(bytes(body)) if body else {}


# --- errors ----------------------------------------------------------------------------------------------


async def test_retry_after_is_told_twice(stranger: httpx2.AsyncClient) -> None:
    answer = await stranger.get("/busy")
    problem = assert_problem(answer, 429, "CALL_LIMIT_REACHED", detail="Concurrent call limit reached")
    assert (problem["retry_after"], answer.headers["retry-after"], problem["action"]) == (1.2, "2", "wait")


async def test_our_fault_is_logged_once_and_tells_nothing(
    stranger: httpx2.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await stranger.get("/broken")
    problem = assert_problem(answer, 500, "INTERNAL")
    assert "secret" not in answer.text
    assert problem["outcome"] == "unknown"
    assert [problem["request_id"] in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("abc-123", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("a b", False),
        ("<script>", False),
        ("", False),
    ],
)
async def test_a_sane_request_id_is_kept(stranger: httpx2.AsyncClient, sent: str, kept: bool) -> None:
    answer = await stranger.get("/text", headers={"x-request-id": sent})
    assert (answer.headers["x-request-id"] == sent) is kept
    assert len(answer.headers["x-request-id"]) >= 7


async def test_request_ids_differ(stranger: httpx2.AsyncClient) -> None:
    ids = {(await stranger.get("/text")).headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20
