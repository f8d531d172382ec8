"""What happens arrives at the endpoints, in the end, whatever they answer meanwhile."""

import asyncio
from dataclasses import replace

import httpx2
import pytest

from chamade_mcp.core.webhooks.schedule import PAUSES_S
from chamade_mcp.model.events import Event, EventType
from tests.support.house import House
from tests.support.receiver import Arrived
from tests.support.webhooks import Endpoint

DAY_S = 86_400.0


@pytest.fixture
async def endpoint(house: House) -> Endpoint:
    return await Endpoint.make(house)


async def test_an_event_arrives_once_as_it_is_told_live(house: House, endpoint: Endpoint) -> None:
    seq = await endpoint.happen(text="hello")
    (arrived,) = await endpoint.arrived(1)
    assert arrived.body == {"type": "dm_chat", "conversation_id": "conv_1", "text": "hello", "seq": seq}
    assert arrived.headers["content-type"] == "application/json"
    (delivery,) = await endpoint.settled("delivered")
    assert delivery["id"] == arrived.id
    assert [a["status"] for a in delivery["attempts"]] == [204]
    await house.clock.advance(DAY_S)
    assert len(house.receiver.arrived) == 1


async def test_what_failed_comes_again_under_the_same_id(house: House, endpoint: Endpoint) -> None:
    house.receiver.says(endpoint.host, 500, text="broken")
    await endpoint.happen()
    await endpoint.attempted(1)
    await endpoint.pass_to_next_attempt()
    house.receiver.works(endpoint.host)
    await endpoint.pass_to_next_attempt()
    (delivery,) = await endpoint.settled("delivered")
    assert [a["status"] for a in delivery["attempts"]] == [500, 500, 204]
    assert delivery["attempts"][0]["response"] == "broken"
    assert len({arrived.id for arrived in house.receiver.arrived}) == 1
    assert len({arrived.raw for arrived in house.receiver.arrived}) == 1


async def test_a_receiver_that_is_down_for_a_day_misses_nothing(house: House, endpoint: Endpoint) -> None:
    house.receiver.is_down(endpoint.host)
    began = house.clock.monotonic()
    await endpoint.happen()
    await endpoint.attempted(1)
    while house.clock.monotonic() - began < DAY_S:
        await endpoint.pass_to_next_attempt()
        if house.clock.monotonic() - began > DAY_S / 2:
            house.receiver.works(endpoint.host)
    (delivery,) = await endpoint.settled("delivered")
    assert delivery["attempts"][0]["error"] == f"{endpoint.host} cannot be reached"


async def test_after_the_last_attempt_it_is_given_up_and_can_be_sent_again(
    house: House, endpoint: Endpoint
) -> None:
    house.receiver.says(endpoint.host, 503)
    await endpoint.happen()
    await endpoint.attempted(1)
    began = house.clock.monotonic()
    for _ in PAUSES_S:
        await endpoint.pass_to_next_attempt()
    (delivery,) = await endpoint.settled("failed")
    assert len(delivery["attempts"]) == len(PAUSES_S) + 1
    assert sum(PAUSES_S) <= house.clock.monotonic() - began <= sum(PAUSES_S) * 1.1
    await house.clock.advance(DAY_S)
    assert len(house.receiver.arrived) == len(PAUSES_S) + 1
    house.receiver.works(endpoint.host)
    told = await house.webhooks.replay(endpoint.owner, endpoint.id, delivery["id"])
    assert told["state"] == "pending"
    (again,) = await endpoint.settled("delivered")
    assert again["id"] == delivery["id"]
    assert [a["number"] for a in again["attempts"]] == list(range(1, len(PAUSES_S) + 3))


@pytest.mark.parametrize("jump_s", [7_200.0, -3_600.0])
async def test_nothing_is_early_or_late_when_the_wall_clock_jumps(
    house: House, endpoint: Endpoint, jump_s: float
) -> None:
    house.receiver.says(endpoint.host, 500)
    await endpoint.happen()
    await endpoint.attempted(1)
    await endpoint.pass_to_next_attempt()
    house.clock.jump(jump_s)
    await endpoint.nothing_left_to_do()
    await house.clock.advance(299)
    await endpoint.nothing_left_to_do()
    assert len(house.receiver.arrived) == 2
    await house.clock.advance(32)
    await endpoint.attempted(3)


