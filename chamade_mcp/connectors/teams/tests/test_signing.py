"""Microsoft's keys and tokens, over the emulated login and a clock of the test's own."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import httpx2
import pytest

from chamade_mcp.connectors.teams.emulated_world import ISSUER
from chamade_mcp.connectors.teams.emulator import TENANT, TeamsEmulator
from chamade_mcp.connectors.teams.login import Login
from chamade_mcp.connectors.teams.signing import METADATA_PATH, Guard, Keys, audience
from chamade_mcp.kit.connection import HookRefused
from chamade_mcp.kit.connector import AuthNeeded, PlatformUnavailable
from chamade_mcp.kit.testing import VirtualClock

URL = "https://login.example.org"
DAY_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Gate:
    teams: TeamsEmulator
    clock: VirtualClock
    http: httpx2.AsyncClient
    bot: str
    guard: Guard

    async def admits(self, token: str = "") -> bool:
        try:
            vouched = await self.guard.admit(f"Bearer {token or self.teams.signed(self.bot)}")
        except HookRefused:
            return False
        assert vouched.service_url == f"{URL}/emea"
        assert vouched.channels == {"msteams", "webchat"}
        return True

    def login(self, secret: str = "s3cret~value") -> Login:  # noqa: S107
        about = {"login_url": URL, "tenant_id": TENANT, "issuer": ISSUER, "app_id": self.bot}
        return Login(self.http, {**about, "bot_token": secret}, self.clock)


@pytest.fixture
async def gate() -> AsyncGenerator[Gate]:
    clock = VirtualClock()
    teams = TeamsEmulator(clock)
    teams.at(URL)
    bot = teams.new_bot()
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(teams.app)) as http:
        keys = Keys(http, URL + METADATA_PATH, clock)
        yield Gate(teams, clock, http, bot, Guard(keys, bot, ISSUER, clock))


async def test_keys_are_kept_for_a_day(gate: Gate) -> None:
    assert all(await asyncio.gather(*(gate.admits() for _ in range(20))))
    await gate.clock.advance(DAY_S - 1)
    assert await gate.admits()
    assert gate.teams.calls["keys"] == 1
    await gate.clock.advance(2)
    assert await gate.admits()
    assert gate.teams.calls["keys"] == 2


async def test_an_unknown_key_is_looked_for_once_a_minute(gate: Gate) -> None:
    assert await gate.admits()
    gate.teams.renew_key()
    assert not any(await asyncio.gather(*(gate.admits() for _ in range(20))))
    assert gate.teams.calls["keys"] == 1
    await gate.clock.advance(61)
    assert all(await asyncio.gather(*(gate.admits() for _ in range(20))))
    assert gate.teams.calls["keys"] == 2


async def test_known_keys_do_through_an_outage_of_microsofts(gate: Gate) -> None:
    gate.teams.down = True
    for _ in range(3):
        with pytest.raises(PlatformUnavailable):
            await gate.admits()
    assert gate.teams.calls["keys"] == 1  # and nobody waits for the next second
    gate.teams.down = False
    await gate.clock.advance(2)
    assert await gate.admits()
    gate.teams.down = True
    await gate.clock.advance(DAY_S + 1)
    assert await gate.admits()
    assert await gate.admits()
    assert gate.teams.calls["keys"] == 3


async def test_a_token_is_good_for_its_time_and_five_minutes(gate: Gate) -> None:
    token = gate.teams.signed(gate.bot)
    await gate.clock.advance(3600 + 299)
    assert await gate.admits(token)
    await gate.clock.advance(2)
    assert not await gate.admits(token)
    now = int(gate.clock.now().timestamp())
    assert await gate.admits(gate.teams.signed(gate.bot, nbf=now + 299))
    assert not await gate.admits(gate.teams.signed(gate.bot, nbf=now + 302))


async def test_a_key_that_is_no_longer_published_speaks_for_nothing(gate: Gate) -> None:
    days = int(gate.clock.now().timestamp()) + 3 * int(DAY_S)
    token = gate.teams.signed(gate.bot, exp=days)
    assert await gate.admits(token)
    assert await gate.admits(token)
    gate.teams.renew_key()
    await gate.clock.advance(DAY_S + 1)
    assert not await gate.admits(token)  # which was found right twice
    assert await gate.admits()


async def test_a_key_that_is_published_anew_proves_each_token_again(gate: Gate) -> None:
    days = int(gate.clock.now().timestamp()) + 3 * int(DAY_S)
    token = gate.teams.signed(gate.bot, exp=days)
    assert await gate.admits(token)
    gate.teams.renew_key(same_name=True)
    await gate.clock.advance(DAY_S + 1)
    assert not await gate.admits(token)
    assert await gate.admits()


async def test_what_was_once_let_in_opens_for_nothing_else(gate: Gate) -> None:
    token = gate.teams.signed(gate.bot)
    assert await gate.admits(token)
    head, claims, signature = token.split(".")
    other = gate.teams.signed(gate.bot, serviceurl="https://evil.example").split(".")[1]
    flipped = "B" if signature[0] == "A" else "A"
    for forged in (
        f"{head}.{other}.{signature}",
        f"{head}.{claims}.{flipped}{signature[1:]}",
        f"{head}.{claims}.",
    ):
        assert not await gate.admits(forged)
    for number in range(101):  # more than are remembered
        assert await gate.admits(gate.teams.signed(gate.bot, jti=str(number)))
    assert await gate.admits(token)
    keys = Keys(gate.http, URL + METADATA_PATH, gate.clock)
    elsewhere = Guard(keys, gate.teams.new_bot(), ISSUER, gate.clock)
    with pytest.raises(HookRefused):
        await elsewhere.admit(f"Bearer {token}")


async def test_a_bot_has_other_names(gate: Gate) -> None:
    for name in (gate.bot, f"api://{gate.bot}", f"api://botid-{gate.bot}"):
        token = gate.teams.signed(gate.bot, aud=name)
        assert await gate.admits(token)
        assert audience(f"Bearer {token}") == gate.bot


async def test_what_publishes_no_keys_is_unavailable(gate: Gate) -> None:
    keys = Keys(gate.http, f"{URL}/nowhere", gate.clock)
    with pytest.raises(PlatformUnavailable):
        await keys.get("x")


async def test_a_token_of_the_bots_own_is_asked_for_once(gate: Gate) -> None:
    login = gate.login()
    tokens = await asyncio.gather(*(login.token() for _ in range(20)))
    assert len(set(tokens)) == 1
    assert gate.teams.calls["token"] == 1
    # One that was taken for none is asked for once more, however many had it.
    again = await asyncio.gather(*(login.token(refused=tokens[0]) for _ in range(20)))
    assert len(set(again)) == 1
    assert again[0] != tokens[0]
    assert gate.teams.calls["token"] == 2
    await gate.clock.advance(3600 - 302)
    assert await login.token() == again[0]
    await gate.clock.advance(2)
    assert await login.token() != again[0]


async def test_a_wrong_secret_is_told_in_microsofts_words(gate: Gate) -> None:
    with pytest.raises(AuthNeeded, match=r"^AADSTS7000215: Invalid client secret provided\.$"):
        await gate.login("wrong").token()
    gate.teams.down = True
    with pytest.raises(PlatformUnavailable, match="status 503"):
        await gate.login().token()
