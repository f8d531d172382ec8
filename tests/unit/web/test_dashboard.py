"""The dashboard's frame: signing in and out, and what a browser is told with every page."""

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chamade_mcp.app.settings import Settings
from chamade_mcp.app.wiring import Gateway, build
from chamade_mcp.model.connections import Trust
from chamade_mcp.model.facts import MessageReceived
from chamade_mcp.model.ids import COMMON, ConversationRef, MessageRef, Platform
from chamade_mcp.model.messages import Sender
from chamade_mcp.web.assets import STATIC, Assets
from chamade_mcp.web.forms import MAX_FORM_BYTES, own_path
from chamade_mcp.web.navigation import NAVIGATION
from chamade_mcp.web.views import Views

EMAIL, PASSWORD = "ann@example.org", "correct horse battery"
PLAIN, SECURE = "http://127.0.0.1:8000", "https://voice.example.org"
PAGES = (
    *(f"/dashboard{entry.path}" for group in NAVIGATION for entry in group),
    "/dashboard/platforms/slack",  # the longest guide
)
HTML = {"accept": "text/html,application/xhtml+xml"}
PAGE_LIMIT_BYTES = 100_000
RECEIVER = "127.0.0.1:9"
"""Nothing is there, and nothing is sent."""


class Browser:
    """Keeps cookies, and says where its forms come from as a real one does."""

    def __init__(self, gateway: Gateway, url: str) -> None:
        self.url = url
        self.http = httpx2.AsyncClient(
            transport=httpx2.ASGITransport(gateway.app), base_url=url, headers=HTML
        )

    async def token(self, path: str = "/sign-in") -> str:
        return token_in(await self.http.get(path))

    async def post(
        self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> httpx2.Response:
        origin = {"origin": self.url} if headers is None else headers
        return await self.http.post(path, data=dict(fields), headers=dict(origin))

    async def sign_in(self, password: str = PASSWORD, **fields: str) -> httpx2.Response:
        form = {"email": EMAIL, "password": password, "token": await self.token(), **fields}
        return await self.post("/sign-in", form)


@asynccontextmanager
async def opened(database: Path, url: str) -> AsyncGenerator[tuple[Gateway, Browser]]:
    settings = Settings(data_dir=database.parent, public_url=url, webhook_private_hosts=RECEIVER)
    async with build(settings) as gateway:
        await gateway.core.accounts.create(EMAIL, PASSWORD, verified=True, name="Ann")
        browser = Browser(gateway, url)
        async with browser.http:
            yield gateway, browser


@pytest.fixture
async def opened_plain(database_path: Path) -> AsyncGenerator[tuple[Gateway, Browser]]:
    async with opened(database_path, PLAIN) as both:
        yield both


@pytest.fixture
def gateway(opened_plain: tuple[Gateway, Browser]) -> Gateway:
    return opened_plain[0]


@pytest.fixture
def browser(opened_plain: tuple[Gateway, Browser]) -> Browser:
    return opened_plain[1]


def token_in(page: httpx2.Response) -> str:
    found = re.search(r'name="token" value="([0-9a-f]{64})"', page.text)
    assert found is not None
    return found[1]


def cookies_of(response: httpx2.Response) -> dict[str, list[str]]:
    """Name to attributes, the value first."""
    out: dict[str, list[str]] = {}
    for header in response.headers.get_list("set-cookie"):
        pair, *attributes = header.split("; ")
        name, _, value = pair.partition("=")
        out[name] = [value, *attributes]
    return out


# --- signing in --------------------------------------------------------------------------------------------


async def test_the_root_leads_to_the_dashboard_and_that_to_the_form(browser: Browser) -> None:
    root = await browser.http.get("/")
    assert (root.status_code, root.headers["location"]) == (302, "/dashboard")
    for page in (*PAGES, "/dashboard/inbox/conv_1"):
        asked = await browser.http.get(page)
        assert (asked.status_code, asked.headers["location"]) == (303, f"/sign-in?next={page}")
        assert asked.headers["cache-control"] == "no-store"


async def test_the_cookie_over_plain_http(browser: Browser) -> None:
    answer = await browser.sign_in()
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard")
    value, *attributes = cookies_of(answer)["chamade"]
    assert len(value) == 43
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=2592000"} == set(attributes)
    for page in PAGES:
        shown = await browser.http.get(page)
        assert shown.status_code == 200
        assert EMAIL in shown.text
    assert (await browser.http.get("/sign-in?next=/dashboard/keys")).headers["location"] == "/dashboard/keys"


async def test_the_cookie_over_https_belongs_to_this_host_alone(database_path: Path) -> None:
    async with opened(database_path, SECURE) as (_, browser):
        made = cookies_of(await browser.sign_in())
        _, *attributes = made["__Host-chamade"]
        assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=2592000", "Secure"} == set(attributes)
        assert "chamade" not in made
        assert (await browser.http.get("/dashboard")).status_code == 200


async def test_the_cookie_opens_the_api_to_our_own_pages_only(browser: Browser) -> None:
    await browser.sign_in()
    assert (await browser.http.get("/api/account")).status_code == 200
    ours = await browser.http.post("/api/invite-link", json={"kind": "room"}, headers={"origin": PLAIN})
    assert ours.status_code == 200
    assert ours.json()["url"].startswith(f"{PLAIN}/r/")
    (listed,) = (await browser.http.get("/api/links")).json()["links"]
    assert (listed["id"], listed["kind"]) == (ours.json()["id"], "room")
    assert listed["expires_at"] == ours.json()["expires_at"]
    for headers in ({}, {"origin": "https://evil.example"}, {"origin": "null"}):
        refused = await browser.http.post("/api/invite-link", json={}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "CROSS_ORIGIN")


async def test_a_wrong_password_keeps_what_was_typed_but_the_password(browser: Browser) -> None:
    answer = await browser.sign_in(password="a wrong one", next="/dashboard/keys")
    assert answer.status_code == 401
    assert "The e-mail address or the password is wrong." in answer.text
    assert f'value="{EMAIL}"' in answer.text
    assert 'name="next" value="/dashboard/keys"' in answer.text
    assert "a wrong one" not in answer.text
    assert "chamade" not in cookies_of(answer)
    unknown = await browser.sign_in(email="nobody@example.org")
    assert unknown.status_code == 401
    assert "The e-mail address or the password is wrong." in unknown.text


@pytest.mark.parametrize("missing", ["email", "password"])
async def test_an_empty_field_is_said_in_place(browser: Browser, missing: str) -> None:
    answer = await browser.sign_in(**{missing: " " if missing == "email" else ""})
    assert answer.status_code == 422
    assert "Type the e-mail address and the password." in answer.text


async def test_what_was_typed_is_never_markup(browser: Browser) -> None:
    probe = '"><script>alert(1)</script>'
    answer = await browser.sign_in(email=probe, next=probe)
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text


async def test_too_many_attempts_are_answered_calmly(browser: Browser) -> None:
    for _ in range(10):
        assert (await browser.sign_in(password="guess")).status_code == 401
    answer = await browser.sign_in()
    assert answer.status_code == 429
    assert "Too many attempts. Try again in 15 minutes." in answer.text
    assert 890 < int(answer.headers["retry-after"]) <= 900
    assert f'value="{EMAIL}"' in answer.text


async def test_signing_in_again_ends_the_session_before(browser: Browser) -> None:
    """As from a second tab that showed the form all the while."""
    form = {"email": EMAIL, "password": PASSWORD, "token": await browser.token()}
    first = cookies_of(await browser.post("/sign-in", form))["chamade"][0]
    expired = await browser.post("/sign-in", form)
    assert expired.status_code == 403
    again = await browser.post("/sign-in", {**form, "token": token_in(expired)})
    second = cookies_of(again)["chamade"][0]
    browser.http.cookies.clear()
    old = await browser.http.get("/api/account", headers={"cookie": f"chamade={first}"})
    assert (old.status_code, old.json()["code"]) == (401, "SESSION_ENDED")
    assert (
        await browser.http.get("/api/account", headers={"cookie": f"chamade={second}"})
    ).status_code == 200


# --- forms of other sites ----------------------------------------------------------------------------------

FOREIGN = [
    {},
    {"origin": "null"},
    {"origin": "https://evil.example"},
    {"origin": f"{PLAIN}.evil.example"},
    {"origin": "http://127.0.0.1:9000"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_forms_of_other_sites_do_nothing(browser: Browser, headers: dict[str, str]) -> None:
    form = {"email": EMAIL, "password": PASSWORD, "token": await browser.token()}
    refused = await browser.post("/sign-in", form, headers)
    assert refused.status_code == 403
    assert "chamade" not in cookies_of(refused)

    await browser.sign_in()
    out = {"token": await browser.token("/dashboard")}
    assert (await browser.post("/sign-out", out, headers)).status_code == 403
    assert (await browser.http.get("/api/account")).status_code == 200


async def test_a_browser_that_sends_no_origin_may_say_same_origin(browser: Browser) -> None:
    form = {"email": EMAIL, "password": PASSWORD, "token": await browser.token()}
    assert (await browser.post("/sign-in", form, {"sec-fetch-site": "same-origin"})).status_code == 303


@pytest.mark.parametrize("token", ["", "0" * 64, "é"])
async def test_a_form_needs_the_token_of_its_browser(browser: Browser, token: str) -> None:
    answer = await browser.sign_in(token=token)
    assert answer.status_code == 403
    assert "This form has expired. Send it again." in answer.text
    assert f'value="{EMAIL}"' in answer.text
    assert (await browser.sign_in()).status_code == 303


async def test_the_token_of_another_browser_does_not_fit(gateway: Gateway, browser: Browser) -> None:
    other = Browser(gateway, PLAIN)
    async with other.http:
        assert (await browser.sign_in(token=await other.token())).status_code == 403


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"email": "ann@example.org"}'),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("application/x-www-form-urlencoded", "email=é".encode()),
        ("application/x-www-form-urlencoded", b"a=1&" * 30),
        ("application/x-www-form-urlencoded", b"email=" + b"a" * MAX_FORM_BYTES),
    ],
)
async def test_what_is_no_form_of_ours_is_refused(browser: Browser, content_type: str, body: bytes) -> None:
    headers = {"origin": PLAIN, "content-type": content_type}
    answer = await browser.http.post("/sign-in", content=body, headers=headers)
    assert answer.status_code == 400
    assert "The form did not arrive whole." in answer.text