async def test_the_receivers_retry_after_is_waited_for(house: House, endpoint: Endpoint) -> None:
    house.receiver.says(endpoint.host, 429, retry_after="3600")
    await endpoint.happen()
    await endpoint.attempted(1)
    began = house.clock.monotonic()
    await endpoint.pass_to_next_attempt()
    assert house.clock.monotonic() - began == pytest.approx(3600)


async def test_one_who_is_gone_is_left_alone_and_the_agent_is_told(house: House, endpoint: Endpoint) -> None:
    house.receiver.says(endpoint.host, 410)
    await endpoint.happen()
    (delivery,) = await endpoint.settled("failed")
    assert len(delivery["attempts"]) == 1
    told = await house.webhooks.get(endpoint.owner, endpoint.id)
    assert told["status"] == "disabled"
    event = await endpoint.last_event()
    assert event.type is EventType.WEBHOOK_DISABLED
    assert event.payload["webhook_id"] == endpoint.id
    assert event.payload["reason"] == told["reason"] == "The receiver answered 410 Gone: it wants no more"
    assert endpoint.host not in str(event.payload)


async def test_after_five_failing_days_it_is_disabled(house: House, endpoint: Endpoint) -> None:
    house.receiver.says(endpoint.host, 500)
    for _ in range(5):
        count = len(house.receiver.arrived)
        await endpoint.happen()
        await endpoint.arrived(count + 1)
        assert (await house.webhooks.get(endpoint.owner, endpoint.id))["status"] == "active"
        await house.clock.advance(DAY_S - 60)
        await endpoint.nothing_left_to_do()
    await house.clock.advance(DAY_S - 60)
    await until_disabled(house, endpoint)
    await endpoint.nothing_left_to_do()
    count = len(house.receiver.arrived)
    await house.clock.advance(2 * DAY_S)
    await endpoint.nothing_left_to_do()
    assert len(house.receiver.arrived) == count
    assert (await endpoint.last_event()).payload["reason"] == "Nothing was delivered for 5 days"


async def until_disabled(house: House, endpoint: Endpoint) -> None:
    async def disabled() -> bool:
        return (await house.webhooks.get(endpoint.owner, endpoint.id))["status"] == "disabled"

    await endpoint.until(disabled)


async def test_what_is_slow_holds_up_nobody_else(house: House, endpoint: Endpoint) -> None:
    hold = asyncio.Event()
    slow = await Endpoint.make(house, owner=endpoint.owner, host="slow.example")

    async def answer(_: Arrived) -> httpx2.Response:
        await hold.wait()
        return httpx2.Response(200, stream=httpx2.ByteStream(b""))

    house.receiver.answers[slow.host] = answer
    for n in range(10):
        await endpoint.happen(conversation=f"conv_{n}")
    assert len(await endpoint.arrived(10)) == 10
    assert len(await slow.arrived(4)) == 4, "each endpoint has four under way at most"
    hold.set()
    assert len(await slow.arrived(10)) == 10


async def test_within_an_endpoint_conversations_do_not_wait_for_each_other_and_keep_their_order(
    house: House, endpoint: Endpoint
) -> None:
    hold = asyncio.Event()

    async def answer(arrived: Arrived) -> httpx2.Response:
        if arrived.body["conversation_id"] == "stuck":
            await hold.wait()
        return httpx2.Response(200, stream=httpx2.ByteStream(b""))

    house.receiver.answers[endpoint.host] = answer
    for n in range(10):
        for conversation in ("stuck", "fine", "also fine"):
            await endpoint.happen(conversation=conversation, text=str(n))
    await endpoint.arrived(21)
    hold.set()
    by_conversation: dict[str, list[str]] = {}
    for arrived in await endpoint.arrived(30):
        by_conversation.setdefault(arrived.body["conversation_id"], []).append(arrived.body["text"])
    assert list(by_conversation.values()) == [[str(n) for n in range(10)]] * 3


async def test_a_pause_keeps_what_happens_for_later(house: House, endpoint: Endpoint) -> None:
    await endpoint.change(status="paused")
    seq = await endpoint.happen()
    await house.clock.advance(DAY_S)
    await endpoint.nothing_left_to_do()
    assert house.receiver.arrived == []
    await endpoint.change(status="active")
    assert [arrived.seq for arrived in await endpoint.arrived(1)] == [seq]


