"""Where clients look, what they find there, and how they make themselves known."""

import httpx2
import pytest

from chamade_mcp.core.clients import UNUSED_LIFE
from chamade_mcp.model.access import Permission
from chamade_mcp.oauth import metadata, scopes
from chamade_mcp.oauth.metadata import NAME_CHARS, UNNAMED
from chamade_mcp.oauth.places import Places
from chamade_mcp.oauth.scopes import UnknownScope
from tests.support.oauth import CALLBACK
from tests.support.requirement import requirement
from tests.unit.oauth.conftest import URL, World

RESOURCE = [f"/.well-known/oauth-protected-resource{path}" for path in ("", "/mcp", "/mcp/")]
SERVER = [
    f"/.well-known/{name}{path}"
    for name in ("oauth-authorization-server", "openid-configuration")
    for path in ("", "/mcp", "/mcp/")
] + [f"/mcp/.well-known/{name}" for name in ("oauth-authorization-server", "openid-configuration")]


async def get(world: World, path: str, **headers: str) -> httpx2.Response:
    return await world.http.get(f"{URL}{path}", headers=headers)


@requirement("R-249")
@pytest.mark.parametrize("path", RESOURCE)
async def test_what_the_resource_says_of_itself(world: World, path: str) -> None:
    response = await get(world, path)
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"
    assert response.headers["cache-control"] == "public, max-age=300"
    document = response.json()
    assert document["resource"] == f"{URL}/mcp"
    assert document["authorization_servers"] == [URL]
    assert document["scopes_supported"] == ["read", "message", "call"]


@requirement("R-250")
@pytest.mark.parametrize("path", SERVER)
async def test_what_the_server_says_of_itself(world: World, path: str) -> None:
    response = await get(world, path)
    assert response.headers["access-control-allow-origin"] == "*"
    document = response.json()
    assert document["issuer"] == URL
    for name in ("authorization", "token", "registration", "revocation"):
        assert document[f"{name}_endpoint"].startswith(f"{URL}/")
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert set(document["token_endpoint_auth_methods_supported"]) == {
        "none",
        "client_secret_basic",
        "client_secret_post",
    }
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["client_id_metadata_document_supported"] is True
    assert document["scopes_supported"] == ["read", "message", "call", "manage", "offline_access"]
    assert document["grant_types_supported"] == ["authorization_code", "refresh_token"]


async def test_under_its_other_name_it_is_the_resource_of_that_name(world: World) -> None:
    twin = await get(world, RESOURCE[1], host="mcp.voice.example.org")
    assert twin.json()["resource"] == "https://mcp.voice.example.org/mcp"
    assert twin.json()["authorization_servers"] == [URL]
    assert twin.headers["vary"] == "Host"
    for foreign in ("evil.example", "mcp.evil.example", "mcp.voice.example.org.evil.example"):
        assert (await get(world, RESOURCE[1], host=foreign)).json()["resource"] == f"{URL}/mcp"


@pytest.mark.parametrize(
    "path", ["/.well-known/nothing", "/.well-known/oauth-protected-resource/mcp-key", "/mcp/.well-known/x"]
)
async def test_nothing_else_is_told_in_json(world: World, path: str) -> None:
    response = await get(world, path, accept="text/html")
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", [RESOURCE[0], SERVER[0], "/token", "/register", "/revoke"])
async def test_pages_of_other_sites_may_ask(world: World, path: str) -> None:
    preflight = await world.http.request(
        "OPTIONS",
        f"{URL}{path}",
        headers={"origin": "https://a.example", "access-control-request-headers": "mcp-protocol-version"},
    )
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert "mcp-protocol-version" in preflight.headers["access-control-allow-headers"]


async def test_documents_are_only_read(world: World) -> None:
    response = await world.http.post(f"{URL}{SERVER[0]}")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
async def test_a_refusal_says_where_to_begin(world: World, path: str) -> None:
    where = f'resource_metadata="{URL}/.well-known/oauth-protected-resource/mcp", scope="read message call"'
    nobody = await world.http.post(f"{URL}{path}")
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, f"Bearer {where}")
    wrong = await world.http.post(f"{URL}{path}", headers={"authorization": "Bearer chmo_old"})
    assert wrong.headers["www-authenticate"] == f'Bearer error="invalid_token", {where}'
    twin = await world.http.post(f"{URL}{path}", headers={"host": "mcp.voice.example.org"})
    assert "https://mcp.voice.example.org/.well-known/" in twin.headers["www-authenticate"]


@pytest.mark.parametrize("path", ["/mcp-key", "/mcp-key/"])
async def test_the_twin_for_keys_says_nothing_of_oauth(world: World, path: str) -> None:
    nobody = await world.http.post(f"{URL}{path}")
    assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
    wrong = await world.http.post(f"{URL}{path}", headers={"authorization": "Bearer chmd_old"})
    assert wrong.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("resource", "ours"),
    [
        ("https://gw.example/mcp", True),
        ("https://gw.example/mcp/", True),
        ("HTTPS://GW.example:443/mcp", True),
        ("https://mcp.gw.example/mcp/", True),
        ("https://gw.example/mcp?stateful", True),
        ("https://gw.example/mcp/?stateful=1", True),
        ("https://gw.example", False),
        ("https://gw.example/mcp//", False),
        ("https://gw.example/mcp/x", False),
        ("https://gw.example/mcp?x", False),
        ("https://gw.example/mcp#", False),
        ("https://gw.example:8443/mcp", False),
        ("https://gw.example:x/mcp", False),
        ("https://user@gw.example/mcp", False),
        ("http://gw.example/mcp", False),
        ("urn:mcp", False),
        ("", False),
        ("https://gw.example/" + "a" * 500, False),
    ],
)
def test_which_resource_is_ours(resource: str, ours: bool) -> None:
    assert Places("https://gw.example").is_ours(resource) is ours


