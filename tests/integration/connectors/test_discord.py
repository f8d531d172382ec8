"""Discord: people write, the agent answers, over the emulated REST API and the Gateway."""

import asyncio
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2

from tests.integration.connectors.discord_hall import Hall, emulated, opened
from tests.support.hosted import corrected_and_reacted, eventually
from tests.support.requirement import requirement
from tests.support.waiting import until

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)


async def test_a_stranger_asks_and_is_let_in(hall: Hall) -> None:
    discord, gateway = hall.discord, hall.gateway
    token = discord.new_bot("helper")
    connection = await hall.connect(token, access="pairing")
    ann = discord.person("Ann Lee")
    discord.new_guild(token, "Acme", ann)
    direct = discord.direct(token, ann)
    discord.say(ann, direct, "hello?")
    await until(lambda: discord.said(token, direct))
    assert await gateway.conversations() == []
    (asking,) = (await gateway.get("/api/pairings"))["pairings"]
    assert asking["code"] in discord.said(token, direct)[0]["content"]
    await gateway.post(f"/api/pairings/{asking['id']}/approve")
    discord.say(ann, direct, f"hi <@{discord.bot(token).id}>, see <:wave:12> at <t:0:R>")
    (message,) = await gateway.heard()
    assert message["text"] == "hi @helper, see :wave: at 1970-01-01 00:00 UTC"
    assert (message["sender"], message["attachments"]) == ("Ann Lee", [])
    await gateway.answer(message, "**Hi** @everyone: _[docs](https://example.org/)_")
    said = discord.said(token, direct)[-1]
    assert said["content"] == "**Hi** @\u200beveryone: *[docs](https://example.org/)*"
    assert (said["mention_everyone"], said["type"]) == (False, 0)
    assert (await gateway.post(f"/api/connections/{connection}/test"))["name"] == "@helper"


async def test_a_message_is_answered_changed_and_taken_back(hall: Hall) -> None:
    discord, gateway = hall.discord, hall.gateway
    token = discord.new_bot("helper")
    await hall.connect(token)
    ann = discord.person("Ann")
    direct = discord.direct(token, ann)
    first = discord.say(ann, direct, "first")
    (message,) = await gateway.heard()
    typing = {name: message[name] for name in ("platform", "conversation_id")}
    assert await gateway.post("/api/dm/typing", **typing) == {"status": "ok"}
    assert discord.channel(direct).typing > 0
    sent = await gateway.answer(message, "answer", reply_to=message["id"])
    (said,) = discord.said(token, direct)
    assert said["message_reference"]["message_id"] == first
    path = f"/api/messages/{sent['message_id']}"
    for _ in range(2):  # the same again is harmless
        changed = await gateway.api.patch(path, json={"text": "a *better* answer"})
        assert changed.status_code == 200, changed.text
    assert discord.said(token, direct)[0]["content"] == "a *better* answer"
    for _ in range(2):
        await gateway.post(f"/api/messages/{message['id']}/react", emoji="\U0001f44d")
    assert discord.reactions(direct, first) == ["\U0001f44d"]
    await gateway.post(f"/api/messages/{message['id']}/react", emoji="\U0001f44d", remove=True)
    assert discord.reactions(direct, first) == []
    refused = await gateway.post(f"/api/messages/{message['id']}/react", 502, emoji="nothing")
    assert refused["detail"] == "Discord knows no such emoji (10014)"
    discord.preview(direct, first)
    discord.edit(direct, first, "first, corrected")
    discord.react(ann, direct, said["id"], "\U0001f389")
    _, answer = await gateway.shows(corrected_and_reacted)
    assert answer["reactions"] == [{"emoji": "\U0001f389", "sender": "Ann"}]
    second = discord.answer(ann, direct, said["id"], "thank you")
    assert (await gateway.heard(2))[1]["reply_to"] == sent["message_id"]
    discord.delete(direct, second)

    async def gone() -> bool:
        return (await gateway.heard(2))[1]["status"] == "deleted"

    await eventually(gone)
    for _ in range(2):
        assert (await gateway.api.delete(path)).status_code in (200, 409)
    assert discord.said(token, direct) == []