# --- where one is sent on to --------------------------------------------------------------------------------

ELSEWHERE = [
    "https://evil.example",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "/\t/evil.example",
    "/\n//evil.example",
    " //evil.example",
    "javascript:alert(1)",
    "dashboard",
    "",
    "/dashboard\r\nset-cookie: a=b",
    "/é",
    "/" + "a" * 5000,
]
OWN = ["/dashboard/keys", "/dashboard/inbox/conv_k3n", "/docs/api", "/mcp-auth/consent?client=a%2Fb&x=1", "/"]


@pytest.mark.parametrize("wanted", ELSEWHERE)
async def test_nobody_is_sent_elsewhere(browser: Browser, wanted: str) -> None:
    assert own_path(wanted, "/dashboard") == "/dashboard"
    page = await browser.http.get("/sign-in", params={"next": wanted})
    assert 'name="next" value="/dashboard"' in page.text
    assert (await browser.sign_in(next=wanted)).headers["location"] == "/dashboard"
    assert (await browser.http.get("/sign-in", params={"next": wanted})).headers["location"] == "/dashboard"


@pytest.mark.parametrize("wanted", OWN)
async def test_one_gets_where_one_wanted_to_go(browser: Browser, wanted: str) -> None:
    assert (await browser.sign_in(next=wanted)).headers["location"] == wanted


