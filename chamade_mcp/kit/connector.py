"""The contract between the gateway and a platform.

A connector is one folder below ``connectors/`` whose ``connector.py`` has an object named ``connector``.
It translates: the platform's words come in as facts, our messages and audio go out. It keeps no account,
no inbox and no call state, never retries by itself, and imports from ``kit``, ``audio`` and ``model`` alone.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from starlette.types import ASGIApp

from chamade_mcp.audio.frame import Samples
from chamade_mcp.audio.port import AudioPort
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.connection import People, StoredConnection
from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.kit.ticker import Ticker
from chamade_mcp.model.access import Scope
from chamade_mcp.model.facts import Fact
from chamade_mcp.model.ids import CallId, ConversationRef, MessageRef, ParticipantRef, RoomRef
from chamade_mcp.model.messages import Attachment, Delivery, DeliveryState, Outgoing

ROOM = ParticipantRef("room")
"""The key of a leg's one mixed port: everybody in the room but this leg."""


class AuthNeeded(Exception):
    """The platform no longer accepts the stored authorisation: stop, and ask the person."""


class PlatformUnavailable(Exception):
    """The platform cannot be reached; the supervisor opens the link again after `retry_after` seconds."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class WindowClosed(Exception):
    """The platform takes nothing for this person until they have written again; nothing was sent.

    Only where the manifest has a `window`, and its clock and ours disagree.
    """


class EndReason(StrEnum):
    ENDED = "ended"
    """The platform closed the room, or the agent was removed from it."""
    DISCONNECTED = "disconnected"
    """The tie broke: the room may go on without us."""


class InviteKind(StrEnum):
    ROOM = "room"
    CHAT = "chat"


@dataclass(frozen=True, slots=True)
class Invite:
    """What a link that was handed to a person opens."""

    scope: Scope
    kind: InviteKind
    ref: str
    """The `RoomRef` or `ConversationRef` it opens."""
    title: str
    agent_name: str
    expires_at: datetime


class Invites(Protocol):
    """Links that let a person in without an account. Kept by the core, hashed."""

    async def issue(
        self, scope: Scope, kind: InviteKind, *, title: str, agent_name: str
    ) -> tuple[str, Invite]:
        """Makes a link of the account's usual lifetime; the token is told this once."""
        ...

    async def admit(self, token: str) -> Invite | None:
        """What `token` opens; None when it is unknown, revoked or expired (told alike, on purpose)."""
        ...

    def watch(self, token: str) -> AbstractAsyncContextManager[Awaitable[None]]:
        """Inside, the awaitable finishes once the link has been revoked or has expired."""
        ...


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file, to be read once."""

    size_bytes: int
    chunks: AsyncIterator[bytes]


class Files(Protocol):
    @property
    def max_bytes(self) -> int:
        """The cap of one file."""
        ...

    async def save(self, scope: Scope, *, name: str, mime: str, chunks: AsyncIterator[bytes]) -> Attachment:
        """Streams a file in; raises `TooLarge` at the first byte over the cap."""
        ...

    async def keep(
        self, scope: Scope, ref: str, *, name: str, mime: str, size_bytes: int | None
    ) -> Attachment:
        """A file that stays at the platform until somebody wants it: then `Fetches.fetch(ref)` gives it.

        The same `ref` again is the same file. `size_bytes` is what the platform says, if it does.
        """
        ...

    async def open(self, attachment: Attachment) -> Content:
        """What is in an attachment of an `Outgoing`.

        Raises `Gone` when it is no longer kept, and `Unavailable` when the platform that keeps it is down.
        """
        ...


class Emit(Protocol):
    """Hands facts to the core, in their order; returns once all of them are committed. Only then acknowledge
    them to the platform. Messages that follow one another are stored together."""

    def __call__(self, scope: Scope, /, *facts: Fact) -> Awaitable[None]: ...


@dataclass(frozen=True, slots=True)
class PastReaction:
    emoji: str
    sender_ref: str
    """Of the person; "" is the agent."""
    sender_name: str


@dataclass(frozen=True, slots=True)
class PastMessage:
    """A stored direct message, for a page that shows a conversation again."""

    ref: str
    """Our message id."""
    key: str
    """The key or platform ref it came with: tells a resend from a new message."""
    inbound: bool
    sender_name: str
    text: str
    attachments: tuple[Attachment, ...]
    at: datetime
    reply_to: str | None = None
    """The `key` of the message it quotes."""
    edited_at: datetime | None = None
    deleted: bool = False
    """It was taken back: nothing is left of what it said."""
    reactions: tuple[PastReaction, ...] = ()
    state: DeliveryState | None = None
    """Of what the agent said."""
    by_hand: bool = False
    """The agent's owner wrote it, whose name `sender_name` is."""


class History(Protocol):
    async def recent(self, scope: Scope, conversation: ConversationRef, limit: int) -> Sequence[PastMessage]:
        """The newest `limit` messages, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a live link may use of the gateway. It outlives no link."""

    clock: Clock
    ticker: Ticker
    emit: Emit
    invites: Invites
    files: Files
    history: History
    public_url: str
    """Without a trailing slash, as people's browsers see it."""
    settings: Mapping[str, str] = field(repr=False)
    """By the names of the manifest: the bot's own, or those the gateway's operator gave the shared bot."""
    secret: Callable[[str], bytes] = field(repr=False)
    """32 bytes derived from the gateway's key for a named purpose."""
    people: People
    connection: StoredConnection | None = None
    """None: the link serves everybody."""


