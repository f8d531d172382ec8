"""Connections: an agent's ties to platforms, and who may write over them."""

from dataclasses import dataclass
from enum import StrEnum


class ConnectionKind(StrEnum):
    OWN = "own"
    """A bot of the account's own, with credentials of its own and a link of its own."""
    SHARED = "shared"
    """People of this account on the bot that the gateway's operator runs for everybody."""


class ConnectionState(StrEnum):
    CONNECTING = "connecting"
    OK = "ok"
    UNAVAILABLE = "unavailable"
    """The platform is out of reach; it is tried again by itself."""
    AUTH_NEEDED = "auth_needed"
    """The platform no longer takes the credentials; a person has to give new ones."""


class Access(StrEnum):
    """Who may write to the agent over a connection."""

    OPEN = "open"
    """Anybody."""
    ALLOWLIST = "allowlist"
    """People who are paired; others are not answered."""
    PAIRING = "pairing"
    """People who are paired; others get a code that the owner can approve."""


class Standing(StrEnum):
    """Where a person stands with a connection."""

    PENDING = "pending"
    PAIRED = "paired"
    DENIED = "denied"


class Trust(StrEnum):
    """What vouches for the sender of a message. Their words are untrusted data all the same."""

    PAIRED = "paired"
    """The owner approved them, or they came by the owner's own link."""
    INVITED = "invited"
    """They hold a link that was handed out; it may have been passed on."""
    OPEN = "open"
    """Nothing: the connection is open to anybody."""
    AGENT = "agent"
    """It is no person, but an agent of this gateway."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a bot is on its platform, in the platform's words."""

    ref: str
    """Like the `Sender.ref` of what it writes: by it an agent's own words are known."""
    name: str
    """As people see or address it."""
    hook_ref: str = ""
    """What a webhook that comes to the platform's one address calls it by; empty where there is none."""

    def is_as(self, other: "Identity") -> bool:
        """The same bot: also one that got another id when it was installed anew."""
        return self.ref == other.ref or bool(self.hook_ref and self.hook_ref == other.hook_ref)