async def test_events_that_went_by_age_are_told_as_a_gap(house: House, endpoint: Endpoint) -> None:
    await endpoint.change(status="paused")
    for _ in range(3):
        await endpoint.happen()
    await endpoint.forget_events(2)
    await endpoint.change(status="active")
    first, second = sorted(await endpoint.arrived(2), key=lambda one: one.seq)
    assert first.body["type"] == "reset"
    assert (first.body["oldest"], first.body["newest"]) == (3, 3)
    assert second.seq == 3
    await endpoint.change(status="paused")
    await endpoint.happen()
    await endpoint.forget_events(4)
    await endpoint.change(status="active")
    (*_, last) = await endpoint.arrived(3)
    assert (last.body["type"], last.seq) == ("reset", 4)


async def test_a_delivery_whose_event_is_gone_fails_and_is_nobodys_fault(
    house: House, endpoint: Endpoint
) -> None:
    house.receiver.says(endpoint.host, 500)
    await endpoint.happen()
    await endpoint.attempted(1)
    house.receiver.works(endpoint.host)
    await endpoint.forget_events(1)
    await house.clock.advance(6)
    *_, delivery = await endpoint.settled("failed")
    assert delivery["attempts"][-1]["error"] == "The event is no longer kept"
    assert (await house.webhooks.get(endpoint.owner, endpoint.id))["status"] == "active"
    assert [arrived.body["type"] for arrived in await endpoint.arrived(2)] == ["dm_chat", "reset"]


async def test_only_the_agents_own_events_of_the_types_it_asked_for(house: House, endpoint: Endpoint) -> None:
    await endpoint.change(event_types=["call_state"])
    stranger = await Endpoint.make(house, host="stranger.example")
    await endpoint.happen()
    await stranger.happen()
    await house.hub.publish(
        Event(
            endpoint.owner.account, endpoint.owner.scope.agent, EventType.CALL_STATE, {"type": "call_state"}
        )
    )
    assert [arrived.body["type"] for arrived in await endpoint.arrived(1)] == ["call_state"]
    assert [arrived.body["type"] for arrived in await stranger.arrived(1)] == ["dm_chat"]


@pytest.mark.parametrize(
    ("status", "words"), [(302, "It answered 302: redirects are not followed"), (404, "It answered 404")]
)
async def test_only_2xx_counts(house: House, endpoint: Endpoint, status: int, words: str) -> None:
    house.receiver.says(endpoint.host, status, location="https://elsewhere.example/")
    await endpoint.happen()
    (delivery,) = await endpoint.attempted(1)
    assert delivery["attempts"][0]["error"] == words


async def test_a_name_that_turns_private_gets_nothing(house: House, endpoint: Endpoint) -> None:
    house.receiver.addresses[endpoint.host] = ("10.0.0.1",)
    await endpoint.happen()
    (delivery,) = await endpoint.attempted(1)
    assert delivery["attempts"][0]["error"] == f"{endpoint.host} is not on the public Internet"
    assert house.receiver.arrived == []


async def test_of_an_answer_one_kilobyte_is_kept(house: House, endpoint: Endpoint) -> None:
    house.receiver.says(endpoint.host, 500, text="x\x00" + "é" * 5_000)
    await endpoint.happen()
    (delivery,) = await endpoint.attempted(1)
    kept = delivery["attempts"][0]["response"]
    assert kept.startswith("x\ufffdé")
    assert len(kept) < 520


async def test_one_that_is_removed_gets_nothing_more(house: House, endpoint: Endpoint) -> None:
    house.receiver.says(endpoint.host, 500)
    await endpoint.happen()
    await endpoint.attempted(1)
    await house.webhooks.remove(endpoint.owner, endpoint.id)
    await endpoint.happen()
    await house.clock.advance(DAY_S)
    assert len(house.receiver.arrived) == 1


