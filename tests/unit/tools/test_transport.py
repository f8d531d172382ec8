"""The in-process transport and how a client reads what comes back."""

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from chamade_mcp.model.access import Caller
from chamade_mcp.tools.client import CoreClient, CoreError
from chamade_mcp.tools.transport import Answer, CoreUnreachable, Headers, InProcess
from tests.support.waiting import BOUND_S


class Fixed:
    """A transport with one answer, or one failure."""

    def __init__(self, outcome: Answer | CoreUnreachable) -> None:
        self.outcome = outcome

    async def request(self, method: str, path: str, query: str, headers: Headers, body: bytes) -> Answer:
        if isinstance(self.outcome, CoreUnreachable):
            raise self.outcome
        return self.outcome


async def problem_of(
    outcome: Answer | CoreUnreachable, caller: Caller, *, send: bool = False
) -> dict[str, object]:
    client = CoreClient(Fixed(outcome))
    with pytest.raises(CoreError) as caught:
        await (client.dm_typing(caller, "web") if send else client.account(caller))
    return caught.value.problem


async def test_the_application_sees_an_ordinary_request() -> None:
    seen: list[Scope] = []
    bodies: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        message = await receive()
        bodies.append(message["body"])
        await send({"type": "http.response.start", "status": 201, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        await send({"type": "http.response.body", "body": b"k"})

    headers = [(b"x-api-key", b"k")]
    answer = await InProcess(app, host="gw.example").request("POST", "/a/b%2Fc", "q=1", headers, b"{}")
    assert answer == Answer(201, [(b"a", b"b")], b"ok")
    (scope,) = seen
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a/b/c", b"/a/b%2Fc", b"q=1")
    assert scope["headers"] == [(b"host", b"gw.example"), (b"x-api-key", b"k")]
    assert bodies == [b"{}"]


async def test_waiting_for_the_client_to_go_lasts_until_it_cancels() -> None:
    waiting = asyncio.Event()

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        await receive()
        waiting.set()
        await receive()

    call = asyncio.create_task(InProcess(app).request("GET", "/", "", (), b""))
    async with asyncio.timeout(BOUND_S):
        await waiting.wait()
    assert not call.done()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_full_answer_counts_even_if_the_application_then_raises() -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 500})
        await send({"type": "http.response.body", "body": b"{}"})
        raise RuntimeError("as Starlette's outermost layer does")

    assert (await InProcess(app).request("GET", "/", "", (), b"")).status == 500


@pytest.mark.parametrize("messages", [[], [{"type": "http.response.start", "status": 200}]])
async def test_half_an_answer_is_none(messages: list[Message]) -> None:
    async def app(_: Scope, __: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    with pytest.raises(CoreUnreachable) as caught:
        await InProcess(app).request("GET", "/", "", (), b"")
    assert caught.value.sent


async def test_unreachable_is_not_done_unless_something_was_sent(caller: Caller) -> None:
    refused = await problem_of(CoreUnreachable("refused", sent=False), caller, send=True)
    assert (refused["code"], refused["status"], refused["outcome"]) == ("CORE_UNREACHABLE", 503, "not_done")
    lost = await problem_of(CoreUnreachable("lost", sent=True), caller, send=True)
    assert lost["outcome"] == "unknown"
    read = await problem_of(CoreUnreachable("lost", sent=True), caller)
    assert read["outcome"] == "not_done"


async def test_an_answer_that_is_not_json(caller: Caller) -> None:
    problem = await problem_of(Answer(200, (), b"<html>"), caller)
    assert problem["code"] == "CORE_ANSWER_UNREADABLE"


@pytest.mark.parametrize(
    ("answer", "code", "action", "outcome"),
    [
        (Answer(502, (), b"<html>"), "HTTP_502", "retry", "unknown"),
        (Answer(429, (), b"{}"), "HTTP_429", "retry", "not_done"),
        (Answer(404, (), b'{"detail":"Not Found"}'), "HTTP_404", "give_up", "not_done"),
        (Answer(307, (), b""), "HTTP_307", "give_up", "not_done"),
        (Answer(599, (), b"[]"), "HTTP_599", "retry", "unknown"),
    ],
)
async def test_errors_of_something_else_than_the_api(
    caller: Caller, answer: Answer, code: str, action: str, outcome: str
) -> None:
    problem = await problem_of(answer, caller)
    assert (problem["code"], problem["action"], problem["outcome"]) == (code, action, outcome)
    assert problem["status"] == answer.status


async def test_ids_cannot_leave_their_place_in_the_path(caller: Caller) -> None:
    paths: list[str] = []

    class Recording(Fixed):
        async def request(self, method: str, path: str, query: str, headers: Headers, body: bytes) -> Answer:
            paths.append(path)
            return Answer(200, (), b"")

    client = CoreClient(Recording(Answer(200, (), b"")))
    reply = await client.call(caller, "a/../../account?x#y")
    assert (reply.document, reply.text) == ({}, "{}")
    assert paths == ["/api/call/a%2F..%2F..%2Faccount%3Fx%23y"]


def test_a_caller_never_shows_its_credential(caller: Caller) -> None:
    assert caller.credential not in repr(caller)