def test_on_ones_own_machine_every_name_of_it_will_do() -> None:
    places = Places("http://127.0.0.1:8000")
    for host in ("127.0.0.1:8000", "localhost:8000", "[::1]:8000"):
        document = places.protected_resource(host)
        assert document["resource"] == f"http://{host}/mcp"
        assert document["authorization_servers"] == ["http://127.0.0.1:8000"]
        assert places.is_ours(f"http://{host}/mcp/")
        assert places.metadata_url(host) == f"http://{host}/.well-known/oauth-protected-resource/mcp"
    for foreign in ("localhost:9000", "localhost", "mcp.127.0.0.1:8000", "192.168.1.7:8000"):
        assert places.base(foreign) == "http://127.0.0.1:8000"
        assert not places.is_ours(f"http://{foreign}/mcp")
    assert not Places("https://gw.example").is_ours("http://localhost/mcp")


# --- scopes ------------------------------------------------------------------------------------------------


def test_scopes_are_permissions() -> None:
    assert scopes.parse("call read  offline_access") == {Permission.CALL, Permission.READ}
    assert scopes.parse("openid profile") == frozenset()
    assert scopes.to_text({Permission.CALL, Permission.READ}) == "read call"
    for unknown in ("write", "read write", "READ", "x" * 501):
        with pytest.raises(UnknownScope):
            scopes.parse(unknown)


# --- registration ------------------------------------------------------------------------------------------


async def test_what_is_remembered_is_told_back(world: World) -> None:
    program = world.program("client_secret_basic")
    response = await program.register(logo_uri="https://a.example/logo.png", scope="read")
    assert (response.status_code, response.headers["cache-control"]) == (201, "no-store")
    document = response.json()
    assert document["redirect_uris"] == [CALLBACK]
    assert document["client_name"] == "A test"
    assert document["token_endpoint_auth_method"] == "client_secret_basic"
    assert document["client_secret_expires_at"] == 0
    assert document["client_id_issued_at"] == int(world.clock.now().timestamp())
    assert "logo_uri" not in document


async def test_the_method_of_the_rfc_when_none_is_named(world: World) -> None:
    response = await world.http.post(f"{URL}/register", json={"redirect_uris": [CALLBACK]})
    document = response.json()
    assert document["token_endpoint_auth_method"] == "client_secret_basic"
    assert document["client_secret"].startswith("chms_")
    assert document["grant_types"] == ["authorization_code", "refresh_token"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [CALLBACK, "http://evil.example/"]}, "invalid_redirect_uri"),
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": None}, "invalid_redirect_uri"),
        ({"redirect_uris": {"0": CALLBACK}}, "invalid_redirect_uri"),
        ({"redirect_uris": [1]}, "invalid_redirect_uri"),
        ({"redirect_uris": [[CALLBACK]]}, "invalid_redirect_uri"),
        ({"redirect_uris": [f"{CALLBACK}{n}" for n in range(11)]}, "invalid_redirect_uri"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": ["none"]}, "invalid_client_metadata"),
        ({"token_endpoint_auth_method": 7}, "invalid_client_metadata"),
        ({"grant_types": ["implicit"]}, "invalid_client_metadata"),
        ({"grant_types": "authorization_code"}, "invalid_client_metadata"),
        ({"grant_types": [None]}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
    ],
)
async def test_what_is_not_registered(world: World, change: dict[str, object], code: str) -> None:
    document: dict[str, object] = {
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
        **change,
    }
    response = await world.http.post(f"{URL}/register", json=document)
    assert (response.status_code, response.json()["error"]) == (400, code)
    assert "client_id" not in response.json()


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 10_000, b'{"a":NaN'])
async def test_bodies_that_are_no_metadata(world: World, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = await world.http.post(f"{URL}/register", content=body, headers=headers)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")


async def test_oversized_metadata(world: World) -> None:
    document = {"redirect_uris": [CALLBACK], "client_name": "x" * 20_000}
    response = await world.http.post(f"{URL}/register", json=document)
    assert response.status_code == 413
    form = await world.http.post(f"{URL}/register", data={"redirect_uris": CALLBACK})
    assert form.status_code == 400


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("An editor", "An editor"),
        ("  two\n\tlines ", "two lines"),
        ("right\u202eto left\u2066", "rightto left"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("\x00\x1b[31mred", "[31mred"),
        ("x" * 5_000, "x" * NAME_CHARS),
        ("half \ud800", "half"),
        ("\u202e", UNNAMED),
        ("", UNNAMED),
        (None, UNNAMED),
        ({"en": "x"}, UNNAMED),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ],
)
def test_names_can_be_shown(given: object, shown: str) -> None:
    assert metadata.display_name(given) == shown


async def test_too_many_registrations(world: World) -> None:
    program = world.program()
    statuses = [(await program.register()).status_code for _ in range(61)]
    assert statuses == [201] * 60 + [429]
    refused = await program.register()
    assert int(refused.headers["retry-after"]) > 0


async def test_clients_that_nobody_used_are_forgotten(world: World) -> None:
    used, unused = await world.registered(), await world.registered()
    await world.tokens(used)
    world.clock.jump(UNUSED_LIFE.total_seconds() + 1)
    await world.registered()
    find = world.gateway.core.clients.find
    assert await find(used.client_id) is not None
    assert await find(unused.client_id) is None
    page = await world.person.question(unused.address())
    assert page.status_code == 400
    assert "not registered" in page.text