async def test_after_a_restart_the_rest_goes_out(house: House, endpoint: Endpoint) -> None:
    """As `kill -9` leaves it: what was on its way is free again after its lease."""
    hold: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def answer(_: Arrived) -> httpx2.Response:
        await hold
        raise AssertionError

    house.receiver.answers[endpoint.host] = answer
    for n in range(5):
        await endpoint.happen(conversation=f"conv_{n}")
    await endpoint.arrived(4)
    await house.webhooks.leave(endpoint.owner.account)
    house.receiver.works(endpoint.host)
    await house.webhooks.start()
    await endpoint.arrived(5)
    await house.clock.advance(31)
    assert sorted({arrived.seq for arrived in await endpoint.arrived(9)}) == [1, 2, 3, 4, 5]
    assert len(await endpoint.settled("delivered", 5)) == 5


async def test_what_an_address_says_after_it_was_changed_is_not_said_by_the_new_one(
    house: House, endpoint: Endpoint
) -> None:
    hold = asyncio.Event()

    async def answer(_: Arrived) -> httpx2.Response:
        await hold.wait()
        return httpx2.Response(410, stream=httpx2.ByteStream(b""))

    house.receiver.answers[endpoint.host] = answer
    seq = await endpoint.happen()
    await endpoint.arrived(1)
    await house.webhooks.change(endpoint.owner, endpoint.id, url="https://moved.example/hook")
    hold.set()
    moved = replace(endpoint, host="moved.example")
    assert [arrived.seq for arrived in await moved.arrived(1)] == [seq]
    (delivery,) = await endpoint.settled("delivered")
    assert [a["status"] for a in delivery["attempts"]] == [410, 204]
    assert (await house.webhooks.get(endpoint.owner, endpoint.id))["status"] == "active"


async def test_a_new_address_has_not_failed_yet(house: House, endpoint: Endpoint) -> None:
    house.receiver.says(endpoint.host, 500)
    await endpoint.happen()
    await endpoint.attempted(1)
    assert (await house.webhooks.get(endpoint.owner, endpoint.id))["failing_since"]
    changed = await house.webhooks.change(endpoint.owner, endpoint.id, url="https://moved.example/hook")
    assert changed["failing_since"] is None


async def test_of_what_waited_and_went_by_age_one_is_told_as_of_a_gap(
    house: House, endpoint: Endpoint
) -> None:
    house.receiver.says(endpoint.host, 500)
    for n in range(3):
        await endpoint.happen(conversation=f"conv_{n}")
    await endpoint.attempted(3)
    await endpoint.change(status="paused")
    house.receiver.arrived.clear()
    house.receiver.works(endpoint.host)
    await endpoint.forget_events(3)
    await house.clock.advance(DAY_S)
    await endpoint.change(status="active")
    await endpoint.settled("failed", 3)
    await endpoint.settled("delivered")
    assert [arrived.body["type"] for arrived in house.receiver.arrived] == ["reset"]


async def test_a_long_conversation_that_is_stuck_holds_up_no_other(house: House, endpoint: Endpoint) -> None:
    hold = asyncio.Event()

    async def answer(arrived: Arrived) -> httpx2.Response:
        if arrived.body["conversation_id"] == "stuck":
            await hold.wait()
        return httpx2.Response(200, stream=httpx2.ByteStream(b""))

    house.receiver.answers[endpoint.host] = answer
    await house.webhooks.leave(endpoint.owner.account)
    for _ in range(100):
        await endpoint.happen(conversation="stuck")
    await endpoint.happen(conversation="fine")
    await house.webhooks.start()
    arrived = await endpoint.arrived(2)
    hold.set()
    assert {one.body["conversation_id"] for one in arrived} == {"stuck", "fine"}


@pytest.mark.parametrize("retry_after", ["1 Jan 99999999999999999999 00:00:00 GMT"])
async def test_a_retry_after_of_no_sense_counts_for_nothing(
    house: House, endpoint: Endpoint, retry_after: str
) -> None:
    house.receiver.says(endpoint.host, 503, retry_after=retry_after)
    await endpoint.happen()
    (delivery,) = await endpoint.attempted(1)
    assert [a["status"] for a in delivery["attempts"]] == [503]


async def test_taken_is_taken_in_whatever_form_the_answer_comes(house: House, endpoint: Endpoint) -> None:
    house.receiver.says(endpoint.host, 200, text="\x1f\x8b", content_encoding="gzip")
    await endpoint.happen()
    (delivery,) = await endpoint.attempted(1)
    assert delivery["state"] == "delivered"
    assert delivery["attempts"][0]["status"] == 200