# --- signing out -------------------------------------------------------------------------------------------


async def test_signing_out_ends_the_session_itself(browser: Browser) -> None:
    session = cookies_of(await browser.sign_in())["chamade"][0]
    token = await browser.token("/dashboard")
    assert (await browser.post("/sign-out", {"token": "0" * 64})).status_code == 403
    out = await browser.post("/sign-out", {"token": token})
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
    assert "Max-Age=0" in cookies_of(out)["chamade"]
    assert (await browser.http.get("/dashboard")).status_code == 303
    old = await browser.http.get("/api/account", headers={"cookie": f"chamade={session}"})
    assert old.status_code == 401
    assert (await browser.post("/sign-out", {})).headers["location"] == "/sign-in"  # twice is harmless


# --- the pages ---------------------------------------------------------------------------------------------


async def test_every_page_is_closed_to_foreign_code(browser: Browser) -> None:
    pages = [await browser.http.get("/sign-in")]
    await browser.sign_in()
    pages += [await browser.http.get(page) for page in (*PAGES, "/dashboard/nothing")]
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "form-action 'self'" in policy
        assert "unsafe" not in policy
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "same-origin"
        assert page.headers["cache-control"] == "no-store"
        assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", page.text) == []


def closure(name: str, seen: set[str]) -> set[str]:
    """A module and all that it imports."""
    if name not in seen:
        seen.add(name)
        for imported in re.findall(r'(?:from|import) "\./([\w.-]+)"', (STATIC / name).read_text()):
            closure(imported, seen)
    return seen


