"""Passkeys over REST: what the gateway's own pages do with `navigator.credentials`."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, JsonValue, StringConstraints

from chamade_mcp.api.access import Gate
from chamade_mcp.api.account import OkWire, ProfileWire
from chamade_mcp.api.fields import Body, Line, Wire
from chamade_mcp.api.operation import Answer, AnyOperation, Asked, Group, Operation
from chamade_mcp.api.sign_ins import let_in, require_browser
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.core.devices import device_of
from chamade_mcp.core.passkeys import Passkeys
from chamade_mcp.model.access import Permission

_Credential = Annotated[
    dict[str, JsonValue], Field(description="What `PublicKeyCredential.toJSON()` gives in the browser")
]
_Transport = Annotated[str, StringConstraints(pattern=r"^[a-z-]{1,20}$")]


class NewPasskeyBody(Body):
    name: Line
    credential: _Credential
    transports: Annotated[list[_Transport], Field(max_length=10)] = Field(default_factory=list[str])


class PasskeyNameBody(Body):
    name: Line


class ShownBody(Body):
    credential: _Credential


class PasskeyWire(Wire):
    id: str
    name: str
    synced: Annotated[bool, Field(description="Kept by a password store, not by one device alone")]
    created_at: str
    last_used_at: str | None


class PasskeysWire(Wire):
    available: Annotated[bool, Field(description="Browsers give passkeys to the gateway's public URL")]
    passkeys: list[PasskeyWire]


class OptionsWire(Wire):
    options: Annotated[
        dict[str, JsonValue],
        Field(description="For `PublicKeyCredential.parse...OptionsFromJSON()`; good for five minutes, once"),
    ]


@dataclass(frozen=True, slots=True)
class PasskeyGroup:
    accounts: Accounts
    passkeys: Passkeys
    gate: Gate

    async def list(self, asked: Asked[None, None]) -> Answer:
        found = await self.passkeys.list(asked.principal)
        return {"available": self.passkeys.available, "passkeys": found}

    async def to_add(self, asked: Asked[None, None]) -> Answer:
        require_browser(asked.principal)
        return {"options": await self.passkeys.to_add(asked.principal)}

    async def add(self, asked: Asked[NewPasskeyBody, None]) -> Answer:
        require_browser(asked.principal)
        body = asked.body
        return await self.passkeys.add(asked.principal, body.name, body.credential, body.transports)

    async def rename(self, asked: Asked[PasskeyNameBody, None]) -> Answer:
        return await self.passkeys.rename(asked.principal, asked.ids["passkey_id"], asked.body.name)

    async def remove(self, asked: Asked[None, None]) -> Answer:
        await self.passkeys.remove(asked.principal, asked.ids["passkey_id"])
        return {"status": "ok"}

    async def to_sign_in(self, asked: Asked[None, None]) -> Answer:
        self.gate.require_same_origin(asked.headers)
        return {"options": await self.passkeys.to_sign_in()}

    async def sign_in(self, asked: Asked[ShownBody, None]) -> Answer:
        self.gate.require_same_origin(asked.headers)
        session = await self.passkeys.sign_in(asked.body.credential, device_of(asked.scope))
        return await let_in(self.accounts, self.gate, asked.headers, session)

    async def to_confirm(self, asked: Asked[None, None]) -> Answer:
        require_browser(asked.principal)
        return {"options": await self.passkeys.to_confirm(asked.principal)}

    async def confirm(self, asked: Asked[ShownBody, None]) -> Answer:
        require_browser(asked.principal)
        await self.passkeys.confirm(asked.principal, asked.body.credential)
        return {"status": "ok"}

    def group(self) -> Group:
        return Group(
            "Passkeys",
            "A person signs in with what their device keeps, and types nothing. They are made and shown in a "
            "browser, on the gateway's own pages.",
            (*self._own(), *self._shown()),
        )

    def _own(self) -> tuple[AnyOperation, ...]:
        manage, path, one = Permission.MANAGE, "/api/passkeys", "/api/passkeys/{passkey_id}"
        fresh, missing = ("SESSION_REQUIRED", "CONFIRMATION_REQUIRED"), {404: ("PASSKEY_NOT_FOUND",)}
        return (
            Operation(
                "GET", path, "List the passkeys", self.list, manage, every_agent=True, reply=PasskeysWire
            ),
            Operation(
                "POST",
                f"{path}/options",
                "What a browser needs to make a passkey",
                self.to_add,
                manage,
                reply=OptionsWire,
                errors={403: fresh, 501: ("NOT_AVAILABLE",)},
            ),
            Operation(
                "POST",
                path,
                "Keep a passkey that a browser has made",
                self.add,
                manage,
                body=NewPasskeyBody,
                reply=PasskeyWire,
                status=201,
                errors={
                    403: (*fresh, "PASSKEY_REFUSED"),
                    409: ("PASSKEY_KNOWN",),
                    429: ("PASSKEY_LIMIT_REACHED",),
                    501: ("NOT_AVAILABLE",),
                },
            ),
            Operation(
                "PATCH",
                one,
                "Rename a passkey",
                self.rename,
                manage,
                every_agent=True,
                body=PasskeyNameBody,
                reply=PasskeyWire,
                errors=missing,
            ),
            Operation(
                "DELETE",
                one,
                "Remove a passkey",
                self.remove,
                manage,
                every_agent=True,
                reply=OkWire,
                errors={403: ("CONFIRMATION_REQUIRED",), **missing},
            ),
        )

    def _shown(self) -> tuple[AnyOperation, ...]:
        manage, sign_in, confirm = Permission.MANAGE, "/api/sign-in/passkey", "/api/confirm/passkey"
        refused = {403: ("SESSION_REQUIRED", "PASSKEY_REFUSED"), 501: ("NOT_AVAILABLE",)}
        return (
            Operation(
                "POST",
                f"{sign_in}/options",
                "What a browser needs to show any passkey",
                self.to_sign_in,
                public=True,
                reply=OptionsWire,
                errors={403: ("CROSS_ORIGIN",), 501: ("NOT_AVAILABLE",)},
            ),
            Operation(
                "POST",
                sign_in,
                "Sign in with a passkey",
                self.sign_in,
                public=True,
                body=ShownBody,
                reply=ProfileWire,
                errors={
                    401: ("SIGN_IN_FAILED",),
                    403: ("CROSS_ORIGIN",),
                    429: ("RATE_LIMITED",),
                    501: ("NOT_AVAILABLE",),
                },
            ),
            Operation(
                "POST",
                f"{confirm}/options",
                "What a browser needs to show a passkey of the account",
                self.to_confirm,
                manage,
                reply=OptionsWire,
                errors={403: ("SESSION_REQUIRED",), 404: ("PASSKEY_NOT_FOUND",), 501: ("NOT_AVAILABLE",)},
            ),
            Operation(
                "POST",
                confirm,
                "Show with a passkey that it is still you",
                self.confirm,
                manage,
                body=ShownBody,
                reply=OkWire,
                errors=refused,
            ),
        )
