"""What the dashboard tells a person whom a platform has sent back to it."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import httpx2
import pytest

from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import Gateway, build
from chamade_mcp.connectors.nctalk.consent import REFUSALS
from chamade_mcp.kit.registry import Registry, discover
from chamade_mcp.kit.testing_bots import BOTS, ScriptedBots
from chamade_mcp.model.access import ALL_PERMISSIONS, Principal
from chamade_mcp.model.connections import Access
from tests.support.oauth import EMAIL, PASSWORD, Person
from tests.support.requirement import requirement

URL = "https://voice.example.org"
CODES = (
    "missing_params",
    "state_missing",
    "state_mismatch",
    "state_expired",
    "admin_mismatch",
    "unsafe_urls",
    "bot_creation_failed",
)


@dataclass(frozen=True, slots=True)
class Front:
    gateway: Gateway
    bots: ScriptedBots
    person: Person

    async def note(self, query: str, path: str = "/dashboard/platforms") -> str:
        """What it says above all else; "" where it says nothing."""
        page = await self.person.get(path + query)
        assert page.status_code == 200, page.text
        _, found, rest = page.text.partition('<p id="returned" class="note')
        return unescape(rest.partition("</p>")[0].partition(">")[2]) if found else ""


@pytest.fixture
async def front(database_path: Path) -> AsyncGenerator[Front]:
    bots, found = ScriptedBots(), discover()
    registry = Registry({**found.manifests, BOTS: bots.manifest}, {**found.connectors, BOTS: bots})
    settings = Settings(data_dir=database_path.parent, public_url=URL)
    async with build(settings, registry=registry) as gateway:
        await gateway.core.accounts.create(EMAIL, PASSWORD, verified=True, name="Ann")
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(gateway.app)) as http:
            person = Person(http, URL)
            await person.sign_in()
            yield Front(gateway, bots, person)


@requirement("R-299")
async def test_each_code_of_the_addons_has_its_words(front: Front) -> None:
    assert set(CODES) == set(REFUSALS)
    said = {code: await front.note(f"?error=nctalk_{code}") for code in CODES}
    assert len(set(said.values())) == len(CODES)
    for code, words in said.items():
        assert words == f"Nextcloud Talk was not connected. {REFUSALS[code]}"


@requirement("R-299", "R-300")
@pytest.mark.parametrize(
    ("path", "query"),
    [("/dashboard/platforms", f"?connected={BOTS}"), ("/dashboard", f"?{BOTS}=connected")],
)
async def test_that_it_is_connected_is_said_only_if_it_is(front: Front, path: str, query: str) -> None:
    title = front.bots.manifest.title
    assert await front.note(query, path) == f"{title} is not connected."
    owner = await front.gateway.core.accounts.find_by_email(EMAIL)
    assert owner is not None
    await front.gateway.core.connections.register(
        Principal(owner.scope, ALL_PERMISSIONS, True),
        BOTS,
        {"bot_token": front.bots.accept("helper")},
        Access.OPEN,
    )
    assert await front.note(query, path) == f"{title} is connected."


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?error=nctalk_%3Cscript%3E", "Nextcloud Talk was not connected."),
        ("?error=telegram_state_missing", "Telegram was not connected."),
        ("?error=nctalk", "Nextcloud Talk was not connected."),
        ("?error=fax_state_missing", ""),
        ("?connected=fax", ""),
        ("?nctalk=1", ""),
        ("", ""),
    ],
)
async def test_what_means_nothing_is_not_repeated(front: Front, query: str, words: str) -> None:
    assert await front.note(query) == words