class CallLeg(Protocol):
    """The platform side of one presence of the agent in a room."""

    def ports(self) -> Mapping[ParticipantRef, AudioPort]:
        """One mixed port under `ROOM`, or one per participant; empty on a platform without voice."""
        ...

    async def send_chat(self, message: Outgoing) -> Delivery: ...

    async def typing(self) -> None: ...

    async def caption(self, speaker: str, text: str) -> None:
        """Shows a line of transcript to the people, where the platform can; otherwise does nothing."""
        ...

    async def ended(self) -> EndReason:
        """Returns when the platform side is over. Leaving is the exit of `Calls.join`."""
        ...


@runtime_checkable
class Overheard(Protocol):
    """A `CallLeg` that has one mixed port, but knows each participant's own sound as well."""

    def overhear(self, sink: Callable[[ParticipantRef, Samples], None] | None) -> None:
        """From now on `sink` gets 20 ms of each who is audible, this leg left out, on every beat before the
        phase DELIVER; None: no longer. It must be cheap while nobody listens."""
        ...


@runtime_checkable
class Dials(Protocol):
    """A `CallLeg` with keys to press, as a telephone has. What people press comes as `DigitPressed`."""

    async def dial(self, digits: str) -> None:
        """Presses ``0-9 * # A-D``, one after another, and returns once all are pressed. Raises
        `PlatformUnavailable`, or `PlatformRefused` with the platform's reason."""
        ...


@runtime_checkable
class ShowsRecording(Protocol):
    """A `CallLeg` whose platform can tell people that they are recorded."""

    async def show_recording(self, on: bool) -> None:
        """Returns once those who are there are told; who comes later is told on entering. Nothing is recorded
        before, nor when this raises `PlatformUnavailable` or a `GatewayError`. Leaving takes it back."""
        ...


class Calls(Protocol):
    async def create(self, scope: Scope, agent_name: str) -> str:
        """A new room's meeting URL. Only where the manifest says `creates_rooms`."""
        ...

    async def locate(self, meeting_url: str) -> RoomRef:
        """The room a URL names; `InvalidRequest` when it is none of this platform's."""
        ...

    def join(
        self, scope: Scope, room: RoomRef, call: CallId, agent_name: str
    ) -> AbstractAsyncContextManager[CallLeg]:
        """Entering joins; leaving leaves, and doing so twice is harmless.

        Raises `PlatformUnavailable`, or a `GatewayError` that says why the agent may not come in. Entering
        is cancelled when the agent gives up.
        """
        ...

    async def refuse(self, room: RoomRef) -> None:
        """Tells the platform that nobody will answer a `CallInvited` (refused or missed)."""
        ...


class Messages(Protocol):
    async def send(self, to: ConversationRef, message: Outgoing) -> Delivery:
        """Sends once per `message.key`; raises `PlatformRefused` with the reason, or `WindowClosed`.

        `Unavailable`, with the platform's `retry_after` where it names one, is tried again: also for a rate
        limit. A platform that did not answer in time is no error: the delivery's state is then `unknown`.
        """
        ...

    async def typing(self, to: ConversationRef) -> None:
        """Shows the typing indicator; where the platform has none, does nothing."""
        ...

    async def invite(self, scope: Scope, agent_name: str) -> tuple[str, Invite]:
        """A URL a person opens to start a conversation, and what it opens."""
        ...


@runtime_checkable
class Edits(Protocol):
    """`Messages` of a platform with the feature `edit`."""

    async def edit(self, to: ConversationRef, ref: MessageRef, message: Outgoing) -> None:
        """Puts `message`'s text in the place of what the agent said as `ref`; attachments stay as they are.

        The same text again is harmless. Raises `PlatformRefused`, as when it is too old or gone.
        """
        ...


@runtime_checkable
class Deletes(Protocol):
    """`Messages` of a platform with the feature `delete`."""

    async def delete(self, to: ConversationRef, ref: MessageRef) -> None:
        """Takes back what the agent said; one that is gone already is no error. Raises `PlatformRefused`."""
        ...


@runtime_checkable
class Reacts(Protocol):
    """`Messages` of a platform with the feature `react`."""

    async def react(self, to: ConversationRef, ref: MessageRef, emoji: str, *, on: bool) -> None:
        """Puts the agent's `emoji` on anybody's message, or takes it away; either twice is harmless.

        Raises `PlatformRefused` for an emoji or a message that the platform does not take.
        """
        ...


@runtime_checkable
class Nudges(Protocol):
    """`Messages` of a platform with a `window`."""

    async def nudge(self, to: ConversationRef, key: str, preview: str) -> None:
        """Asks the person to write again, in the way the platform allows then: once per `key`.

        `preview` is the beginning of what waits for them, one line without markup. Raises `PlatformRefused`.
        """
        ...


class Link(Protocol):
    """One live connection to a platform."""

    @property
    def calls(self) -> Calls | None: ...

    @property
    def messages(self) -> Messages | None: ...


@runtime_checkable
class Fetches(Protocol):
    """A link of a platform that keeps the files people send."""

    def fetch(self, ref: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes of what `Files.keep` was told of. Raises `Gone` with the reason when the platform no
        longer has them or does not give them, and `PlatformUnavailable`."""
        ...


@runtime_checkable
class Served(Protocol):
    """A link that people's browsers talk to directly: the gateway mounts `app` at ``/live/<platform>``."""

    @property
    def app(self) -> ASGIApp: ...


class Connector(Protocol):
    """One per platform, stateless. `kit.connection` has facets that it may have besides."""

    manifest: Manifest

    def open(self, ctx: Context) -> AbstractAsyncContextManager[Link]:
        """Held by one supervisor task. May raise only `AuthNeeded` or `PlatformUnavailable`.

        A tie that breaks later cancels the body and leaves with one of the two, as a task group does.
        """
        ...
