"""Activities of Teams, read: vectors as Microsoft's documents and libraries show them."""

import json
from typing import Any

import pytest

from chamade_mcp.connectors.teams.wire import (
    Account,
    Activity,
    Unreadable,
    in_thread,
    read_activity,
    read_consent,
)

BOT = "28:11111111-1111-1111-1111-111111111111"
TENANT = "72f988bf-0000-41af-91ab-2d7cd011db47"
PERSONAL: dict[str, Any] = {
    "type": "message",
    "id": "1485983408511",
    "timestamp": "2017-02-01T21:10:07.437Z",
    "localTimestamp": "2017-02-01T14:10:07.437-07:00",
    "channelId": "msteams",
    "serviceUrl": "https://smba.trafficmanager.net/amer/",
    "from": {"id": "29:1XJKJMvc5GBtc2", "name": "Megan Bowen", "aadObjectId": "7faf8ff2"},
    "conversation": {"conversationType": "personal", "id": "a:17I0kl8EkpE1O9PH5TWrz", "tenantId": TENANT},
    "recipient": {"id": BOT, "name": "Helper"},
    "textFormat": "plain",
    "text": "Hello Teams",
    "entities": [{"locale": "en-US", "country": "US", "platform": "Windows", "type": "clientInfo"}],
    "channelData": {"tenant": {"id": TENANT}},
}
CHANNEL = {
    "isGroup": True,
    "conversationType": "channel",
    "id": "19:253b1f341670408fb@thread.tacv2;messageid=1481567603816",
}
NAMED = {"channel": {"id": "19:1@thread.tacv2", "name": "Plans"}, "team": {"id": "19:2@thread.tacv2"}}


def activity(**changes: Any) -> Activity:
    return read_activity(json.dumps({**PERSONAL, **changes}).encode())


def mention(ref: str, name: str, text: str = "") -> dict[str, Any]:
    mentioned = {"id": ref, "name": name}
    return {"type": "mention", "mentioned": mentioned, "text": text or f"<at>{name}</at>"}


def test_a_message_to_the_bot_alone() -> None:
    told = activity()
    assert told.from_ is not None
    assert (told.from_.person, told.from_.name) == ("7faf8ff2", "Megan Bowen")
    assert activity(**{"from": {"id": "29:1"}}).from_ == Account(id="29:1")
    assert (told.place, told.thread, told.group) == ("a:17I0kl8EkpE1O9PH5TWrz", "", None)
    assert (told.said(BOT), told.mentions(BOT), told.quotes, told.tenant) == (
        "Hello Teams",
        False,
        "",
        TENANT,
    )
    assert told.timestamp is not None
    assert told.timestamp.isoformat() == "2017-02-01T21:10:07.437000+00:00"


def test_a_message_in_a_channel() -> None:
    entities = [mention(BOT, "Helper"), mention("29:2", "A & B", "<at>A &amp; B</at>")]
    told = activity(
        text="<at>Helper</at>\xa0ask  <at>A &amp; B</at>\nnow ",
        conversation=CHANNEL,
        entities=entities,
        channelData={**NAMED, "tenant": {"id": "t"}},
        replyToId="1481567603816",
    )
    assert told.said(BOT) == "ask @A & B\nnow"
    assert told.mentions(BOT)
    assert (told.place, told.thread) == ("19:253b1f341670408fb@thread.tacv2", "1481567603816")
    assert (told.group, told.quotes, told.tenant) == ("Plans", "", "t")
    assert in_thread(told.place, told.thread) == CHANNEL["id"]


@pytest.mark.parametrize(
    ("text", "entities", "said"),
    [
        ("<at>Helper</at> a <at>Helper</at>", [mention(BOT, "Helper")], "a Helper"),
        ('<at id="0">Helper</at> x', [mention(BOT, "Helper", '<at id="0">Helper</at>')], "x"),
        ("<at>Nobody</at> x", [], "Nobody x"),
        ("a <b> & <atom> c", [], "a <b> & <atom> c"),
        ('<quoted messageId="1"/> thanks', [], "thanks"),
        ("", [], ""),
        ("  a\n\n\tb  ", [], "a\n\nb"),
    ],
)
def test_names_are_left_out(text: str, entities: list[Any], said: str) -> None:
    assert activity(text=text, entities=entities).said(BOT) == said


