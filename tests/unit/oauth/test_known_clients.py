"""Clients that people have, from nothing but the gateway's address: what each of them does, step by step."""

import re
from dataclasses import dataclass

import pytest

from tests.support.oauth import Program
from tests.support.push_client import INITIALIZE
from tests.support.requirement import requirement
from tests.unit.oauth.conftest import URL, World

MCP = f"{URL}/mcp"
ASKED = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Known:
    name: str
    redirect_uris: tuple[str, ...]
    """Registered together."""
    used: str
    document: str | None = None
    """Its id, where it is known by a document instead of a registration."""


CLAUDE = ("https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback")
CURSOR = (
    "cursor://anysphere.cursor-mcp/oauth/callback",
    "https://www.cursor.com/agents/mcp/oauth/callback",
    "http://localhost:8787/callback",
)
CLIENTS = [
    Known("Claude", CLAUDE, CLAUDE[0]),
    Known("Claude", CLAUDE, CLAUDE[0], "https://claude.ai/oauth/mcp-oauth-client-metadata"),
    Known("Claude Code", ("http://localhost/callback",), "http://localhost:54212/callback"),
    Known(
        "Claude Code",
        ("http://localhost/callback", "http://127.0.0.1/callback"),
        "http://127.0.0.1:60001/callback",
        "https://claude.ai/oauth/claude-code-client-metadata",
    ),
    Known("ChatGPT", ("https://chatgpt.com/connector/oauth/abc",), "https://chatgpt.com/connector/oauth/abc"),
    *(Known("Cursor", CURSOR, uri) for uri in CURSOR),
]


async def program_of(world: World, client: Known, registration: str) -> Program:
    program = world.program(redirect_uri=client.used)
    if client.document is not None:
        told = {
            "client_id": client.document,
            "client_name": client.name,
            "redirect_uris": list(client.redirect_uris),
            "token_endpoint_auth_method": "none",
        }
        world.elsewhere.serve(client.document, told)
        program.client_id = client.document
    else:
        assert registration == f"{URL}/register"
        made = await program.register(client.redirect_uris, client_name=client.name)
        assert made.status_code == 201, made.text
    return program


@requirement("R-257")
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: f"{client.name} {client.used}")
async def test_the_address_alone_is_enough(world: World, client: Known) -> None:
    refused = await world.http.post(MCP, json=INITIALIZE, headers=ASKED)
    assert refused.status_code == 401
    found = re.search(r'resource_metadata="([^"]+)"', refused.headers["www-authenticate"])
    assert found is not None
    resource = (await world.http.get(found[1])).json()
    assert resource["resource"] == MCP
    (server,) = resource["authorization_servers"]
    metadata = (await world.http.get(f"{server}/.well-known/oauth-authorization-server")).json()
    assert metadata["issuer"] == server
    assert (metadata["authorization_endpoint"], metadata["token_endpoint"]) == (
        f"{URL}/authorize",
        f"{URL}/token",
    )
    program = await program_of(world, client, metadata["registration_endpoint"])
    scope = " ".join(resource["scopes_supported"])
    tokens = await world.tokens(program, resource=MCP, scope=scope)
    own = {**ASKED, "authorization": f"Bearer {tokens['access_token']}"}
    opened = await world.http.post(MCP, json=INITIALIZE, headers=own)
    assert opened.json()["result"]["serverInfo"]["name"] == "chamade"
    listing = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    tools = await world.http.post(MCP, json=listing, headers=own)
    assert len(tools.json()["result"]["tools"]) == 15
