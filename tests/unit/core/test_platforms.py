"""What calls on platforms nobody has connected are told."""

import pytest

from chamade_mcp.core.platforms import Platforms
from chamade_mcp.core.roster import Roster
from chamade_mcp.kit.registry import discover
from chamade_mcp.kit.testing import SCRIPTED
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import GatewayError, NotFound, ValidationFailed
from chamade_mcp.model.ids import AccountId, AgentId, Platform
from tests.support.house import House
from tests.support.requirement import requirement

NOBODY = Scope(AccountId("acct_1"), AgentId("agent_1"))
URL = "https://rooms.example.org/a"


def answer(platform: str, meeting_url: str | None) -> tuple[int, str]:
    platforms = Platforms(discover(), Roster())
    with pytest.raises(GatewayError) as caught:
        platforms.require_connected(platforms.require(platform), NOBODY, meeting_url)
    return caught.value.status, caught.value.detail


@requirement("R-025", "R-026", "R-027", "R-028")
@pytest.mark.parametrize(
    ("platform", "meeting_url", "status", "detail"),
    [
        ("discord", None, 400, "No discord bot registered"),
        ("discord", URL, 400, "No discord bot registered"),
        ("telegram", None, 400, "No telegram bot registered"),
        ("slack", None, 400, "No slack bot registered"),
        ("sip", "sip:+33123456789@trunk.example.org", 400, "No SIP trunk configured"),
        ("sip", None, 400, "No SIP trunk configured"),
        ("meet", None, 400, "meeting_url required"),
        ("zoom", None, 400, "meeting_url required"),
        ("teams", None, 400, "meeting_url required"),
        ("nctalk", None, 400, "meeting_url required"),
        ("meet", URL, 501, "This gateway has no Google Meet connector yet"),
        ("whatsapp", None, 400, "WhatsApp is not connected"),
    ],
)
def test_the_contracts_words(platform: str, meeting_url: str | None, status: int, detail: str) -> None:
    assert answer(platform, meeting_url) == (status, detail)


@requirement("R-014", "R-015")
def test_every_platform_of_the_contract_is_known() -> None:
    platforms = Platforms(discover(), Roster())
    for name in ("discord", "teams", "meet", "zoom", "telegram", "nctalk", "sip", "whatsapp", "slack"):
        assert platforms.require(name).platform == name
    with pytest.raises(ValidationFailed, match="unknown platform; one of: discord, meet"):
        platforms.require("fax")


@requirement("R-076")
@pytest.mark.parametrize(
    ("rate_hz", "names"),
    [(48_000, ["meet"]), (16_000, ["zoom"]), (8_000, ["sip"])],
)
def test_native_rates(rate_hz: int, names: list[str]) -> None:
    platforms = Platforms(discover(), Roster())
    assert {platforms.require(name).sample_rate_hz for name in names} == {rate_hz}


@requirement("R-166")
def test_where_files_go() -> None:
    platforms = Platforms(discover(), Roster())
    states = platforms.states(NOBODY)
    for name in ("discord", "telegram", "slack", "whatsapp", "nctalk"):
        assert states[name]["files"] is True, name
    for name in ("teams", "meet", "sip", "zoom"):
        assert states[name]["files"] is False, name


async def test_what_is_connected(house: House) -> None:
    owner = await house.owner()
    states = house.platforms.states(owner.scope)
    assert states[SCRIPTED]["status"] == "ok"
    assert {s["status"] for name, s in states.items() if name != SCRIPTED} == {"not_configured"}
    assert house.platforms.identities(owner.scope, None) == {
        SCRIPTED: {"agent": "AI Agent", "operator": None}
    }
    overview = house.platforms.overview(owner)
    assert overview["connections"] == [
        {"id": "embedded:scripted", "platform": "scripted", "status": "ok", "embedded": True}
    ]
    house.platforms.require_connected(house.platforms.require(SCRIPTED), owner.scope, None)


def test_the_ways_to_connect_are_those_that_are_set_up() -> None:
    found = discover()
    told = {
        "slack": {"client_id": "1", "client_secret": "2", "signing_secret": "3"},
        "telegram": {"bot_token": "1:A"},
    }
    plain, set_up = (
        Platforms(registry, Roster())
        for registry in (found, found.configured({Platform(name): its for name, its in told.items()}))
    )

    def kinds(platforms: Platforms, name: str) -> list[str]:
        return [str(way.kind) for way in platforms.ways(platforms.runnable(name))]

    assert kinds(plain, "slack") == ["bot", "bot"]
    assert kinds(set_up, "slack") == ["oauth", "bot", "bot"]
    assert kinds(plain, "telegram") == ["bot"]
    assert kinds(set_up, "telegram") == ["link", "bot"]
    assert kinds(plain, "nctalk") == ["connect", "bot"]
    assert kinds(plain, "web") == ["link"]
    with pytest.raises(NotFound):
        plain.runnable("zoom")
