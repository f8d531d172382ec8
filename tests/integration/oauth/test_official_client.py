"""The official SDK's client signs in by itself: discovery, registration, the person, step-up, renewal."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import httpx2
import pytest
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, OAuthFlowError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from mcp_types import CallToolResult
from pydantic import AnyUrl

from chamade_mcp.app.server import Server, listen
from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import Gateway, build
from tests.support.oauth import EMAIL, PASSWORD, Elsewhere, Person, parameters_of
from tests.support.waiting import BOUND_S

DOCUMENT = "https://client.example/oauth/metadata.json"
MODES = ("legacy", "2026-07-28")


class Storage:
    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class SignedIn:
    """The SDK's provider, and a person who says yes to all that it asks."""

    def __init__(self, person: Person, storage: Storage, server: str, document: str | None = None) -> None:
        self.person = person
        self.asked: list[str] = []
        self.iss: str | None = ""
        """What the callback says instead of the truth; None leaves it out."""
        self._location = ""
        self.provider = OAuthClientProvider(
            server,
            OAuthClientMetadata(
                client_name="The SDK",
                redirect_uris=[AnyUrl("http://localhost:3030/callback")],
                token_endpoint_auth_method="none",
            ),
            storage,
            redirect_handler=self._open,
            callback_handler=self._callback,
            client_metadata_url=document,
        )

    async def _open(self, address: str) -> None:
        self.asked.append(parameters_of(address)["scope"])
        self._location = await self.person.answer(address)

    async def _callback(self) -> AuthorizationCodeResult:
        told = parameters_of(self._location)
        iss = told["iss"] if self.iss == "" else self.iss
        return AuthorizationCodeResult(code=told["code"], state=told["state"], iss=iss)


