"""An OAuth client and a person's browser, both scripted, over plain HTTP."""

import base64
import hashlib
import re
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import unescape
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import httpx2

from chamade_mcp.kit.outbound import Outbound

EMAIL, PASSWORD = "owner@example.org", "correct horse battery"
CALLBACK = "http://127.0.0.1:7777/callback"
PUBLIC_ADDRESS = "93.184.215.14"
_FIELD = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


def fields_of(page: httpx2.Response) -> dict[str, str]:
    """The hidden fields of the page's form."""
    return {name: unescape(value) for name, value in _FIELD.findall(page.text)}


def parameters_of(location: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(location).query))


class Person:
    """Somebody with a browser: cookies are kept, forms are sent as a browser sends them."""

    def __init__(self, http: httpx2.AsyncClient, url: str) -> None:
        self.http = http
        self.url = url

    async def get(self, where: str) -> httpx2.Response:
        return await self.http.get(urljoin(self.url, where), headers={"accept": "text/html"})

    async def post(self, where: str, fields: Mapping[str, str], **headers: str) -> httpx2.Response:
        told = {"accept": "text/html", "origin": self.url, **headers}
        return await self.http.post(urljoin(self.url, where), data=dict(fields), headers=told)

    async def sign_in(self, email: str = EMAIL, password: str = PASSWORD, **fields: str) -> httpx2.Response:
        form = fields_of(await self.get("/sign-in"))
        return await self.post("/sign-in", {**form, "email": email, "password": password, **fields})

    async def question(self, address: str) -> httpx2.Response:
        """Opens an authorization address and goes on until a page is shown, over the sign-in if need be."""
        page = await self.get(address)
        for _ in range(6):
            if page.status_code != 303:
                return page
            where = page.headers["location"]
            if where.startswith("/sign-in?"):
                page = await self.sign_in(next=parameters_of(where)["next"])
            elif where.startswith("/"):
                page = await self.get(where)
            else:
                return page
        raise AssertionError("sent round in circles")

    async def decide(self, page: httpx2.Response, decision: str = "allow", **headers: str) -> httpx2.Response:
        return await self.post("/mcp-auth/consent", {**fields_of(page), "decision": decision}, **headers)

    async def answer(self, address: str, decision: str = "allow") -> str:
        """Where the browser is sent in the end: to the client."""
        page = await self.question(address)
        if page.status_code != 303:
            assert page.status_code == 200, page.text
            page = await self.decide(page, decision)
        assert page.status_code == 303, page.text
        return page.headers["location"]


@dataclass
class Program:
    """An OAuth client. Shows its secret as it was registered to."""

    http: httpx2.AsyncClient
    url: str
    client_id: str = ""
    secret: str | None = None
    method: str = "none"
    redirect_uri: str = CALLBACK
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    async def register(self, uris: Sequence[str] = (CALLBACK,), **metadata: object) -> httpx2.Response:
        document = {
            "client_name": "A test",
            "redirect_uris": list(uris),
            "token_endpoint_auth_method": self.method,
            "grant_types": ["authorization_code", "refresh_token"],
            **metadata,
        }
        response = await self.http.post(f"{self.url}/register", json=document)
        if response.status_code == 201:
            told = cast(dict[str, Any], response.json())
            self.client_id, self.secret = told["client_id"], told.get("client_secret")
        return response

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def address(self, **changes: str | None) -> str:
        """The authorization request. A change to None leaves the parameter out."""
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            "state": self.state,
            **changes,
        }
        return f"{self.url}/authorize?{urlencode({k: v for k, v in parameters.items() if v is not None})}"

    async def post(self, path: str, form: Mapping[str, str]) -> httpx2.Response:
        fields, headers = dict(form), dict[str, str]()
        if self.method == "client_secret_basic":
            shown = base64.b64encode(f"{self.client_id}:{self.secret}".encode()).decode()
            headers["authorization"] = f"Basic {shown}"
        else:
            fields.setdefault("client_id", self.client_id)
            if self.secret is not None:
                fields.setdefault("client_secret", self.secret)
        return await self.http.post(f"{self.url}{path}", data=fields, headers=headers)

    async def redeem(self, location: str, **changes: str) -> httpx2.Response:
        """Exchanges the code in `location`, after looking at it as a client must."""
        told = parameters_of(location)
        assert location.partition("?")[0] == self.redirect_uri.partition("?")[0]
        assert (told["state"], told["iss"]) == (self.state, self.url)
        form = {
            "grant_type": "authorization_code",
            "code": told["code"],
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
            **changes,
        }
        return await self.post("/token", {name: value for name, value in form.items() if value})

    async def refresh(self, token: str, **more: str) -> httpx2.Response:
        return await self.post("/token", {"grant_type": "refresh_token", "refresh_token": token, **more})


class Elsewhere(httpx2.AsyncBaseTransport):
    """The rest of the world, in memory: records where a connection would go, and answers with `documents`."""

    def __init__(self) -> None:
        self.documents: dict[str, httpx2.Response] = {}
        """By the URL with its name, as it was asked for."""
        self.names: dict[str, Sequence[str]] = {}
        """Addresses by host; what is not there has a public one."""
        self.resolved: list[str] = []
        self.connected: list[tuple[str, str]] = []
        """Address and server name of every connection."""

    def outbound(self) -> Outbound:
        return Outbound(resolve=self.resolve, transport=self)

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.resolved.append(host)
        return self.names.get(host, (PUBLIC_ADDRESS,))

    def serve(self, url: str, document: Mapping[str, object], **headers: str) -> None:
        self.documents[url] = httpx2.Response(200, json=dict(document), headers=headers)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        name = str(request.extensions["sni_hostname"])
        self.connected.append((request.url.host, name))
        known = self.documents.get(f"https://{request.headers['host']}{request.url.raw_path.decode()}")
        if known is None:
            return httpx2.Response(404, stream=_Body(b""))
        return httpx2.Response(known.status_code, headers=known.headers, stream=_Body(known.content))


class _Body(httpx2.AsyncByteStream):
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body
