"""Nextcloud Talk is connected by a person in a browser, from either side."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from chamade_mcp.connectors.nctalk.emulator import TalkEmulator
from tests.support.hosted import EMAIL, PASSWORD, Hosted
from tests.support.nextcloud import ADDON, connected, emulated, house
from tests.support.oauth import Person, fields_of
from tests.support.requirement import requirement


@dataclass(frozen=True, slots=True)
class Ann:
    """An administrator, signed in here and there."""

    cloud: TalkEmulator
    gateway: Hosted
    person: Person

    async def agree(self, page: httpx2.Response) -> str:
        """Where she is sent when she says yes on the gateway's page."""
        assert page.status_code == 200, page.text
        answer = await self.person.post(page.url.path, fields_of(page))
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]


@pytest.fixture
async def ann(tmp_path: Path) -> AsyncGenerator[Ann]:
    async with emulated() as cloud, house(cloud, tmp_path) as gateway:
        cloud.user("ann", admin=True)
        async with httpx2.AsyncClient(cookies={"nc_user": "ann"}) as http:
            person = Person(http, gateway.url)
            await person.sign_in(EMAIL, PASSWORD)
            yield Ann(cloud, gateway, person)


@requirement("R-299")
async def test_from_nextcloud(ann: Ann) -> None:
    begun = await ann.person.get(f"{ann.cloud.addon.url}{ADDON}/connect-start?origin=dashboard")
    asked = begun.headers["location"]
    assert asked.startswith(f"{ann.gateway.url}/connect/nctalk?nc_state=")
    back = await ann.agree(await ann.person.get(asked))
    assert back.startswith(f"{ann.cloud.addon.url}{ADDON}/authorize/finish?")
    for query, words in (
        ("connected=nctalk", "Nextcloud Talk is connected."),
        ("error=nctalk_state_missing", "Nextcloud Talk was not connected."),  # a second time
    ):
        done = await ann.person.get(back)
        assert done.headers["location"] == f"{ann.gateway.url}/dashboard/platforms?{query}"
        assert words in (await ann.person.get(done.headers["location"])).text
    await connected(ann.gateway)


@requirement("R-300")
async def test_from_here(ann: Ann) -> None:
    page = await ann.person.get(f"/connect/nctalk?url={ann.cloud.addon.url}")
    there = await ann.agree(page)
    assert urlsplit(there).path == f"{ADDON}/authorize"
    done = await ann.person.post(there, parse_form(there))
    assert done.status_code == 303, done.text
    # The addon drops the port of where it sends her.
    assert done.headers["location"] == "http://127.0.0.1/dashboard?nctalk=connected"
    await connected(ann.gateway)
    front = await ann.person.get("/dashboard?nctalk=connected")
    assert "Nextcloud Talk is connected." in front.text


def parse_form(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