async def test_every_page_is_light_and_whole(browser: Browser) -> None:
    await browser.sign_in()
    for path in PAGES:
        page = await browser.http.get(path)
        assets = set(re.findall(r"(?:href|src)=\"(/static/[^\"]+)\"", page.text))
        assert len(assets) >= 4
        names = {asset.rsplit("/", 1)[1] for asset in assets}
        for script in [name for name in names if name.endswith(".js")]:
            names |= closure(script, set())
        for asset in assets:
            assert (await browser.http.get(asset)).status_code == 200
        weight = len(page.content) + sum((STATIC / name).stat().st_size for name in names)
        assert weight < PAGE_LIMIT_BYTES, (path, weight)
        icons = set(re.findall(r'href="#i-(\w+)"', page.text))
        assert icons <= set(re.findall(r'id="i-(\w+)"', page.text))


async def write(gateway: Gateway, email: str) -> str:
    """Somebody writes to the agent of `email`; the conversation's id."""
    owner = await gateway.core.accounts.find_by_email(email)
    assert owner is not None
    fact = MessageReceived(ConversationRef("c"), MessageRef("1"), Sender("m", "Mira"), "Hello")
    await gateway.core.inbox.received(owner.scope, (Platform("web"), COMMON), fact, Trust.INVITED)
    snapshot = await gateway.core.inbox.snapshot(owner)
    return snapshot["conversations"][0]["conversation_id"]


async def test_a_conversation_has_its_page_for_its_owner_alone(gateway: Gateway, browser: Browser) -> None:
    await gateway.core.accounts.create("other@example.org", PASSWORD, verified=True)
    mine, foreign = await write(gateway, EMAIL), await write(gateway, "other@example.org")
    await browser.sign_in()
    assert (await browser.http.get(f"/dashboard/inbox/{mine}")).status_code == 200
    for conversation in (foreign, "conv_none", "a%20b", "%00"):
        page = await browser.http.get(f"/dashboard/inbox/{conversation}")
        assert page.status_code == 404
        assert "<h1>There is nothing here</h1>" in page.text


async def test_a_webhook_has_its_page_for_its_owner_alone(gateway: Gateway, browser: Browser) -> None:
    await gateway.core.accounts.create("other@example.org", PASSWORD, verified=True)
    made: list[str] = []
    for email in (EMAIL, "other@example.org"):
        owner = await gateway.core.accounts.find_by_email(email)
        assert owner is not None
        made.append((await gateway.core.webhooks.create(owner, f"http://{RECEIVER}/hook", [], ""))["id"])
    await browser.sign_in()
    page = await browser.http.get(f"/dashboard/webhooks/{made[0]}")
    assert page.status_code == 200
    assert f'data-id="{made[0]}"' in page.text
    assert 'href="/dashboard/webhooks" aria-current="page"' in page.text
    for webhook in (made[1], "whk_none", "a%20b", "%00"):
        assert (await browser.http.get(f"/dashboard/webhooks/{webhook}")).status_code == 404


async def test_nothing_there_is_a_page_for_browsers_and_a_problem_for_programs(browser: Browser) -> None:
    page = await browser.http.get("/dashboard/no/such/page")
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    problem = await browser.http.get("/dashboard/no/such/page", headers={"accept": "*/*"})
    assert problem.status_code == 404
    assert problem.json()["code"] == "NOT_FOUND"
    elsewhere = await browser.http.get("/no/such/page")
    assert elsewhere.headers["content-type"] == "application/problem+json"
    slash = await browser.http.get("/dashboard/keys/")
    assert (slash.status_code, slash.headers["location"]) == (308, "/dashboard/keys")


async def test_our_own_failure_is_a_page_that_tells_no_detail(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(request: Request) -> Response:
        raise RuntimeError("the secret inside")

    app = Starlette(routes=[Route("/dashboard", Views(Assets.load()).guarded(broken))])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=PLAIN) as http:
        page = await http.get("/dashboard", headers=HTML)
    assert page.status_code == 500
    assert "Something went wrong here" in page.text
    assert "secret" not in page.text
    assert page.headers["x-request-id"] in page.text
    assert page.headers["x-request-id"] in caplog.text