async def test_files_go_both_ways(hall: Hall) -> None:
    discord, gateway = hall.discord, hall.gateway
    token = discord.new_bot("helper")
    await hall.connect(token)
    ann = discord.person("Ann")
    direct = discord.direct(token, ann)
    discord.send_file(ann, direct, "cat.png", PNG, "image/png", text="look")
    lost = discord.send_file(ann, direct, "t.csv", b"a,b\n", "text/csv; charset=utf-8")
    discord.lose(direct, lost)
    heard = await gateway.heard(2)
    assert [m["text"] for m in heard] == ["look", ""]
    files = [m["attachments"][0] for m in heard]
    assert [(f["name"], f["mime"]) for f in files] == [("cat.png", "image/png"), ("t.csv", "text/csv")]
    async with httpx2.AsyncClient() as anybody:
        assert (await anybody.get(files[0]["url"])).content == PNG
        gone = await anybody.get(files[1]["url"])
    assert (gone.status_code, gone.json()["code"]) == (410, "FILE_GONE")
    assert token not in json.dumps(heard)
    hello = {"bytes_b64": "aGVsbG8=", "name": 'h\u00e9 "llo".txt', "mime": "text/plain"}
    await gateway.answer(heard[0], "yours", attachments=[{"url": files[0]["url"]}, hello])
    await until(lambda: discord.said(token, direct))
    (said,) = discord.said(token, direct)
    assert (said["content"], discord.content(said)) == ("yours", [PNG, b"hello"])
    assert [file["filename"] for file in said["attachments"]] == ["cat.png", "h\u00e9__llo_.txt"]


async def test_servers_threads_and_mentions(hall: Hall) -> None:
    discord, gateway = hall.discord, hall.gateway
    token = discord.new_bot("helper")
    await hall.connect(token)
    ann, bob = discord.person("Ann"), discord.person("Bob")
    guild = discord.new_guild(token, "Acme", ann, bob)
    guild.members[bob.id] = "Bobby"
    general = discord.new_channel(guild, "general")
    me, role = discord.bot(token).id, guild.roles[1]["id"]
    discord.say(ann, general, "among people")
    first = discord.say(bob, general, f"<@{me}> ask <@{ann.id}> in <#{general}>")
    discord.say(ann, general, f"<@&{role}> and you?")
    heard = await gateway.heard(2)
    assert [(m["sender"], m["text"], m["mentions_me"]) for m in heard] == [
        ("Bobby", "@helper ask @Ann in #general", True),
        ("Ann", "@helper and you?", True),
    ]
    (conversation,) = await gateway.conversations()
    assert conversation["remote_name"] == "#general (Acme)"
    await gateway.answer(heard[0], "in the channel", reply_to=heard[0]["id"])
    (said,) = discord.said(token, general)
    assert said["message_reference"]["message_id"] == first
    # Who answers the bot means it, though they do not call it.
    discord.answer(ann, general, said["id"], "thanks")
    assert (await gateway.heard(3))[2]["mentions_me"] is True
    thread = discord.new_thread(general, "Plans")
    discord.say(ann, thread, f"<@{me}> here")
    heard = await gateway.heard(4)
    assert heard[3]["remote_name"] == "#general \u203a Plans (Acme)"
    sent = await gateway.answer(heard[3], "in the thread")
    assert [m["content"] for m in discord.said(token, thread)] == ["in the thread"]
    discord.channel(thread).archived = True
    path = f"/api/messages/{sent['message_id']}"
    refused = await gateway.api.patch(path, json={"text": "in this thread"})
    assert (refused.status_code, refused.json()["detail"]) == (502, "The thread is archived (50083)")
    await gateway.answer(heard[3], "which opens it again")
    assert (await gateway.api.patch(path, json={"text": "in this thread"})).status_code == 200
    discord.channel(thread).locked = True
    refused = await gateway.answer(heard[3], "still there?", 502)
    assert refused["detail"] == "The thread is locked (160005)"
    discord.bot(token).denied.add(general)
    refused = await gateway.answer(heard[0], "and there?", 502)
    assert refused["detail"] == "The bot cannot see this channel (50001)"


async def test_all_that_is_said_on_a_server(hall: Hall) -> None:
    discord, gateway = hall.discord, hall.gateway
    token = discord.new_bot("helper")
    wrong = await hall.register(token, 422, settings={"server_messages": "some"})
    assert wrong["errors"][0]["field"] == "server_messages"
    await hall.connect(token, settings={"server_messages": "all"})
    ann = discord.person("Ann")
    general = discord.new_channel(discord.new_guild(token, "Acme", ann), "general")
    discord.say(ann, general, "among people")
    (message,) = await gateway.heard()
    assert (message["text"], message.get("mentions_me", False)) == ("among people", False)


@requirement("R-272")
async def test_what_cannot_be_right_is_told_on_saving(hall: Hall) -> None:
    discord = hall.discord
    token, other = discord.new_bot("helper"), discord.new_bot("other", content=False)
    told = await hall.register(token, 422, bot_token="hello")
    assert told["errors"][0]["field"] == "bot_token"
    assert discord.calls == {}
    told = await hall.register(token, 400, bot_token="x" * 24 + ".abcdef." + "y" * 38)
    assert told["detail"] == "Discord refuses these credentials: 401: Unauthorized"
    told = await hall.register(token, 422, discord_app_id=discord.bot(other).app_id)
    assert told["errors"][0]["field"] == "discord_app_id"
    assert discord.bot(token).app_id in told["detail"]
    told = await hall.register(other, 422)
    assert "Message Content Intent of this bot is off" in told["detail"]
    discord.bot(other).flags = 1 << 18  # the like of it for bots on a hundred servers
    assert (await hall.register(other))["name"] == "@other"


