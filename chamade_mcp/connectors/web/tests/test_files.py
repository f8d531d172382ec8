"""Uploads: streamed, capped, and usable by their uploader alone."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from chamade_mcp.connectors.web.tests.harness import Page, World, eventually
from chamade_mcp.connectors.web.tests.test_leg import agent, person
from chamade_mcp.model.errors import Unavailable
from chamade_mcp.model.facts import ChatPosted


async def upload(world: World, token: str, secret: str | None, **request: Any) -> httpx2.Response:
    headers = {"X-Guest": secret} if secret is not None else {}
    headers |= request.pop("headers", {})
    if not request:
        request = {"files": {"file": ("a.txt", b"hello", "text/plain")}}
    async with httpx2.AsyncClient(trust_env=False) as client:
        return await client.post(world.files_url(token), headers=headers, **request)


def problem(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["code"]


async def test_an_uploaded_file_goes_with_a_message(world: World) -> None:
    token = await world.room()
    async with person(world, token) as ann, agent(world, token):
        body = bytes(range(256)) * 300
        answer = await upload(
            world, token, ann.secret, files={"file": ("..\\x/Zürich \u202e.png", body, "image/png")}
        )
        assert answer.status_code == 201
        file = answer.json()
        assert (file["name"], file["mime"], file["size"]) == (
            "Zürich .png",
            "image/png",
            len(body),
        )
        assert world.files.saved[file["file_id"]] == body
        await ann.say("chat", key="1", text="", attachments=[file["file_id"]])
        shown = (await ann.expect("chat"))["message"]
        del file["file_id"]
        assert shown["attachments"] == [file]
        await ann.expect("ack")
        [posted] = world.core.of(ChatPosted)
        assert [a.url for a in posted.attachments] == [file["url"]]


async def test_a_file_belongs_to_its_uploader(world: World) -> None:
    token = await world.room()
    async with person(world, token, "Ann") as ann, person(world, token, "Ben") as ben:
        file_id = (await upload(world, token, ann.secret)).json()["file_id"]
        await ben.say("chat", key="1", text="mine", attachments=[file_id])
        error = await ben.expect("error")
        assert (error["code"], error["key"]) == ("UNKNOWN_FILE", "1")
        assert await ann.until_ping("chat") == []


async def test_who_may_upload(world: World) -> None:
    token, other = await world.room(), await world.room()
    async with person(world, token) as ann:
        assert problem(await upload(world, token, None)) == (401, "INVALID_GUEST")
        assert problem(await upload(world, token, "guest_x.y")) == (401, "INVALID_GUEST")
        assert problem(await upload(world, other, ann.secret)) == (401, "INVALID_GUEST")
        assert problem(await upload(world, "unknown", ann.secret)) == (404, "LINK_NOT_FOUND")
        foreign = {"headers": {"Origin": "https://evil.example"}, "content": b""}
        assert problem(await upload(world, token, ann.secret, **foreign)) == (403, "FOREIGN_ORIGIN")
        world.invites.revoke(token)
        assert problem(await upload(world, token, ann.secret)) == (404, "LINK_NOT_FOUND")


FORM = {"Content-Type": "multipart/form-data; boundary=xyz"}
NO_BOUNDARY = {"Content-Type": "multipart/form-data"}
LONG_BOUNDARY = {"Content-Type": "multipart/form-data; boundary=" + "x" * 500}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"content": b"hello"}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        ({"json": {"file": "hello"}}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        ({"content": b"x", "headers": NO_BOUNDARY}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        ({"content": b"x", "headers": LONG_BOUNDARY}, (415, "UNSUPPORTED_MEDIA_TYPE")),
        ({"content": b"no form at all", "headers": FORM}, (400, "INVALID_MULTIPART")),
        ({"content": b"", "headers": FORM}, (400, "INVALID_MULTIPART")),
        ({"files": {"picture": ("a.txt", b"hello", "text/plain")}}, (422, "VALIDATION_FAILED")),
        (
            {"content": b'--xyz\r\nContent-Disposition: form-data; name="file"\r\n\r\nhalf', "headers": FORM},
            (400, "INVALID_MULTIPART"),
        ),
        (
            {"content": b"--xyz\r\n" + b"A" * 20_000 + b": x\r\n\r\nhalf", "headers": FORM},
            (400, "INVALID_MULTIPART"),
        ),
    ],
)  # fmt: skip
async def test_what_is_no_such_form(
    world: World, request_: dict[str, Any], expected: tuple[int, str]
) -> None:
    token = await world.room()
    async with person(world, token) as ann:
        assert problem(await upload(world, token, ann.secret, **dict(request_))) == expected
        assert world.files.saved == {}


async def test_other_fields_are_passed_over(world: World) -> None:
    body = (
        b'--xyz\r\nContent-Disposition: form-data; name="note"\r\n\r\nnot me\r\n'
        b'--xyz\r\nContent-Disposition: form-data; name="file"; filename=""\r\n'
        b"Content-Type: nonsense\r\n\r\nme\r\n--xyz--\r\n"
    )
    token = await world.room()
    async with person(world, token) as ann:
        answer = await upload(world, token, ann.secret, content=body, headers=FORM)
        assert (answer.json()["name"], answer.json()["mime"]) == ("file", "application/octet-stream")
        assert list(world.files.saved.values()) == [b"me"]


async def test_the_cap_bites_at_once_and_is_told(world: World) -> None:
    token = await world.room()
    async with person(world, token) as ann:
        big = {"file": ("big.bin", bytes(300_000), "application/octet-stream")}
        answer = await upload(world, token, ann.secret, files=big)
        assert problem(answer) == (413, "FILE_TOO_LARGE")
        assert world.files.read_bytes < world.files.max_bytes + 70_000


async def test_an_upload_that_breaks_off_leaves_nothing(world: World) -> None:
    token = await world.room()
    async with person(world, token) as ann:
        started = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b'--xyz\r\nContent-Disposition: form-data; name="file"; filename="b"\r\n\r\nhalf'
            started.set()
            await asyncio.Event().wait()

        sending = asyncio.create_task(upload(world, token, ann.secret, content=body(), headers=FORM))
        await started.wait()
        await eventually(lambda: world.files.read_bytes == 4)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        assert await still_served(ann)
        assert world.files.saved == {}


async def still_served(page: Page) -> bool:
    return await page.until_ping("error") == []


async def test_too_many_uploads_wait(world: World) -> None:
    token = await world.room()
    async with person(world, token) as ann:
        for _ in range(20):
            assert (await upload(world, token, ann.secret)).status_code == 201
        answer = await upload(world, token, ann.secret)
        assert problem(answer) == (429, "RATE_LIMITED")
        assert answer.headers["retry-after"] == "60"
        world.clock.advance(60)
        assert (await upload(world, token, ann.secret)).status_code == 201


async def test_other_methods_and_paths_are_problems_too(world: World) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:
        url = world.files_url(await world.room())
        assert problem(await client.get(url)) == (405, "METHOD_NOT_ALLOWED")
        assert problem(await client.get(url + "/x")) == (404, "NOT_FOUND")


async def test_a_broken_store_is_our_fault_and_told_as_such(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    token = await world.room()
    async with person(world, token) as ann:
        world.files.refused = RuntimeError("disk full")
        assert problem(await upload(world, token, ann.secret)) == (500, "INTERNAL")
        assert "disk full" in caplog.text
        world.files.refused = Unavailable("The disk is busy", retry_after=3)
        answer = await upload(world, token, ann.secret)
        assert problem(answer) == (503, "UNAVAILABLE")
        assert answer.headers["retry-after"] == "3"
