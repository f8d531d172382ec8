"""Who is asking, and what they may do."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from chamade_mcp.model.ids import AccountId, AgentId, GrantId, KeyId


class Permission(StrEnum):
    """What a key may do. A browser session may do everything its account may."""

    READ = "read"
    """Look at the account, the inbox and calls."""
    MESSAGE = "message"
    """Send messages, typing and files."""
    CALL = "call"
    """Join, answer and leave calls; send and hear audio."""
    MANAGE = "manage"
    """Keys, connections, links, profile."""


ALL_PERMISSIONS = frozenset(Permission)


class Scope(NamedTuple):
    """Whose things these are: an agent of an account. Every query is bound to one."""

    account: AccountId
    agent: AgentId


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far somebody's look goes: one agent of an account, or (None) all of them."""

    account: AccountId
    agent: AgentId | None

    def holds(self, scope: Scope) -> bool:
        return scope.account == self.account and self.agent in (None, scope.agent)

    def covers(self, other: "Bounds") -> bool:
        return other.account == self.account and self.agent in (None, other.agent)


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: by a `key`, by an access token of a `grant`, or from a `browser`."""

    scope: Scope
    permissions: frozenset[Permission]
    email_verified: bool
    key: KeyId | None = None
    grant: GrantId | None = None
    browser: str | None = None
    """Names the session of a person who has signed in, and opens nothing."""

    @property
    def account(self) -> AccountId:
        return self.scope.account

    @property
    def bounds(self) -> Bounds:
        """A key or a token reaches what is its agent's; a person who has signed in, all of the account."""
        return Bounds(self.account, self.scope.agent if self.browser is None else None)


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal together with what travels on when one part of the gateway calls another for it.

    `credential` is what the caller showed (an API key or an access token); never in a log or a repr.
    """

    principal: Principal
    credential: str = field(repr=False)
    request_id: str | None = None
    traceparent: str | None = None
    """W3C trace context, header value as received."""
