"""Files on Microsoft Teams, behind their switch: what people send, and what they are offered."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx2
import pytest

from tests.support.requirement import requirement
from tests.support.teams import Office, office
from tests.support.waiting import until

PNG = b"\x89PNG\r\n\x1a\n" + bytes(200)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncGenerator[Office]:
    async with office(tmp_path) as it:
        yield it


@pytest.fixture
async def letting(tmp_path: Path) -> AsyncGenerator[Office]:
    """Files through."""
    async with office(tmp_path, files_enable="true") as it:
        yield it


async def test_files_are_off_until_they_are_let_through(here: Office) -> None:
    teams, gateway = here.teams, here.gateway
    helper = teams.new_bot()
    await here.connect(helper)
    told = (await gateway.get("/api/account"))["platforms"]["teams"]
    assert told["files"] is False
    assert "files" not in told["capabilities"]
    teams.send_file(helper, teams.person("Ann"), "cat.png", PNG)
    (message,) = await gateway.heard()
    assert (message["text"], message["attachments"]) == (
        "[cat.png: files on Teams are off on this gateway]",
        [],
    )
    hello = {"bytes_b64": "aGVsbG8=", "name": "h.txt", "mime": "text/plain"}
    refused = await gateway.answer(message, "yours", 400, attachments=[hello])
    assert refused["code"] == "CAPABILITY_MISSING"
    assert teams.calls["file"] == 0


@requirement("R-157", "R-159")
async def test_files_go_both_ways(letting: Office) -> None:
    teams, gateway = letting.teams, letting.gateway
    helper = teams.new_bot()
    await letting.connect(helper)
    told = (await gateway.get("/api/account"))["platforms"]["teams"]
    assert told["files"] is True
    assert "files" in told["capabilities"]
    ann = teams.person("Ann")
    direct = teams.direct(helper, ann)
    teams.send_file(helper, ann, "cat.png", PNG, text="look")
    teams.paste(helper, ann, "pasted", PNG)
    teams.send_file(helper, ann, "far.txt", b"x", url="https://files.example.org/far.txt")
    teams.send_file(helper, ann, "inner.txt", b"x", url="http://169.254.169.254/inner.txt")
    heard = await gateway.heard(4)
    assert [m["text"] for m in heard] == [
        *("look", "look", "[far.txt: it could not be fetched]", "[inner.txt: it could not be fetched]"),
    ]
    files = [m["attachments"][0] for m in heard[:2]]
    assert [(f["name"], f["mime"]) for f in files] == [("cat.png", "image/png"), ("picture.png", "image/png")]
    async with httpx2.AsyncClient() as anybody:
        for file in files:
            assert (await anybody.get(file["url"])).content == PNG
    big = {"bytes_b64": "aGVsbG8=", "name": "h\u00e9 llo.txt", "mime": "text/plain"}
    await gateway.answer(heard[0], "yours", attachments=[{"url": files[0]["url"]}, big])
    await until(lambda: len(teams.said(direct)) == 3)
    text, picture, offer = teams.said(direct)
    assert text["text"] == "yours"
    assert picture["attachments"][0]["contentUrl"].startswith("data:image/png;base64,iVBORw0KGgo")
    assert (offer["attachments"][0]["name"], offer["attachments"][0]["content"]["sizeInBytes"]) == (
        "h\u00e9 llo.txt",
        5,
    )
    await gateway.newest_is("sent")
    for _ in range(2):  # Teams may ask twice
        teams.answer_offer(helper, ann, offer)
    await until(lambda: "h\u00e9 llo.txt" in teams.files)
    assert teams.files["h\u00e9 llo.txt"] == b"hello"
    await until(lambda: teams.said(direct)[-1]["attachments"][0]["contentType"].endswith("file.info"))
    await until(lambda: len(teams.said(direct)) == 3)  # the offer is gone
    await gateway.newest_is("delivered")


async def test_what_is_offered_may_be_declined_or_tampered_with(letting: Office) -> None:
    teams, gateway = letting.teams, letting.gateway
    helper = teams.new_bot()
    await letting.connect(helper)
    ann, bob = teams.person("Ann"), teams.person("Bob")
    direct = teams.direct(helper, ann)
    teams.write(helper, ann, "hello")
    (message,) = await gateway.heard()
    hello = {"bytes_b64": "aGVsbG8=", "name": "h.txt", "mime": "text/plain"}
    await gateway.answer(message, "", attachments=[hello])
    await until(lambda: teams.said(direct))
    (offer,) = teams.said(direct)
    teams.answer_offer(helper, bob, offer)  # it was none of his
    forged = json.loads(json.dumps(offer))
    forged["attachments"][0]["content"]["acceptContext"]["offer"] = "AAAA"
    teams.answer_offer(helper, ann, forged)
    teams.invoke(helper, ann, "fileConsent/invoke", ["x"])
    teams.invoke(helper, ann, "composeExtension/query", {})
    await until(lambda: len(teams.bot(helper).answers) == 5)
    assert [status for status, _ in teams.bot(helper).answers] == [200, 200, 200, 200, 501]
    await gateway.newest_is("sent")
    assert teams.calls["file"] == 0
    teams.answer_offer(helper, ann, offer, url="https://evil.example.org/upload")

    await gateway.newest_is("failed")
    assert teams.calls["file"] == 0


async def test_in_groups_a_file_is_a_link(letting: Office) -> None:
    teams, gateway = letting.teams, letting.gateway
    helper = teams.new_bot()
    await letting.connect(helper)
    group = teams.group(helper)
    teams.write(helper, teams.person("Ann"), "hello", chat=group)
    (message,) = await gateway.heard()
    hello = {"bytes_b64": "aGVsbG8=", "name": "h [1].txt", "mime": "text/plain"}
    await gateway.answer(message, "", attachments=[hello])
    await until(lambda: teams.said(group))
    label, _, url = teams.said(group)[0]["text"].removesuffix(")").partition("](")
    assert label == "[h \\[1\\].txt"
    async with httpx2.AsyncClient() as anybody:
        assert (await anybody.get(url)).content == b"hello"