def test_groups() -> None:
    group = {"conversationType": "groupChat", "id": "19:1@thread.v2", "isGroup": True}
    assert activity(conversation=group).group == ""
    assert activity(conversation={**group, "name": "Lunch"}).group == "Lunch"
    team = {"channelData": {**NAMED, "team": {"id": "19:2", "name": "Sales"}}}
    assert activity(conversation=CHANNEL, **team).group == "Sales / Plans"
    assert activity(conversation=CHANNEL, channelData=None).group == ""


def test_what_is_quoted() -> None:
    quote = {"type": "quotedReply", "quotedReply": {"messageId": "1", "preview": "x"}}
    assert activity(entities=[quote]).quotes == "1"
    html = (
        '<blockquote itemscope="" itemtype="http://schema.skype.com/Reply" itemid="1668123456789">\r\n'
        '<strong itemprop="mri" itemid="29:1">A</strong></blockquote><p>b</p>'
    )
    mirror = {"contentType": "text/html", "content": html}
    assert activity(attachments=[mirror]).quotes == "1668123456789"
    reference = {"contentType": "messageReference", "content": {"messageId": "9", "messageType": "RichText"}}
    assert activity(attachments=[reference]).quotes == "9"
    assert activity(replyToId="7").quotes == "7"


def test_files() -> None:
    content = {"downloadUrl": "https://x.sharepoint.com/d?t=1", "uniqueId": "u", "fileType": "txt"}
    kind = "application/vnd.microsoft.teams.file.download.info"
    file, picture, mirror = activity(
        attachments=[
            {"contentType": kind, "contentUrl": "https://x/y", "name": "a.txt", "content": content},
            {
                "contentType": "image/*",
                "contentUrl": "https://smba.trafficmanager.net/amer/v3/attachments/0-1",
            },
            {"contentType": "text/html", "content": "<div>a</div>"},
            "rubbish",
            None,
        ]
    ).attachments
    assert (file.name, file.download_url, file.picture) == ("a.txt", content["downloadUrl"], False)
    assert (picture.download_url, picture.picture) == ("", True)
    assert (mirror.download_url, mirror.picture, mirror.quoted) == ("", False, "")


def test_reactions_and_members() -> None:
    told = activity(
        type="messageReaction",
        replyToId="5",
        reactionsAdded=[{"type": "like"}, {"type": ""}, 3],
        reactionsRemoved=[{"type": "heart"}],
        membersAdded=[{"id": BOT}, {}],
    )
    assert (told.added, told.removed, told.reply_to_id) == (["like"], ["heart"], "5")
    assert [one.id for one in told.members_added] == [BOT]


def test_an_answer_to_an_offer() -> None:
    upload = {"uploadUrl": "https://x.sharepoint.com/u", "name": "a.txt", "uniqueId": "u", "fileType": "txt"}
    consent = read_consent({"action": "accept", "context": {"offer": "x"}, "uploadInfo": upload})
    assert consent.upload_info is not None
    assert (consent.action, consent.upload_info.upload_url) == ("accept", upload["uploadUrl"])
    with pytest.raises(Unreadable):
        read_consent([1])


@pytest.mark.parametrize("stamp", ["", "yesterday", 12, None, "0001-01-01T00:00:00+14:00"])
def test_a_time_that_is_none_is_unknown(stamp: object) -> None:
    assert activity(timestamp=stamp).timestamp is None


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"[]", b"null", b"{}", b"\xff", b'{"type": "message"}'),
        b'{"type": "message", "conversation": {"id": ""}}',
        b'{"type": "message", "conversation": {"id": "' + b"x" * 200 + b'"}}',
        b'{"type": 1, "conversation": {"id": "1"}}',
    ],
)
def test_what_is_no_activity(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read_activity(raw)
