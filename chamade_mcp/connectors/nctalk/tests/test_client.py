"""A room's news as Nextcloud gives them: read in one go, or message by message where one of them is odd."""

import json
from typing import Any

import httpx2
import pytest

from chamade_mcp.connectors.nctalk.client import Cloud, Page
from chamade_mcp.kit.rates import Rates
from chamade_mcp.kit.testing import VirtualClock

SETTINGS = {"bot_login": "bot", "bot_token": "t", "api_secret": "s"}


async def since(body: bytes, last: int = 5, given: str = "") -> Page:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.url.params["lastKnownMessageId"] == str(last)
        return httpx2.Response(200, content=body, headers={"x-chat-last-given": given})

    async with httpx2.AsyncClient(
        base_url="https://cloud.example.org", transport=httpx2.MockTransport(answer)
    ) as http:
        return await Cloud(http, SETTINGS, Rates(VirtualClock())).since("room", last)


def message(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": number, "actorType": "users", "actorId": "ann", "messageParameters": [], **fields}


def page(*messages: object) -> bytes:
    return json.dumps({"ocs": {"meta": {"status": "ok"}, "data": messages}}).encode()


async def test_a_page_of_messages() -> None:
    found = await since(page(message(6, message="one", parent=[]), message(8, message="two")), given="9")
    assert [(said.id, said.text) for said in found.said] == [(6, "one"), (8, "two")]
    assert (found.end, found.full) == (9, False)


@pytest.mark.parametrize(
    "odd",
    [
        {"id": 7},
        {"id": "7", "actorType": "users", "actorId": "ann"},
        "7",
    ],
)
async def test_a_message_that_cannot_be_read_is_left_out_alone(odd: object) -> None:
    found = await since(page(message(6, message="one"), odd, message(8, message="two")))
    assert [said.text for said in found.said] == ["one", "two"]
    assert (found.end, found.full) == (8, False)


async def test_half_of_a_character_keeps_nothing_from_being_read() -> None:
    found = await since(page(message(6, message="\ud83d"), message(7, message="two")))
    assert [said.text for said in found.said] == ["\ud83d", "two"]


async def test_a_page_is_full_with_those_that_cannot_be_read() -> None:
    messages = [message(number) for number in range(6, 206)]
    assert (await since(page(*messages))).full
    assert (await since(page(*messages[1:], {"id": "odd"}))).full


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'{"ocs": {"data": {}}}', b'{"ocs": []}'])
async def test_what_is_no_page_has_nothing_in_it(body: bytes) -> None:
    assert await since(body, given="7") == Page([], 7, full=False)