async def test_a_token_that_is_reset_waits_for_another(hall: Hall) -> None:
    discord, gateway = hall.discord, hall.gateway
    token = discord.new_bot("helper")
    connection = await hall.connect(token)
    ann = discord.person("Ann")
    direct = discord.direct(token, ann)
    discord.say(ann, direct, "hello")
    (message,) = await gateway.heard()
    discord.flood(direct, 1)
    await gateway.answer(message, "waits", 202)
    new = await discord.reset(token)
    await gateway.state(connection, "auth_needed")
    refused = await gateway.answer(message, "at once", 503)
    assert refused["code"] == "RECONNECT_NEEDED"
    wrong = await gateway.api.patch(f"/api/connections/{connection}", json={"bot_token": token})
    assert (wrong.status_code, wrong.json()["code"]) == (400, "CREDENTIALS_REFUSED")
    right = await gateway.api.patch(f"/api/connections/{connection}", json={"bot_token": new})
    assert right.status_code == 200, right.text
    await until(lambda: discord.said(new, direct))
    assert discord.said(new, direct)[0]["content"] == "waits"


@requirement("R-265")
async def test_the_platforms_limits_are_kept(hall: Hall) -> None:
    discord, gateway = hall.discord, hall.gateway
    token = discord.new_bot("helper")
    await hall.connect(token)
    ann = discord.person("Ann")
    direct = discord.direct(token, ann)
    discord.say(ann, direct, "hello")
    (message,) = await gateway.heard()
    await gateway.answer(message, "x" * 2000)
    refused = await gateway.answer(message, "x" * 2001, 502)
    assert refused["errors"][0]["message"] == "has 2001 characters; discord takes 2000"
    for number in range(12):  # more than five in a window, and never too fast
        await gateway.answer(message, f"number {number}")
    assert discord.too_fast == 0
    assert len(discord.said(token, direct)) == 13
    discord.flood(direct, 1)
    assert (await gateway.answer(message, "later", 202))["status"] == "pending"
    await until(lambda: discord.said(token, direct)[-1]["content"] == "later")
    assert discord.too_fast == 1


async def test_an_answer_that_is_lost_is_no_reason_to_say_it_twice(hall: Hall) -> None:
    discord, gateway = hall.discord, hall.gateway
    token = discord.new_bot("helper")
    await hall.connect(token)
    ann = discord.person("Ann")
    direct = discord.direct(token, ann)
    discord.say(ann, direct, "hello")
    (message,) = await gateway.heard()
    discord.silent.add("POST /channels/")
    await gateway.answer(message, "once", 202)
    discord.silent.clear()
    await gateway.newest_is("delivered")
    assert [m["content"] for m in discord.said(token, direct)] == ["once"]


async def test_people_who_take_no_messages(hall: Hall) -> None:
    discord, gateway = hall.discord, hall.gateway
    token = discord.new_bot("helper")
    await hall.connect(token)
    ann = discord.person("Ann")
    discord.say(ann, discord.direct(token, ann), "hello")
    (message,) = await gateway.heard()
    ann.blocks = True
    refused = await gateway.answer(message, "there?", 502)
    assert refused["detail"] == "This person takes no direct messages from the bot (50007)"


@requirement("R-174")
async def test_no_token_lies_about(hall: Hall, tmp_path: Path) -> None:
    token = hall.discord.new_bot("helper")
    connection = await hall.connect(token)
    told = await hall.gateway.get(f"/api/connections/{connection}")
    assert token not in json.dumps(told)
    kept = await asyncio.to_thread(everything_below, tmp_path)
    assert connection.encode() in kept
    assert token.encode() not in kept