class Scene:
    def __init__(self, gateway: Gateway, url: str, elsewhere: Elsewhere, person: Person) -> None:
        self.gateway = gateway
        self.url = url
        self.elsewhere = elsewhere
        self.person = person

    @asynccontextmanager
    async def connect(self, signed_in: SignedIn, mode: str, path: str = "/mcp/") -> AsyncGenerator[Client]:
        async with (
            httpx2.AsyncClient(auth=signed_in.provider, timeout=BOUND_S) as http,
            Client(streamable_http_client(f"{self.url}{path}", http_client=http), mode=mode) as client,
        ):
            yield client

    def signed_in(self, storage: Storage, path: str = "/mcp/", document: str | None = None) -> SignedIn:
        return SignedIn(self.person, storage, f"{self.url}{path}", document)

    async def grants(self) -> Sequence[dict[str, object]]:
        owner = await self.gateway.core.accounts.find_by_email(EMAIL)
        assert owner is not None
        return await self.gateway.core.grants.list(owner.bounds)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncGenerator[Scene]:
    elsewhere = Elsewhere()
    listener = listen(Settings(host="127.0.0.1", port=0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with build(
        Settings(data_dir=tmp_path / "data", public_url=url), outbound=elsewhere.outbound()
    ) as gateway:
        await gateway.core.accounts.create(EMAIL, PASSWORD, verified=True)
        server = Server(gateway.app, drain=gateway.drain)
        serving = asyncio.create_task(server.serve([listener]))
        async with httpx2.AsyncClient() as http:
            yield Scene(gateway, url, elsewhere, Person(http, url))
        server.should_exit = True
        await asyncio.wait_for(serving, BOUND_S)


def document_of(result: CallToolResult) -> dict[str, object]:
    assert result.is_error is False, result.content
    return cast(dict[str, object], result.structured_content)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp/?stateful"])
async def test_the_url_alone_is_enough(scene: Scene, mode: str, path: str) -> None:
    if "stateful" in path:
        mode = "legacy"
    storage = Storage()
    signed_in = scene.signed_in(storage, path)
    async with scene.connect(signed_in, mode, path) as client:
        assert "platforms" in document_of(await client.call_tool("chamade_account", {}))
    assert signed_in.asked == ["read message call offline_access"]
    assert storage.tokens is not None
    assert storage.tokens.scope == "read message call"
    (grant,) = await scene.grants()
    assert grant["client_name"] == "The SDK"
    later = scene.signed_in(storage, path)
    async with scene.connect(later, mode, path) as client:
        document_of(await client.call_tool("chamade_account", {}))
    assert later.asked == [], "tokens were kept"


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_is_known_by_its_document(scene: Scene, mode: str) -> None:
    scene.elsewhere.serve(
        DOCUMENT,
        {
            "client_id": DOCUMENT,
            "client_name": "Known",
            "redirect_uris": ["http://localhost/callback"],
            "token_endpoint_auth_method": "none",
        },
    )
    storage = Storage()
    async with scene.connect(scene.signed_in(storage, document=DOCUMENT), mode) as client:
        document_of(await client.call_tool("chamade_account", {}))
    (grant,) = await scene.grants()
    assert (grant["client_id"], grant["client_host"]) == (DOCUMENT, "client.example")
    assert storage.client is not None
    assert storage.client.client_id == DOCUMENT


@pytest.mark.parametrize("mode", MODES)
async def test_an_access_token_that_is_gone_is_renewed_without_a_word(scene: Scene, mode: str) -> None:
    storage = Storage()
    async with scene.connect(scene.signed_in(storage), mode) as client:
        document_of(await client.call_tool("chamade_account", {}))
    assert storage.tokens is not None
    before = storage.tokens
    storage.tokens = before.model_copy(update={"access_token": "", "expires_in": 0})
    later = scene.signed_in(storage)
    async with scene.connect(later, mode) as client:
        document_of(await client.call_tool("chamade_account", {}))
    assert later.asked == []
    assert storage.tokens.refresh_token != before.refresh_token


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_lacks_a_permission_asks_the_person_for_it(scene: Scene, mode: str) -> None:
    storage = Storage()
    signed_in = scene.signed_in(storage)
    async with scene.connect(signed_in, mode) as client:
        document_of(await client.call_tool("chamade_account", {}))
        assert storage.tokens is not None
        assert storage.client is not None
        # As if the person had let it read only.
        form = {
            "grant_type": "refresh_token",
            "refresh_token": storage.tokens.refresh_token,
            "client_id": storage.client.client_id,
            "scope": "read",
        }
        narrow = await scene.person.http.post(f"{scene.url}/token", data=form)
        signed_in.provider.context.current_tokens = OAuthToken.model_validate(narrow.json())
        refused = await client.call_tool("chamade_dm_typing", {"platform": "web"})
        told = cast(dict[str, object], refused.structured_content)
        assert told["code"] == "NO_ACTIVE_CONVERSATION", "it was let through, and then nobody was there"
    (again,) = signed_in.asked[1:]
    assert {"read", "message"} <= set(again.split())


@pytest.mark.parametrize("mode", MODES)
async def test_what_was_taken_back_has_to_be_asked_for_again(scene: Scene, mode: str) -> None:
    storage = Storage()
    signed_in = scene.signed_in(storage)
    async with scene.connect(signed_in, mode) as client:
        document_of(await client.call_tool("chamade_account", {}))
        (grant,) = await scene.grants()
        owner = await scene.gateway.core.accounts.find_by_email(EMAIL)
        assert owner is not None
        await scene.gateway.core.grants.revoke(owner.bounds, str(grant["id"]))
        document_of(await client.call_tool("chamade_account", {}))
    assert len(signed_in.asked) == 2
    (new,) = await scene.grants()
    assert new["id"] != grant["id"]


@pytest.mark.parametrize("iss", ["https://evil.example", None])
async def test_an_answer_of_another_server_is_not_taken(scene: Scene, iss: str | None) -> None:
    """RFC 9207: we say that we always name ourselves, so a client notices a mix-up."""
    signed_in = scene.signed_in(Storage())
    signed_in.iss = iss
    with pytest.RaisesGroup(OAuthFlowError, flatten_subgroups=True, allow_unwrapped=True):
        async with scene.connect(signed_in, "legacy") as client:
            await client.list_tools()
