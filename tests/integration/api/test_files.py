"""Files over REST, as the contract has them."""

import base64

import httpx2
import pytest

from tests.integration.api.conftest import FILE_CAP
from tests.support.problems import assert_problem
from tests.support.requirement import requirement


@requirement("R-012", "R-122", "R-126", "R-137", "R-138")
async def test_a_file_goes_in_and_out(api: httpx2.AsyncClient, nobody: httpx2.AsyncClient) -> None:
    body = bytes(range(256)) * 100
    file = (await api.post("/api/files", files={"file": ("naïve.bin", body, "image/png")})).json()
    assert file.keys() >= {"file_id", "url", "name", "mime", "size", "expires_at"}
    assert (file["name"], file["mime"], file["size"]) == ("naïve.bin", "image/png", len(body))
    served = await nobody.get(file["url"])
    assert served.content == body
    assert served.headers["content-type"] == "image/png"
    assert served.headers["content-disposition"].startswith("attachment")
    assert served.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in served.headers["content-security-policy"]
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
    assert_problem(await api.post("/api/files", json={"url": "https://example.org/x"}), 501, "NOT_AVAILABLE")
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