def everything_below(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def test_who_brings_a_link_is_let_in(hall: Hall) -> None:
    """On a server, by the command, though nobody else may write."""
    discord, gateway = hall.discord, hall.gateway
    token = discord.new_bot("helper")
    await hall.connect(token, access="allowlist")
    ann, bob = discord.person("Ann"), discord.person("Bob")
    general = discord.new_channel(discord.new_guild(token, "Acme", ann, bob), "general")
    url = (await gateway.post("/api/invite-link", platform="discord"))["url"]
    assert url.startswith(f"https://discord.com/users/{discord.bot(token).id}#")
    replies = discord.bot(token).replies
    for number, (person, link) in enumerate([(bob, "nonsense"), (ann, url), (bob, url)]):
        discord.command(token, person, "connect", general, link=link)
        await until(lambda n=number: len(replies) == n + 1)
    assert {reply["flags"] for reply in replies} == {64}  # seen by who asked alone
    assert {reply["content"] for reply in replies} == {"I have written to you: see your direct messages."}
    told = [[m["content"] for m in discord.said(token, discord.direct(token, one))] for one in (ann, bob)]
    assert told == [
        ["You are connected: what you write here goes to the agent."],
        ["This link has expired or was used. Ask for a new one."] * 2,
    ]
    discord.say(bob, discord.direct(token, bob), "me too")
    discord.say(ann, discord.direct(token, ann), "hello")
    (message,) = await gateway.heard()
    assert (message["sender"], message["text"]) == ("Ann", "hello")


@requirement("R-176")
async def test_the_shared_bot_is_found_by_a_link(tmp_path: Path) -> None:
    async with emulated() as (discord, url):
        token = discord.new_bot("gateway", content=False)
        app = discord.bot(token).app_id
        async with opened(tmp_path, discord, url, bot_token=token, app_id=app) as hall:
            await over_the_shared_bot(hall, token)


async def over_the_shared_bot(hall: Hall, token: str) -> None:
    discord, gateway = hall.discord, hall.gateway
    overview = await gateway.get("/api/platforms")
    link = urlsplit(str(overview["discord_invite_url"]))
    asked = parse_qs(link.query)
    assert link.path == "/oauth2/authorize"
    assert asked["client_id"] == [discord.bot(token).app_id]
    assert asked["scope"] == ["bot applications.commands"]
    permissions = int(asked["permissions"][0])
    # Connect, Speak, Send Messages, Read Message History.
    assert all(permissions >> bit & 1 for bit in (20, 21, 11, 16))
    states = (await gateway.get("/api/account"))["platforms"]
    assert states["discord"]["status"] == "available (shared bot, user account not connected)"
    ann, bob = discord.person("Ann"), discord.person("Bob")
    guild = discord.new_guild(token, "Acme", ann, bob)
    general, direct = discord.new_channel(guild, "general"), discord.direct(token, ann)
    for _ in range(2):
        discord.say(ann, direct, "anybody?")
    invited = await gateway.post("/api/invite-link", platform="discord")
    discord.command(token, ann, "connect", direct, link=invited["url"])
    await until(lambda: discord.bot(token).replies)
    assert "You are connected" in discord.bot(token).replies[0]["content"]
    (turned_away,) = discord.said(token, direct)  # once
    assert "Ask whoever runs yours for a link" in turned_away["content"]
    first = discord.say(ann, direct, "hello")
    discord.say(bob, general, f"<@{discord.bot(token).id}> and me?")
    discord.say(ann, general, "to nobody")
    discord.say(ann, general, f"<@{discord.bot(token).id}> on a server")
    heard = await gateway.heard(2)
    assert [(m["text"], m["sender"]) for m in heard] == [("hello", "Ann"), ("@gateway on a server", "Ann")]
    for message in heard:
        await gateway.answer(message, f"I heard {message['text']}")
    assert len(discord.said(token, direct)) == 2
    assert len(discord.said(token, general)) == 1
    discord.edit(direct, first, "hello, corrected")
    discord.react(ann, direct, discord.said(token, direct)[1]["id"], "\U0001f389")

    async def told() -> bool:
        messages = [m for one in await gateway.conversations() for m in one["messages"]]
        corrected = any(m["text"] == "hello, corrected" for m in messages)
        return corrected and any(m.get("reactions") for m in messages)

    await eventually(told)
    discord.delete(direct, first)

    async def gone() -> bool:
        return "deleted" in [m["status"] for m in await gateway.heard(2)]

    await eventually(gone)
    assert (await gateway.get("/api/account"))["platforms"]["discord"]["status"] == "ok"


async def test_the_test_button_writes_to_the_operator(hall: Hall) -> None:
    discord, gateway = hall.discord, hall.gateway
    token = discord.new_bot("helper")
    connection = await hall.connect(token)
    ann = discord.person("Ann")
    direct = discord.direct(token, ann)
    discord.say(ann, direct, "hello")
    (message,) = await gateway.heard()
    await gateway.post("/api/operator", conversation_id=message["conversation_id"])
    path = f"/api/connections/{connection}/test"
    assert await gateway.post(path) == {"status": "ok", "name": "@helper", "sent": True}
    assert "the connection works" in discord.said(token, direct)[-1]["content"]
    ann.blocks = True
    refused = await gateway.post(path, 502)
    assert refused["detail"] == "This person takes no direct messages from the bot (50007)"


async def test_there_are_no_calls_yet(hall: Hall) -> None:
    await hall.connect(hall.discord.new_bot("helper"))
    about = (await hall.gateway.get("/api/account"))["platforms"]["discord"]
    assert about["capabilities"] == ["read", "write", "typing", "files"]
    refused = await hall.gateway.post("/api/call", 501, platform="discord")
    assert refused["detail"] == "discord has no calls"
