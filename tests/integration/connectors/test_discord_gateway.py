"""The Gateway of Discord: connections end in every way, and nothing that is written is lost or doubled."""

import json
from pathlib import Path
from typing import Any

from tests.integration.connectors.discord_hall import Hall, emulated, opened
from tests.support.waiting import until

RECONNECT, INVALID_SESSION, HEARTBEAT = 7, 9, 1


async def heard_over(hall: Hall, token: str, number: int) -> None:
    """Whether what is written now comes, and once."""
    ann = next(iter(hall.discord.people.values()), None) or hall.discord.person("Ann")
    hall.discord.say(ann, hall.discord.direct(token, ann), f"number {number}")
    heard = await hall.gateway.heard(number + 1)
    assert [m["text"] for m in heard] == [f"number {n}" for n in range(number + 1)]


async def test_a_session_goes_on_over_another_connection(hall: Hall) -> None:
    """At Discord's wish (None), and after each close code that allows it, while somebody writes."""
    gateway = hall.discord.gateway
    token = hall.discord.new_bot("helper")
    await hall.connect(token)
    await heard_over(hall, token, 0)
    codes = (None, 1001, 4000, 4001, 4002, 4003, 4005, 4008)
    for number, code in enumerate(codes, 1):
        if code is None:
            await gateway.say(token, RECONNECT)
        else:
            await gateway.close(token, code)
        await heard_over(hall, token, number)
        assert (gateway.resumed, len(gateway.identified[token])) == (number, 1)


async def test_a_session_that_is_over_is_followed_by_another(hall: Hall) -> None:
    gateway = hall.discord.gateway
    token = hall.discord.new_bot("helper")
    await hall.connect(token)
    await heard_over(hall, token, 0)
    for number, code in enumerate((4007, 4009), 1):
        await gateway.close(token, code)
        await until(lambda n=number: len(gateway.identified[token]) == n + 1)
        await until(lambda: gateway.open_sockets(token) == 1)
        await heard_over(hall, token, number)
    assert gateway.resumed == 0


async def test_a_session_that_discord_calls_invalid(hall: Hall) -> None:
    gateway = hall.discord.gateway
    token = hall.discord.new_bot("helper")
    connection = await hall.connect(token)
    await heard_over(hall, token, 0)
    await gateway.say(token, INVALID_SESSION, True)
    await until(lambda: gateway.resumed == 1)
    await heard_over(hall, token, 1)
    await gateway.close(token, 4000, forget=True)  # told on resuming that it is over
    await until(lambda: len(gateway.identified[token]) == 2 and gateway.open_sockets(token) == 1)
    await heard_over(hall, token, 2)
    await hall.gateway.state(connection, "ok")


async def test_a_connection_that_is_dead_is_left(tmp_path: Path) -> None:
    """Discord answers no heartbeat any more, and says nothing either."""
    async with emulated() as (discord, url), opened(tmp_path, discord, url) as hall:
        discord.gateway.heartbeat_s = 0.3
        token = discord.new_bot("helper")
        await hall.connect(token)
        await heard_over(hall, token, 0)
        beats = discord.gateway.beats
        await until(lambda: discord.gateway.beats > beats + 2)
        await discord.gateway.say(token, HEARTBEAT)  # Discord may ask for one, too
        resumed = discord.gateway.resumed
        discord.gateway.mute = True
        ann = next(iter(discord.people.values()))
        discord.say(ann, discord.direct(token, ann), "number 1")
        await until(lambda: discord.gateway.resumed > resumed)
        discord.gateway.mute = False
        await hall.gateway.heard(2)
        assert len(discord.gateway.identified[token]) == 1


async def test_an_outage_is_over_some_day(hall: Hall) -> None:
    discord, gateway = hall.discord, hall.gateway
    token = discord.new_bot("helper")
    connection = await hall.connect(token)
    await heard_over(hall, token, 0)
    (message,) = await gateway.heard()
    ann = next(iter(discord.people.values()))
    direct = discord.direct(token, ann)
    discord.fall()
    await discord.gateway.close(token, 1012)
    await gateway.state(connection, "unavailable")
    discord.say(ann, direct, "number 1")
    answer = await gateway.answer(message, "waits", 202)
    assert answer["status"] == "pending"
    discord.rise()
    heard = await gateway.heard(2)
    assert [m["text"] for m in heard] == ["number 0", "number 1"]
    await until(lambda: discord.said(token, direct))
    assert [m["content"] for m in discord.said(token, direct)] == ["waits"]
    assert len(discord.gateway.identified[token]) == 1


