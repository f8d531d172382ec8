"""Microsoft Teams: people write, the agent answers, over the emulated Bot Connector."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from chamade_mcp.connectors.teams.emulated_world import Refusal
from tests.support.hosted import corrected_and_reacted, eventually
from tests.support.requirement import requirement
from tests.support.teams import Office, office
from tests.support.waiting import until


@pytest.fixture
async def here(tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(tmp_path) as it:
        yield it


async def test_a_stranger_asks_and_is_let_in(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper = teams.new_bot()
    connection = await here.connect(helper, access="pairing")
    ann = teams.person("Ann Lee")
    direct = teams.direct(helper, ann)
    teams.write(helper, ann, "hello?")
    await until(lambda: teams.said(direct))
    assert await gateway.conversations() == []
    (asking,) = (await gateway.get("/api/pairings"))["pairings"]
    assert asking["code"] in teams.said(direct)[0]["text"]
    await gateway.post(f"/api/pairings/{asking['id']}/approve")
    teams.write(helper, ann, "1 < 2 &amp; h\u00e9llo")
    (message,) = await gateway.heard()
    assert (message["text"], message["sender"]) == ("1 < 2 &amp; h\u00e9llo", "Ann Lee")
    await gateway.answer(message, "**Hi** <at>Ann</at> & co: [docs](https://example.org/)")
    said = teams.said(direct)[-1]
    assert said["text"] == "**Hi** &lt;at>Ann&lt;/at> &amp; co: [docs](https://example.org/)"
    assert said["textFormat"] == "markdown"
    assert (await gateway.post(f"/api/connections/{connection}/test"))["name"] == "helper"


async def test_a_message_is_answered_changed_and_taken_back(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper = teams.new_bot()
    await here.connect(helper)
    ann = teams.person("Ann")
    direct = teams.direct(helper, ann)
    first = teams.write(helper, ann, "first")
    (message,) = await gateway.heard()
    typing = {name: message[name] for name in ("platform", "conversation_id")}
    before = direct.typing
    assert await gateway.post("/api/dm/typing", **typing) == {"status": "ok"}
    assert direct.typing > before
    sent = await gateway.answer(message, "answer", reply_to=message["id"])
    (said,) = teams.said(direct)
    assert said["text"] == f'<quoted messageId="{first}"/> answer'
    path = f"/api/messages/{sent['message_id']}"
    for _ in range(2):  # the same again is harmless
        changed = await gateway.api.patch(path, json={"text": "a *better* answer"})
        assert changed.status_code == 200, changed.text
    assert teams.said(direct)[0]["text"] == "a *better* answer"
    await gateway.post(f"/api/messages/{message['id']}/react", emoji="\u2705")
    assert direct.log[0]["reactions"] == {"2705_whiteheavycheckmark"}
    await gateway.post(f"/api/messages/{message['id']}/react", emoji="\u2705", remove=True)
    assert direct.log[0]["reactions"] == set()
    refused = await gateway.post(f"/api/messages/{message['id']}/react", 502, emoji="\U0001f9ff")
    assert "\U0001f680" in refused["detail"]
    teams.edit(helper, ann, first, "first, corrected")
    teams.react(helper, ann, teams.said(direct)[0]["id"], added="1f389_partypopper")
    _, answer = await gateway.shows(corrected_and_reacted)
    assert answer["reactions"] == [{"emoji": "\U0001f389", "sender": "Ann"}]
    teams.react(helper, ann, teams.said(direct)[0]["id"], removed="1f389_partypopper")
    teams.delete(helper, ann, first)
    assert (await gateway.api.delete(path)).status_code == 200
    assert teams.said(direct) == []

    async def gone() -> bool:
        (one,) = await gateway.conversations()
        return not any(m["text"] or m.get("reactions") for m in one["messages"])

    await eventually(gone)


async def test_what_is_quoted_may_be_gone(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper = teams.new_bot()
    await here.connect(helper)
    ann = teams.person("Ann")
    direct = teams.direct(helper, ann)
    ref = teams.write(helper, ann, "first")
    (message,) = await gateway.heard()
    direct.log[0]["gone"] = True
    await gateway.answer(message, "answer", reply_to=message["id"])
    assert [one["text"] for one in teams.said(direct)] == ["answer"]
    quote = {"type": "quotedReply", "quotedReply": {"messageId": teams.said(direct)[0]["id"], "preview": "a"}}
    teams.write(helper, ann, f'<quoted messageId="{ref}"/> thanks', entities=[quote])
    heard = await gateway.heard(2)
    (conversation,) = await gateway.conversations()
    assert heard[1]["text"] == "thanks"
    assert heard[1]["reply_to"] == conversation["messages"][1]["id"]


async def test_channels_threads_and_mentions(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper = teams.new_bot()
    await here.connect(helper)
    ann, bob = teams.person("Ann"), teams.person("Bob")
    general = teams.channel(helper, "Sales", "General")
    group = teams.group(helper, "Lunch")
    post = teams.write(helper, ann, "what is new?", chat=general)
    await gateway.heard()
    carl = {"type": "mention", "mentioned": {"id": "29:carl", "name": "Carl"}, "text": "<at>Carl</at>"}
    teams.write(helper, bob, "ask <at>Carl</at>", chat=general, thread=post, entities=[carl])
    await gateway.heard(2)
    teams.write(helper, bob, "pizza?", chat=group)
    heard = await gateway.heard(3)
    assert [(m["text"], m.get("mentions_me", False), m.get("thread")) for m in heard] == [
        ("what is new?", True, post),
        ("ask @Carl", False, post),
        ("pizza?", True, None),
    ]
    assert [m["remote_name"] for m in heard] == ["Sales / General", "Sales / General", "Lunch"]
    assert heard[0]["conversation_id"] == heard[1]["conversation_id"] != heard[2]["conversation_id"]
    assert teams.calls["team"] == 2  # once for both messages
    await gateway.answer(heard[1], "in the thread", reply_to=heard[1]["id"])
    sent = await gateway.answer(heard[0], "a post of its own")
    await gateway.answer(heard[2], "yes")
    below, own = teams.said(general)
    assert (below["text"], below["thread"]) == ("in the thread", post)
    assert (own["text"], own["thread"]) == ("a post of its own", own["id"])
    assert [one["text"] for one in teams.said(group)] == ["yes"]
    changed = await gateway.api.patch(f"/api/messages/{sent['message_id']}", json={"text": "changed"})
    assert changed.status_code == 200, changed.text
    assert teams.said(general)[1]["text"] == "changed"
    teams.uninstall(general, helper)
    refused = await gateway.answer(heard[0], "still there?", 502)
    assert "not part of the conversation roster" in refused["detail"]


async def test_the_platforms_limits_are_kept(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper = teams.new_bot()
    await here.connect(helper)
    ann = teams.person("Ann")
    direct = teams.direct(helper, ann)
    teams.write(helper, ann, "hello")
    (message,) = await gateway.heard()
    for number in range(6):
        await gateway.answer(message, f"{number}")
    assert [one["text"] for one in teams.said(direct)] == [str(number) for number in range(6)]
    throttled = Refusal(429, "Throttled", "Too many requests.", {"retry-after": "1"})
    teams.next_errors += [throttled, Refusal(412, "PreconditionFailed", "try again")]
    await gateway.answer(message, "later", 202)
    await until(lambda: len(teams.said(direct)) == 7, bound_s=20)
    assert teams.said(direct)[-1]["text"] == "later"
    teams.next_errors.append(Refusal(504, "GatewayTimeout", "no answer"))
    unknown = await gateway.answer(message, "perhaps", 502)
    assert unknown["outcome"] == "unknown"
    teams.next_errors.append(Refusal(403, "MessageWritesBlocked", "The user has blocked the bot."))
    blocked = await gateway.answer(message, "hello?", 502)
    assert blocked["detail"] == "The user has blocked the bot."


async def test_an_outage_passes(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper = teams.new_bot()
    await here.connect(helper)
    ann = teams.person("Ann")
    direct = teams.direct(helper, ann)
    teams.write(helper, ann, "hello")
    (message,) = await gateway.heard()
    teams.down = True
    await gateway.answer(message, "still here", 202)
    teams.down = False
    await until(lambda: teams.said(direct), bound_s=20)
    assert [one["text"] for one in teams.said(direct)] == ["still here"]


@requirement("R-267")
async def test_text_is_counted_in_utf16(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper = teams.new_bot()
    await here.connect(helper)
    ann = teams.person("Ann")
    direct = teams.direct(helper, ann)
    teams.write(helper, ann, "hello")
    (message,) = await gateway.heard()
    await gateway.answer(message, "\U0001f600" * 10_000)
    assert len(teams.said(direct)[0]["text"].encode("utf-16-le")) == 40_000
    refused = await gateway.answer(message, "<" * 7_001, 502)
    assert refused["errors"][0]["message"] == "has 28004 UTF-16 units; teams takes 28000"
    await gateway.answer(message, "<" * 7_000)
    assert teams.said(direct)[1]["text"] == "&lt;" * 7_000


async def test_tables_and_code_are_cards(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper = teams.new_bot()
    await here.connect(helper)
    ann = teams.person("Ann")
    direct = teams.direct(helper, ann)
    teams.write(helper, ann, "hello")
    (message,) = await gateway.heard()
    table = "# Sales\n\n| who | what |\n|---|---|\n| **Ann** | 1 |\n"
    sent = await gateway.answer(message, table)
    (said,) = teams.said(direct)
    assert (said["summary"], "text" in said) == ("Sales", False)
    (card,) = said["attachments"]
    assert [element["type"] for element in card["content"]["body"]] == ["RichTextBlock", "Table"]
    path = f"/api/messages/{sent['message_id']}"
    assert (await gateway.api.patch(path, json={"text": "just words"})).status_code == 200
    assert (teams.said(direct)[0]["text"], "attachments" in teams.said(direct)[0]) == ("just words", False)
    # A Teams that does not know cards takes the same as text.
    teams.api.refused_cards = True
    await gateway.answer(message, table)
    assert teams.said(direct)[1]["text"].startswith("**Sales**\n\n```\nwho | what")
    assert (await gateway.api.patch(path, json={"text": table})).status_code == 200
    assert teams.said(direct)[0]["text"].startswith("**Sales**")


async def test_a_link_that_has_heard_nothing_yet_answers(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper = teams.new_bot()
    connection = await here.connect(helper)
    ann = teams.person("Ann")
    channel = teams.channel(helper, "Sales", "General")
    teams.write(helper, ann, "hello")
    await gateway.heard()
    teams.write(helper, ann, "hello all", chat=channel)
    heard = await gateway.heard(2)
    again = {"bot_token": teams.bot(helper).secret}
    opened = await gateway.api.patch(f"/api/connections/{connection}", json=again)
    assert opened.status_code == 200, opened.text
    await gateway.state(connection, "ok")
    for message in heard:
        await gateway.answer(message, "good morning")
    assert [one["text"] for one in teams.said(teams.direct(helper, ann))] == ["good morning"]
    assert [one["text"] for one in teams.said(channel)] == ["good morning"]


async def test_a_channel_whose_name_is_not_told_is_heard_all_the_same(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper = teams.new_bot()
    await here.connect(helper)
    plans = teams.channel(helper, "Sales", "Plans")
    teams.next_errors.append(Refusal(403, "ForbiddenOperationException", "not allowed"))
    teams.write(helper, teams.person("Ann"), "hello", chat=plans)
    (message,) = await gateway.heard()
    assert message["text"] == "hello"
    await gateway.answer(message, "hi", reply_to=message["id"])
    assert teams.said(plans)[0]["text"] == "hi"
