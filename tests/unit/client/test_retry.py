"""When a request is sent again, and when never."""

import asyncio
from collections.abc import Callable

import httpx2
import pytest

from chamade_mcp.client import (
    Client,
    Conflict,
    GatewayFailed,
    LimitReached,
    NotFound,
    Refused,
    Retry,
    UnexpectedAnswer,
    Unreachable,
)
from chamade_mcp.model.errors import Action, Outcome
from tests.support.virtual_loop import run_virtual

ACCOUNT = {
    "plan": "self-hosted", "features": {}, "features_note": "", "platforms": {}, "identities": {},
    "concurrent_calls": {"active": 0, "limit": 3}, "last_message_cursor": "c",
}  # fmt: skip
SENT = {"status": "delivered", "message_id": "msg_1"}
Script = Callable[[int], httpx2.Response | Exception]


def problem(status: int, action: str, outcome: str = "not_done", **headers: str) -> httpx2.Response:
    body = {"status": status, "code": "SOME_CODE", "detail": "So it is", "action": action, "outcome": outcome}
    return httpx2.Response(status, json=body, headers=headers)


class Gateway:
    """Answers by a script, and notes when it was asked what."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.times: list[float] = []
        self.keys: list[str | None] = []

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.times.append(asyncio.get_running_loop().time())
        self.keys.append(request.headers.get("idempotency-key"))
        found = self._script(len(self.times))
        if isinstance(found, Exception):
            raise found
        return found

    @property
    def pauses(self) -> list[float]:
        return [round(b - a, 3) for a, b in zip(self.times, self.times[1:], strict=False)]

    def client(self) -> Client:
        return Client("http://gateway.test", "chmd_key", transport=httpx2.MockTransport(self.answer))

    def account(self) -> None:
        async def ask() -> None:
            async with self.client() as client:
                assert (await client.account()).plan == "self-hosted"

        run_virtual(ask())

    def send(self) -> None:
        async def ask() -> None:
            async with self.client() as client:
                await client.inbox.send("web", "Hello")

        run_virtual(ask())

    def accept(self) -> None:
        async def ask() -> None:
            async with self.client() as client:
                await client.calls.accept("call_1")

        run_virtual(ask())


def test_it_tries_after_1_2_and_5_seconds_and_no_more() -> None:
    gateway = Gateway(lambda _: problem(503, "retry"))
    with pytest.raises(GatewayFailed):
        gateway.account()
    assert gateway.pauses == [1, 2, 5]


def test_it_is_content_with_the_first_success() -> None:
    answers = [problem(503, "retry"), httpx2.Response(200, json=ACCOUNT)]
    gateway = Gateway(lambda number: answers[number - 1])
    gateway.account()
    assert gateway.pauses == [1]


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422])
def test_a_request_that_is_wrong_is_not_repeated(status: int) -> None:
    gateway = Gateway(lambda _: problem(status, "retry" if 401 <= status <= 404 else "fix_argument"))
    with pytest.raises(Refused) as refused:
        gateway.account()
    assert refused.value.status == status
    assert len(gateway.times) == 1


def test_it_waits_as_long_as_the_gateway_says() -> None:
    waits = [problem(429, "wait", **{"retry-after": "7"}), httpx2.Response(200, json=ACCOUNT)]
    gateway = Gateway(lambda number: waits[number - 1])
    gateway.account()
    assert gateway.pauses == [7]


def test_a_date_is_as_good_as_seconds_whatever_the_clock_here_says() -> None:
    dates = {"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT", "date": "Sat, 21 Nov 2026 10:00:00 GMT"}
    waits = [problem(503, "wait", **dates), httpx2.Response(200, json=ACCOUNT)]
    gateway = Gateway(lambda number: waits[number - 1])
    gateway.account()
    assert gateway.pauses == [30]


@pytest.mark.parametrize(
    "headers", [{"retry-after": "3600"}, {}, {"retry-after": "soon"}, {"retry-after": "nan"}]
)
def test_a_wait_that_is_too_long_or_of_no_length_is_told_at_once(headers: dict[str, str]) -> None:
    gateway = Gateway(lambda _: problem(429, "wait", **headers))
    with pytest.raises(LimitReached):
        gateway.account()
    assert len(gateway.times) == 1


def test_a_send_is_repeated_under_one_key() -> None:
    answers = [httpx2.ReadTimeout("gone"), problem(503, "retry"), httpx2.Response(200, json=SENT)]
    gateway = Gateway(lambda number: answers[number - 1])
    gateway.send()
    assert len(set(gateway.keys)) == 1
    assert gateway.keys[0]
    assert len(gateway.keys) == 3


def test_two_sends_have_two_keys() -> None:
    gateway = Gateway(lambda _: httpx2.Response(200, json=SENT))
    gateway.send()
    gateway.send()
    assert len(set(gateway.keys)) == 2


def test_what_may_have_been_done_is_not_done_twice() -> None:
    gateway = Gateway(lambda _: httpx2.ReadError("broken"))
    with pytest.raises(Unreachable) as broken:
        gateway.accept()
    assert broken.value.outcome is Outcome.UNKNOWN
    assert len(gateway.times) == 1
    gateway = Gateway(lambda _: problem(500, "retry", "unknown"))
    with pytest.raises(GatewayFailed):
        gateway.accept()
    assert len(gateway.times) == 1


def test_what_was_surely_not_done_is_tried_again() -> None:
    gateway = Gateway(lambda _: httpx2.ConnectError("nobody there"))
    with pytest.raises(Unreachable) as nobody:
        gateway.accept()
    assert nobody.value.outcome is Outcome.NOT_DONE
    assert gateway.pauses == [1, 2, 5]
    gateway = Gateway(lambda _: problem(409, "retry"))
    with pytest.raises(Conflict):
        gateway.accept()
    assert gateway.pauses == [1, 2, 5]


def test_an_error_of_something_in_between_is_judged_by_its_status() -> None:
    gateway = Gateway(lambda _: httpx2.Response(502, text="<html>Bad gateway</html>"))
    with pytest.raises(GatewayFailed) as failed:
        gateway.account()
    assert (failed.value.code, failed.value.outcome) == ("HTTP_502", Outcome.UNKNOWN)
    assert str(failed.value) == "Bad Gateway (502 HTTP_502)"
    assert gateway.pauses == [1, 2, 5]
    gateway = Gateway(lambda _: httpx2.Response(404, text="<html>Not here</html>"))
    with pytest.raises(NotFound) as unknown:
        gateway.account()
    assert unknown.value.action is Action.GIVE_UP


def test_a_redirect_is_not_followed() -> None:
    gateway = Gateway(lambda _: httpx2.Response(307, headers={"location": "http://elsewhere.test/"}))
    with pytest.raises(Refused) as redirected:
        gateway.account()
    assert redirected.value.status == 307
    assert len(gateway.times) == 1


@pytest.mark.parametrize("answer", ["<html>", "[]", '{"plan": 1}', '{"plan": "x"}'])
def test_what_is_no_gateway_is_told(answer: str) -> None:
    gateway = Gateway(lambda _: httpx2.Response(200, text=answer))
    with pytest.raises(UnexpectedAnswer):
        gateway.account()
    assert len(gateway.times) == 1


def test_a_policy_may_be_never() -> None:
    async def ask() -> None:
        transport = httpx2.MockTransport(gateway.answer)
        async with Client("http://gateway.test", "k", retry=Retry(()), transport=transport) as client:
            await client.account()

    gateway = Gateway(lambda _: problem(503, "retry"))
    with pytest.raises(GatewayFailed):
        run_virtual(ask())
    assert len(gateway.times) == 1


def test_listening_outlasts_a_gateway_that_is_away() -> None:
    news: dict[str, object] = {"conversations": [], "last_message_cursor": "d", "reset": True}

    def script(number: int) -> httpx2.Response | Exception:
        return httpx2.ConnectError("away") if number < 11 else httpx2.Response(200, json=news)

    async def ask() -> None:
        async with gateway.client() as client:
            listening = client.inbox.listen("c")
            assert (await anext(listening)).cursor == "d"
            await listening.aclose()

    gateway = Gateway(script)
    run_virtual(ask())
    assert gateway.pauses == [1, 2, 5, 5, 1, 2, 5, 5, 1, 2]


def test_the_key_is_sent_to_the_gateway_alone() -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, content=b"bytes")

    async def ask() -> None:
        async with Client(
            "http://gateway.test", "chmd_key", transport=httpx2.MockTransport(answer)
        ) as client:
            assert await client.files.download("http://files.test/api/files/x") == b"bytes"

    run_virtual(ask())
    assert [request.headers.get("x-api-key") for request in asked] == [None]


@pytest.mark.parametrize("url", ["gateway.test", "ftp://gateway.test", "http://"])
def test_an_address_that_is_none_is_told_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="not the address"):
        Client(url, "chmd_key")


def test_the_environment_names_gateway_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="CHAMADE_API_KEY"):
        Client()
    monkeypatch.setenv("CHAMADE_API_KEY", "chmd_from_outside")
    monkeypatch.setenv("CHAMADE_URL", "http://outside.test/")
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, json=ACCOUNT)

    async def ask() -> None:
        async with Client(transport=httpx2.MockTransport(answer)) as client:
            await client.account()

    run_virtual(ask())
    (request,) = asked
    assert str(request.url) == "http://outside.test/api/account"
    assert request.headers["x-api-key"] == "chmd_from_outside"