async def test_what_nobody_comes_back_from_is_told(hall: Hall) -> None:
    ends = {
        4004: "Authentication failed",
        4011: "sharding is required",
        4014: "Message Content Intent of this bot is off",
    }
    for code, words in ends.items():
        token = hall.discord.new_bot(f"helper{code}")
        connection = await hall.connect(token)
        await hall.discord.gateway.close(token, code)
        await hall.gateway.state(connection, "auth_needed")
        assert words in (await hall.gateway.get(f"/api/connections/{connection}"))["detail"]


async def test_the_intent_that_was_turned_off_while_nobody_looked(hall: Hall) -> None:
    token = hall.discord.new_bot("helper")
    connection = await hall.connect(token)
    hall.discord.bot(token).flags = 0
    await hall.discord.gateway.close(token, 4009)
    await hall.gateway.state(connection, "auth_needed")
    path = f"/api/connections/{connection}"
    refused = await hall.gateway.api.patch(path, json={"bot_token": token})
    assert (refused.status_code, refused.json()["param"]) == (422, "bot_token")
    hall.discord.bot(token).flags = 1 << 19
    assert (await hall.gateway.api.patch(path, json={"bot_token": token})).status_code == 200
    await hall.gateway.state(connection, "ok")
    await heard_over(hall, token, 0)


async def test_no_session_is_begun_that_would_cost_the_token(hall: Hall) -> None:
    token = hall.discord.new_bot("helper")
    hall.discord.bot(token).starts_left = 0
    made = await hall.register(token)
    await hall.gateway.state(made["id"], "unavailable")
    told = await hall.gateway.get(f"/api/connections/{made['id']}")
    assert told["detail"] == "Discord lets this bot begin no more sessions today"
    assert hall.discord.gateway.identified[token] == []


async def test_what_a_bot_says_of_itself(hall: Hall) -> None:
    token = hall.discord.new_bot("helper")
    await hall.connect(token)
    (about,) = hall.discord.gateway.identified[token]
    # No members, no presences, no lists of servers: only what is said, with its words.
    assert about["intents"] == 1 << 9 | 1 << 10 | 1 << 12 | 1 << 13 | 1 << 15


RUBBISH: list[Any] = ["{", "[]", "1", '{"op": "0"}', '{"op": 99}', '{"op": 0, "t": "NEW", "d": 1, "s": 2}']


async def test_a_gateway_that_is_none(hall: Hall) -> None:
    """It says hello, and is ready without a session; then it is one again."""
    gateway = hall.discord.gateway
    token = hall.discord.new_bot("helper")
    connection = await hall.connect(token)
    await gateway.scribble(token, '{"op": 0, "t": "READY", "s": 2, "d": {"session_id": 1}}')
    await hall.gateway.state(connection, "unavailable")
    told = await hall.gateway.get(f"/api/connections/{connection}")
    assert told["detail"] == "The server at the address of the Gateway is another"
    await hall.gateway.state(connection, "ok")
    await heard_over(hall, token, 0)


async def test_rubbish_is_left_out(hall: Hall) -> None:
    gateway = hall.discord.gateway
    token = hall.discord.new_bot("helper")
    await hall.connect(token)
    for rubbish in RUBBISH:
        await gateway.scribble(token, rubbish)
    await gateway.scribble(token, '{"op": 0, "t": "MESSAGE_CREATE", "s": 2, "d": {"id": "1", "content": 7}}')
    await heard_over(hall, token, 0)
    assert (gateway.resumed, len(gateway.identified[token])) == (0, 1)


async def test_an_event_that_comes_again_is_one(hall: Hall) -> None:
    discord, gateway = hall.discord, hall.gateway
    token = discord.new_bot("helper")
    await hall.connect(token)
    ann = discord.person("Ann")
    direct = discord.direct(token, ann)
    first, second = discord.say(ann, direct, "first"), discord.say(ann, direct, "second")
    await gateway.heard(2)
    for message in discord.messages(direct):
        again = {"op": 0, "t": "MESSAGE_CREATE", "s": None, "d": message}
        await discord.gateway.scribble(token, json.dumps(again))
    about = {"ids": [first, second, "5"], "channel_id": direct}  # one of them nobody knows
    for _ in range(2):
        gone = {"op": 0, "t": "MESSAGE_DELETE_BULK", "s": None, "d": about}
        await discord.gateway.scribble(token, json.dumps(gone))
    discord.say(ann, direct, "third")
    heard = await gateway.heard(3)
    assert [(m["text"], m["status"]) for m in heard[:2]] == [("", "deleted"), ("", "deleted")]
    assert [m["text"] for m in heard[2:]] == ["third"]
