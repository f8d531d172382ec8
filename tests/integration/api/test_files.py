"""Files over REST, as the contract has them."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from chamade_mcp.kit.multipart import OVERHEAD_BYTES
from tests.integration.api.conftest import FILE_CAP, PASSWORD, House, client_of
from tests.support.problems import assert_problem
from tests.support.requirement import requirement


@requirement("R-012", "R-122", "R-126", "R-137", "R-138")
async def test_a_file_goes_in_and_out(api: httpx2.AsyncClient, nobody: httpx2.AsyncClient) -> None:
    body = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 100
    file = (await api.post("/api/files", files={"file": ("naïve.png", body, "image/png")})).json()
    assert file.keys() >= {"file_id", "url", "name", "mime", "size", "expires_at"}
    assert (file["name"], file["mime"], file["size"]) == ("naïve.png", "image/png", len(body))
    served = await nobody.get(file["url"])
    assert served.content == body
    assert served.headers["content-type"] == "image/png"
    told = "inline; filename=\"na_ve.png\"; filename*=UTF-8''na%C3%AFve.png"
    assert served.headers["content-disposition"] == told
    assert served.headers["x-content-type-options"] == "nosniff"
    assert "sandbox; default-src 'none'" in served.headers["content-security-policy"]
    assert served.headers["cross-origin-resource-policy"] == "same-origin"
    assert served.headers["cache-control"].startswith("private")
    head = await nobody.head(file["url"])
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(body)))
    part = await nobody.get(file["url"], headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, body[10:20])


@pytest.mark.parametrize("fields_first", [True, False])
async def test_the_name_may_stand_before_or_after_the_file(
    api: httpx2.AsyncClient, fields_first: bool
) -> None:
    name = b'--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nreport.pdf\r\n'
    mime = b'--b\r\nContent-Disposition: form-data; name="mime"\r\n\r\napplication/pdf\r\n'
    file = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nabc\r\n'
    whole = (name + mime + file if fields_first else file + name + mime) + b"--b--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    made = (await api.post("/api/files", content=whole, headers=headers)).json()
    assert (made["name"], made["mime"], made["size"]) == ("report.pdf", "application/pdf", 3)


@requirement("R-124", "R-125")
async def test_a_file_as_json(api: httpx2.AsyncClient) -> None:
    data = {"bytes_b64": base64.b64encode(b"abc").decode(), "name": "a.txt", "mime": "text/plain"}
    assert (await api.post("/api/files", json=data)).json()["size"] == 3
    for body in ({}, {"url": "https://example.org/x", **data}):
        answer = await api.post("/api/files", json=body)
        assert_problem(answer, 400, "ONE_SOURCE_REQUIRED", detail="Provide exactly one of url or bytes_b64")
    without = await api.post("/api/files", json={"bytes_b64": "aGk="})
    assert_problem(without, 422, "VALIDATION_FAILED", field="mime")
    broken = await api.post("/api/files", json={**data, "bytes_b64": "!!!!"})
    assert_problem(broken, 422, "VALIDATION_FAILED", field="bytes_b64")
    for field in data:
        wrong = await api.post("/api/files", json={**data, field: 5})
        assert_problem(wrong, 422, "VALIDATION_FAILED", field=field)
    assert_problem(await api.post("/api/files"), 422, "VALIDATION_FAILED", field="body")
    assert_problem(await api.post("/api/files", content=b"x"), 415, "UNSUPPORTED_MEDIA_TYPE")


@requirement("R-130", "R-131")
async def test_the_cap_of_a_file(api: httpx2.AsyncClient) -> None:
    exactly = await api.post("/api/files", files={"file": ("a", b"x" * FILE_CAP)})
    assert exactly.json()["size"] == FILE_CAP
    over = {"file": ("a", b"x" * (FILE_CAP + 1))}
    detail = f"File exceeds max size ({FILE_CAP} bytes)"
    assert_problem(await api.post("/api/files", files=over), 413, "FILE_TOO_LARGE", detail=detail)
    encoded = base64.b64encode(b"x" * (FILE_CAP + 1)).decode()
    as_json = {"bytes_b64": encoded, "name": "a", "mime": "text/plain"}
    assert_problem(await api.post("/api/files", json=as_json), 413, "FILE_TOO_LARGE", detail=detail)
    far_over = {"file": ("a", b"x" * (FILE_CAP * 3))}
    assert_problem(await api.post("/api/files", files=far_over), 413, "FILE_TOO_LARGE", detail=detail)


@requirement("R-131")
async def test_a_form_without_a_length_ends_somewhere(
    api: httpx2.AsyncClient, nobody: httpx2.AsyncClient
) -> None:
    place = (await api.post("/api/files/reserve", json={})).json()
    media = {"content-type": "multipart/form-data; boundary=x"}

    async def endless() -> AsyncIterator[bytes]:
        yield b'--x\r\ncontent-disposition: form-data; name="file"\r\n\r\nabc\r\n--x--\r\n'
        yield bytes(FILE_CAP)
        yield bytes(OVERHEAD_BYTES)

    for client, url in ((api, "/api/files"), (nobody, place["upload_url"])):
        answer = await client.post(url, headers=media, content=endless())
        assert_problem(answer, 413, "FILE_TOO_LARGE")


@requirement("R-133", "R-134", "R-136")
async def test_a_reserved_upload(api: httpx2.AsyncClient, nobody: httpx2.AsyncClient) -> None:
    place = (await api.post("/api/files/reserve", json={"name": "a.txt", "mime": "text/plain"})).json()
    made = await nobody.post(place["upload_url"], files={"file": ("ignored", b"abc")})
    assert made.json().items() >= {"file_id": place["file_id"], "name": "a.txt", "size": 3}.items()
    again = await nobody.post(place["upload_url"], files={"file": ("x", b"abc")})
    assert_problem(again, 404, "UPLOAD_URL_GONE")


async def test_unknown_files(nobody: httpx2.AsyncClient) -> None:
    assert_problem(await nobody.get("/api/files/unknown"), 404, "FILE_NOT_FOUND")
    assert_problem(await nobody.get("/api/files/%F0%9F%98%80"), 404, "FILE_NOT_FOUND")
    answer = await nobody.post("/api/files/u/unknown", files={"file": ("x", b"abc")})
    assert_problem(answer, 404, "UPLOAD_URL_GONE")


@requirement("R-123")
async def test_a_file_of_another_server(
    house: House, api: httpx2.AsyncClient, nobody: httpx2.AsyncClient
) -> None:
    url = house.elsewhere.serve("https://a.test/report", b"%PDF-", b"x", content_type="application/pdf")
    made = (await api.post("/api/files", json={"url": url, "name": "May.pdf"})).json()
    assert (made["name"], made["mime"], made["size"]) == ("May.pdf", "application/pdf", 6)
    served = await nobody.get(made["url"])
    assert served.content == b"%PDF-x"
    assert served.headers["content-disposition"] == 'attachment; filename="May.pdf"'


@requirement("R-123", "R-130", "R-145", "R-146", "R-147")
async def test_what_another_server_does_not_give(house: House, api: httpx2.AsyncClient) -> None:
    house.elsewhere.names["inside.test"] = ("fd00:ec2::254",)
    house.elsewhere.names["nat.test"] = ("93.184.215.14", "64:ff9b::a9fe:a9fe")
    house.elsewhere.serve("https://moves.test/", status=301, location="http://inside.test/")
    house.elsewhere.serve("https://big.test/", *[b"x" * FILE_CAP] * 3)
    for url, status, code in (
        ("http://169.254.169.254/latest/meta-data", 400, "INVALID_URL"),
        ("http://0xa9fea9fe/", 400, "INVALID_URL"),
        ("http://me:secret@a.test/", 400, "INVALID_URL"),
        ("http://inside.test/", 400, "FETCH_REFUSED"),
        ("http://nat.test/", 400, "FETCH_REFUSED"),
        ("https://moves.test/", 400, "FETCH_REFUSED"),
        ("https://a.test/none", 502, "FETCH_FAILED"),
        ("https://big.test/", 413, "FILE_TOO_LARGE"),
    ):
        assert_problem(await api.post("/api/files", json={"url": url}), status, code)
    assert house.elsewhere.sent_bytes == 2 * FILE_CAP
    assert set(house.elsewhere.connected) == {"93.184.215.14"}


@requirement("R-148", "R-150")
async def test_urls_in_a_message(house: House, api: httpx2.AsyncClient) -> None:
    await house.scripted.write(house.owner.scope, "hello")
    url = house.elsewhere.serve("https://a.test/a.txt", b"abc", content_type="text/plain")
    message = {"platform": "scripted", "text": "see", "attachments": [{"url": url}]}
    assert (await api.post("/api/dm/chat", json=message)).status_code == 200
    stored = (await api.get("/api/inbox")).json()["conversations"][0]["conversation_id"]
    (sent,) = (await api.get(f"/api/inbox/{stored}")).json()["messages"][-1]["attachments"]
    assert (sent["name"], sent["mime"], sent["size"]) == ("a.txt", "text/plain", 3)
    assert "a.test" not in json.dumps(sent)
    message["attachments"] = [{"url": "https://a.test/none"}]
    assert_problem(await api.post("/api/dm/chat", json=message), 502, "FETCH_FAILED")


async def put(api: httpx2.AsyncClient, name: str, mime: str, body: bytes) -> str:
    made = await api.post("/api/files", files={"file": (name, body, mime)})
    assert made.status_code == 200, made.text
    return made.json()["url"]


@pytest.mark.parametrize(
    ("name", "mime", "body", "kind", "content_type"),
    [
        ("a.gif", "image/gif", b"GIF89a...", "inline", "image/gif"),
        ("a.txt", "text/plain", b"hello\n", "inline", "text/plain; charset=utf-8"),
        ("a.mp4", "video/mp4", b"\x00\x00\x00\x20ftypisom", "inline", "video/mp4"),
        ("a.png", "application/octet-stream", b"\x89PNG\r\n\x1a\n", "inline", "image/png"),
        ("a.html", "text/html", b"<script>alert(1)</script>", "attachment", "text/html"),
        ("a.svg", "image/svg+xml", b"<svg onload='alert(1)'/>", "attachment", "image/svg+xml"),
        ("a.png", "image/png", b"<script>alert(1)</script>", "attachment", "application/octet-stream"),
        ("a.jpg", "image/jpeg", b"GIF89a...", "attachment", "application/octet-stream"),
        ("a.txt", "text/plain", b"MZ\x90\x00\x03", "attachment", "application/octet-stream"),
    ],
)
async def test_how_a_browser_meets_it(
    api: httpx2.AsyncClient,
    nobody: httpx2.AsyncClient,
    name: str,
    mime: str,
    body: bytes,
    kind: str,
    content_type: str,
) -> None:
    served = await nobody.get(await put(api, name, mime, body))
    assert served.headers["content-disposition"] == f'{kind}; filename="{name}"'
    assert served.headers["content-type"] == content_type
    assert served.content == body


@requirement("R-137", "R-138")
@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=90-", 90, 100), ("bytes=-5", 95, 100),
        ("bytes=90-5000", 90, 100), ("bytes=-5000", 0, 100), ("BYTES=1-2", 1, 3),
    ],
)  # fmt: skip
async def test_a_range(
    api: httpx2.AsyncClient, nobody: httpx2.AsyncClient, asked: str, start: int, end: int
) -> None:
    body = bytes(range(100))
    url = await put(api, "a.bin", "application/x-thing", body)
    for method in ("GET", "HEAD"):
        part = await nobody.request(method, url, headers={"range": asked})
        assert part.status_code == 206
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/100"
        assert part.headers["content-length"] == str(end - start)
        assert part.content == (body[start:end] if method == "GET" else b"")


async def test_ranges_that_are_none(api: httpx2.AsyncClient, nobody: httpx2.AsyncClient) -> None:
    url = await put(api, "a.bin", "application/x-thing", b"x" * 100)
    for asked in ("bytes=100-", "bytes=500-600", "bytes=-0"):
        answer = await nobody.get(url, headers={"range": asked})
        assert_problem(answer, 416, "RANGE_NOT_SATISFIABLE", detail="The file has 100 bytes")
        assert answer.headers["content-range"] == "bytes */100"
    for ignored in ("bytes=0-1,5-6", "bytes=9-3", "lines=0-1", "bytes=", "bytes=a-b", "bytes=-", "0-1"):
        answer = await nobody.get(url, headers={"range": ignored})
        assert (answer.status_code, len(answer.content)) == (200, 100)
    empty = await put(api, "empty", "application/x-thing", b"")
    assert (await nobody.get(empty)).content == b""
    assert_problem(await nobody.get(empty, headers={"range": "bytes=0-"}), 416, "RANGE_NOT_SATISFIABLE")


async def test_validators(api: httpx2.AsyncClient, nobody: httpx2.AsyncClient) -> None:
    url, other = [await put(api, "a.bin", "application/x-thing", b"x" * 100) for _ in range(2)]
    etag = (await nobody.head(url)).headers["etag"]
    assert etag.startswith('"')
    assert (await nobody.head(url)).headers["etag"] == etag != (await nobody.head(other)).headers["etag"]
    for known in (etag, f'"x", W/{etag}', "*"):
        same = await nobody.get(url, headers={"if-none-match": known})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert (await nobody.get(url, headers={"if-none-match": '"x"'})).status_code == 200
    for condition, status in ((etag, 206), ('"x"', 200), (f"W/{etag}", 200)):
        part = await nobody.get(url, headers={"range": "bytes=0-9", "if-range": condition})
        assert part.status_code == status


async def test_the_quota_of_an_account(house: House, api: httpx2.AsyncClient) -> None:
    for _ in range(8):
        await put(api, "a", "application/x-thing", b"x" * FILE_CAP)
    refused = await api.post("/api/files", files={"file": ("a", b"x")})
    assert_problem(refused, 413, "FILE_QUOTA_EXCEEDED")
    assert "expire" in refused.json()["detail"]
    async with client_of(house, **{"x-api-key": await house.other_account()}) as other:
        await put(other, "a", "application/x-thing", b"x")


@requirement("R-188")
async def test_a_deleted_account_leaves_no_byte(
    house: House, api: httpx2.AsyncClient, tmp_path: Path
) -> None:
    marks = [f"zebra-{n}-crossing" for n in range(4)]
    urls = [await put(api, "a.txt", "text/plain", marks[0].encode() * 1000)]
    url = house.elsewhere.serve("https://a.test/a", marks[1].encode())
    urls.append((await api.post("/api/files", json={"url": url})).json()["url"])
    place = (await api.post("/api/files/reserve", json={"name": "a", "mime": "text/plain"})).json()
    async with client_of(house) as nobody:
        made = await nobody.post(place["upload_url"], files={"file": ("a", marks[2].encode())})
        urls.append(made.json()["url"])

        def found() -> set[str]:
            kept = b"".join(p.read_bytes() for p in (tmp_path / "data").rglob("*") if p.is_file())
            return {mark for mark in marks if mark.encode() in kept}

        assert found() == set(marks[:3])
        gone = await api.request("DELETE", "/api/account", json={"password": PASSWORD})
        assert gone.status_code == 200
        assert found() == set()
        for url in urls:
            assert_problem(await nobody.get(url), 404, "FILE_NOT_FOUND")
