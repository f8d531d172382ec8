"""Browsers in which a person is signed in: for the pages, which use the session's cookie."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StringConstraints
from starlette.responses import JSONResponse

from chamade_mcp.api.access import Gate, Headers
from chamade_mcp.api.account import OkWire, ProfileWire
from chamade_mcp.api.fields import Body, Password, Wire
from chamade_mcp.api.operation import Answer, AnyOperation, Asked, Group, Operation
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.devices import device_of
from chamade_mcp.model.access import Permission, Principal
from chamade_mcp.model.errors import Forbidden


class SignInBody(Body):
    email: Annotated[str, StringConstraints(min_length=1, max_length=254)]
    password: Password


class ConfirmBody(Body):
    password: Password


class SignInWire(Wire):
    id: str
    device: Annotated[str, Field(description="The browser, as it calls itself")]
    address: Annotated[str, Field(description="The network address of the sign-in; of IPv6 the network")]
    current: Annotated[bool, Field(description="The one that asks")]
    created_at: str
    last_used_at: str
    expires_at: str


class SignInsWire(Wire):
    sign_ins: list[SignInWire]


class EndedWire(OkWire):
    ended: int


def require_browser(principal: Principal) -> None:
    """Raises `Forbidden` for a key or an access token."""
    if principal.browser is None:
        raise Forbidden("This is for people in a browser", code="SESSION_REQUIRED")


async def let_in(accounts: Accounts, gate: Gate, headers: Headers, session: str) -> JSONResponse:
    """Who has just signed in is told who they are, and their browser keeps `session`; what it kept ends."""
    old = gate.session_of(headers)
    if old is not None:
        await accounts.sign_out(old)
    principal = await accounts.authenticate_session(session)
    response = JSONResponse(await accounts.profile(principal), headers={"cache-control": "no-store"})
    gate.let_in(response, session)
    return response


@dataclass(frozen=True, slots=True)
class SignInGroup:
    accounts: Accounts
    gate: Gate

    async def sign_in(self, asked: Asked[SignInBody, None]) -> Answer:
        self.gate.require_same_origin(asked.headers)
        body = asked.body
        session = await self.accounts.sign_in(body.email, body.password, device_of(asked.scope))
        return await let_in(self.accounts, self.gate, asked.headers, session)

    async def confirm(self, asked: Asked[ConfirmBody, None]) -> Answer:
        person = asked.principal
        require_browser(person)
        await self.accounts.verify_password(person, asked.body.password, "password")
        await self.accounts.sign_ins.confirm(person)
        return {"status": "ok"}

    async def list(self, asked: Asked[None, None]) -> Answer:
        return {"sign_ins": await self.accounts.sign_ins.list(asked.principal)}

    async def end(self, asked: Asked[None, None]) -> Answer:
        await self.accounts.sign_ins.end_one(asked.principal, asked.ids["sign_in_id"])
        return {"status": "ok"}

    async def end_others(self, asked: Asked[None, None]) -> Answer:
        return {"status": "ok", "ended": await self.accounts.sign_ins.end_others(asked.principal)}

    def group(self) -> Group:
        return Group(
            "Sign-ins",
            "Browsers in which a person is signed in. Agents have keys instead.",
            (*self._in(), *self._out()),
        )

    def _in(self) -> tuple[AnyOperation, ...]:
        return (
            Operation(
                "POST",
                "/api/sign-in",
                "Sign in, in a browser",
                self.sign_in,
                public=True,
                body=SignInBody,
                reply=ProfileWire,
                errors={401: ("SIGN_IN_FAILED",), 403: ("CROSS_ORIGIN",), 429: ("RATE_LIMITED",)},
                notes="For the gateway's own pages: the answer sets the session's cookie.",
            ),
            Operation(
                "POST",
                "/api/confirm",
                "Show that it is still you",
                self.confirm,
                Permission.MANAGE,
                body=ConfirmBody,
                reply=OkWire,
                errors={403: ("WRONG_PASSWORD", "SESSION_REQUIRED"), 429: ("RATE_LIMITED",)},
                notes="For ten minutes the browser may do what is dangerous: make a key that manages, delete "
                "the account, change its address or its passkeys. A sign-in counts as one.",
            ),
        )

    def _out(self) -> tuple[AnyOperation, ...]:
        manage, path = Permission.MANAGE, "/api/sign-ins"
        return (
            Operation(
                "GET",
                path,
                "Where the account is signed in",
                self.list,
                manage,
                every_agent=True,
                reply=SignInsWire,
            ),
            Operation(
                "DELETE",
                path,
                "Sign out everywhere else",
                self.end_others,
                manage,
                every_agent=True,
                reply=EndedWire,
                notes="With a key: everywhere.",
            ),
            Operation(
                "DELETE",
                f"{path}/{{sign_in_id}}",
                "Sign out one browser",
                self.end,
                manage,
                every_agent=True,
                reply=OkWire,
                errors={404: ("SIGN_IN_NOT_FOUND",)},
            ),
        )
