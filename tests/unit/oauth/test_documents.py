"""Clients that are known by a document on the web: what is believed, for how long, what is never fetched."""

import httpx2
import pytest

from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.oauth.documents import LONGEST_S, MAX_BYTES, Documents, NoDocument
from tests.support.oauth import PUBLIC_ADDRESS, Elsewhere

URL = "https://client.example/oauth/metadata.json"
GOOD: dict[str, object] = {
    "client_id": URL,
    "client_name": "An editor",
    "redirect_uris": ["http://localhost:3000/callback"],
    "token_endpoint_auth_method": "none",
}


@pytest.fixture
def elsewhere() -> Elsewhere:
    return Elsewhere()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def documents(elsewhere: Elsewhere, clock: VirtualClock) -> Documents:
    return Documents(elsewhere.outbound(), clock)


async def test_a_client_is_what_its_document_says(documents: Documents, elsewhere: Elsewhere) -> None:
    elsewhere.serve(URL, GOOD)
    client = await documents.find(URL, "somebody")
    assert (client.id, client.name, client.host) == (URL, "An editor", "client.example")
    assert client.redirect_uris == ("http://localhost:3000/callback",)
    assert client.refreshes
    assert elsewhere.connected == [(PUBLIC_ADDRESS, "client.example")]


@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "https://client.example/other"},
        {"client_id": URL + "/"},
        {"client_id": None},
        {"redirect_uris": ["javascript:alert(1)"]},
        {"redirect_uris": []},
        {"redirect_uris": "https://client.example/cb"},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"client_secret": "known to all"},
        {"grant_types": ["client_credentials"]},
        {"response_types": ["token"]},
    ],
)
async def test_a_document_that_is_not_right(
    documents: Documents, elsewhere: Elsewhere, change: dict[str, object]
) -> None:
    elsewhere.serve(URL, {**GOOD, **change})
    with pytest.raises(NoDocument):
        await documents.find(URL, "somebody")


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(404),
        httpx2.Response(302, headers={"location": "https://client.example/other"}),
        httpx2.Response(200, text="hello", headers={"content-type": "application/json"}),
        httpx2.Response(200, json=[GOOD]),
        httpx2.Response(200, text="[" * 60_000, headers={"content-type": "application/json"}),
        httpx2.Response(200, json={**GOOD, "more": "x" * MAX_BYTES}),
        httpx2.Response(200, text=str(GOOD), headers={"content-type": "text/html"}),
    ],
)
async def test_an_answer_that_is_no_document(
    documents: Documents, elsewhere: Elsewhere, answer: httpx2.Response
) -> None:
    elsewhere.documents[URL] = answer
    with pytest.raises(NoDocument):
        await documents.find(URL, "somebody")
    assert len(elsewhere.connected) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://client.example",
        "https://client.example/",
        "https://client.example/a/../b",
        "https://client.example/./b",
        "https://client.example/a#b",
        "https://user@client.example/a",
        "https://127.0.0.1/a",
        "https://[::1]/a",
        "https://2130706433/a",
        "https://0x7f000001/a",
        "https://0177.0.0.1/a",
        "https://localhost/a",
        "https://client.example:0/a",
        "https://client.example:x/a",
        "https://client.example/ä",
        "https://client.example/" + "a" * 500,
    ],
)
async def test_urls_that_nothing_is_resolved_for(
    documents: Documents, elsewhere: Elsewhere, url: str
) -> None:
    with pytest.raises(NoDocument):
        await documents.find(url, "somebody")
    assert (elsewhere.resolved, elsewhere.connected) == ([], [])


@pytest.mark.parametrize(
    ("control", "life_s"),
    [
        ("max-age=60", 60.0),
        ("public, max-age=600, stale-while-revalidate=9", 600.0),
        ("max-age=999999999", LONGEST_S),
        ("", 300.0),
    ],
)
async def test_it_is_kept_as_long_as_its_headers_say(
    documents: Documents, elsewhere: Elsewhere, clock: VirtualClock, control: str, life_s: float
) -> None:
    elsewhere.serve(URL, GOOD, **({"cache-control": control} if control else {}))
    await documents.find(URL, "somebody")
    await clock.advance(life_s - 1)
    await documents.find(URL, "somebody")
    assert len(elsewhere.connected) == 1
    await clock.advance(2)
    await documents.find(URL, "somebody")
    assert len(elsewhere.connected) == 2


@pytest.mark.parametrize("control", ["no-store", "no-cache, max-age=60", "private, NO-STORE"])
async def test_it_is_not_kept_against_its_will(
    documents: Documents, elsewhere: Elsewhere, control: str
) -> None:
    elsewhere.serve(URL, GOOD, **{"cache-control": control})
    await documents.find(URL, "somebody")
    await documents.find(URL, "somebody")
    assert len(elsewhere.connected) == 2


async def test_nobody_makes_us_flood_others(
    documents: Documents, elsewhere: Elsewhere, clock: VirtualClock
) -> None:
    for number in range(30):
        with pytest.raises(NoDocument):
            await documents.find(f"https://victim.example/{number}", "somebody")
    assert len(elsewhere.connected) == 20
    await clock.advance(61)
    elsewhere.serve(URL, GOOD)
    assert (await documents.find(URL, "somebody")).name == "An editor"
