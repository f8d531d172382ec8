"""Files in a bucket: the gateway as a process, and beside it an S3 server that other people wrote."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from tests.demo.gateway import free_port
from tests.support.gateway_process import gateway_process
from tests.support.pip import pip_installed

BUILD = Path(__file__).parents[3] / "build"
CHAMADE = Path(sys.executable).with_name("chamade")
BUCKET = "s3://house/chamade"
START_S = 60.0
BODY = bytes(range(256)) * 40_000  # 10 MB: more than one part of an upload


class S3:
    def __init__(self, url: str, process: asyncio.subprocess.Process) -> None:
        self.url = url
        self._process = process
        self.settings = {
            "CHAMADE_FILES_BUCKET": BUCKET,
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }

    async def keys(self) -> int:
        async with httpx2.AsyncClient() as http:
            listing = await http.get(f"{self.url}/house?list-type=2&prefix=chamade/")
            uploads = await http.get(f"{self.url}/house?uploads")
        assert uploads.text.count("<Upload>") == 0, "an upload was left unfinished"
        return listing.text.count("<Key>")

    async def stop(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def s3_server() -> AsyncGenerator[S3]:
    """Inside, an S3 server answers that has one empty bucket."""
    python = pip_installed(BUILD / "moto", ["moto[server,s3]==5.2.5"])
    port = free_port()
    server = await asyncio.create_subprocess_exec(
        *(python.with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    s3 = S3(f"http://127.0.0.1:{port}", server)
    try:
        async with asyncio.timeout(START_S), httpx2.AsyncClient() as http:
            while not await _has_bucket(http, s3.url):
                assert server.returncode is None
                await asyncio.sleep(0.05)
        yield s3
    finally:
        await s3.stop()


async def _has_bucket(http: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await http.put(f"{url}/house")).status_code == 200
    except httpx2.TransportError:
        return False


async def test_files_live_in_the_bucket_and_leave_it_with_their_account(tmp_path: Path) -> None:
    async with s3_server() as s3, gateway_process(tmp_path / "data", **s3.settings) as gateway:
        headers = {"x-api-key": gateway.key}
        async with httpx2.AsyncClient(base_url=gateway.url, headers=headers, timeout=30) as http:
            made = await http.post("/api/files", files={"file": ("a.bin", BODY, "application/octet-stream")})
            assert made.status_code == 200, made.text
            assert await s3.keys() == 1
            whole = await http.get(made.json()["url"])
            assert whole.content == BODY
            middle = await http.get(made.json()["url"], headers={"Range": "bytes=5000000-7000000"})
            assert (middle.status_code, middle.content) == (206, BODY[5_000_000:7_000_001])
            over = await http.post("/api/files", files={"file": ("b.bin", BODY * 3, "application/pdf")})
            assert over.status_code == 413
            assert await s3.keys() == 1
            assert not (tmp_path / "data" / "files").exists()

            # A bucket that does not answer is said, and costs nothing else.
            await s3.stop()
            lost = await http.get(made.json()["url"])
            assert (lost.status_code, lost.json()["code"]) == (503, "UNAVAILABLE")
            refused = await http.post("/api/files", files={"file": ("c.txt", b"c", "text/plain")})
            assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")
            assert (await http.get("/api/account")).status_code == 200


async def test_an_account_that_goes_takes_its_files_out_of_the_bucket(tmp_path: Path) -> None:
    async with s3_server() as s3, gateway_process(tmp_path / "data", **s3.settings) as gateway:
        headers = {"x-api-key": gateway.key}
        async with httpx2.AsyncClient(base_url=gateway.url, headers=headers, timeout=30) as http:
            for name in ("a", "b"):
                made = await http.post("/api/files", files={"file": (f"{name}.txt", b"text", "text/plain")})
                assert made.status_code == 200
            assert await s3.keys() == 2
            gone = await http.request("DELETE", "/api/account", json={"password": gateway.password})
            assert gone.status_code == 200, gone.text
            assert await s3.keys() == 0


@pytest.mark.parametrize("there", [True, False])
async def test_the_doctor_tries_the_bucket(tmp_path: Path, there: bool) -> None:
    async with s3_server() as s3:
        settings = s3.settings if there else s3.settings | {"CHAMADE_FILES_BUCKET": "s3://elsewhere"}
        doctor = await asyncio.create_subprocess_exec(
            *(CHAMADE, "doctor", "--data-dir", tmp_path),
            env={**os.environ, **settings},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        out, _ = await asyncio.wait_for(doctor.communicate(), START_S)
        line = next((line for line in out.decode().splitlines() if " bucket " in line), out.decode())
        assert line.startswith("ok" if there else "failed"), out.decode()
        assert doctor.returncode == (0 if there else 1)
        assert await s3.keys() == 0
