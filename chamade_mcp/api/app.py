"""The REST API and the WebSockets as one ASGI application."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from chamade_mcp.api.access import Gate, origin_of
from chamade_mcp.api.account import AccountGroup
from chamade_mcp.api.agents import AgentGroup
from chamade_mcp.api.calls import CallGroup
from chamade_mcp.api.connections import ConnectionGroup
from chamade_mcp.api.dispatch import Dispatch
from chamade_mcp.api.entrance import Entrance
from chamade_mcp.api.errors import Problems
from chamade_mcp.api.events import EventGroup
from chamade_mcp.api.files import FileGroup
from chamade_mcp.api.first_steps import FirstStepGroup
from chamade_mcp.api.grants import GrantGroup
from chamade_mcp.api.history import HistoryGroup
from chamade_mcp.api.hooks import HookGroup
from chamade_mcp.api.inbox import InboxGroup
from chamade_mcp.api.inbox_socket import PATH as INBOX_PATH
from chamade_mcp.api.inbox_socket import InboxStream
from chamade_mcp.api.keys import KeyGroup
from chamade_mcp.api.live import LiveGroup
from chamade_mcp.api.members import MemberGroup
from chamade_mcp.api.messages import MessageGroup
from chamade_mcp.api.once import Once
from chamade_mcp.api.operation import Group
from chamade_mcp.api.operator import OperatorGroup
from chamade_mcp.api.pairings import PairingGroup
from chamade_mcp.api.passkeys import PasskeyGroup
from chamade_mcp.api.platforms import PlatformGroup
from chamade_mcp.api.recordings import RecordingGroup
from chamade_mcp.api.reference import Reference
from chamade_mcp.api.retention import RetentionGroup
from chamade_mcp.api.routing import Router
from chamade_mcp.api.sign_ins import SignInGroup
from chamade_mcp.api.sip import SipGroup
from chamade_mcp.api.stream import CallStream
from chamade_mcp.api.system import SystemGroup
from chamade_mcp.api.troubles import TroubleGroup
from chamade_mcp.api.usage import UsageGroup
from chamade_mcp.api.webhooks import WebhookGroup
from chamade_mcp.core.gateway import Core
from chamade_mcp.core.onlookers import Onlookers
from chamade_mcp.kit.clock import Clock, SystemClock
from chamade_mcp.sessions.streams import Streams

SECURE_COOKIE = b"__Host-chamade"
PLAIN_COOKIE = b"chamade"


@dataclass(frozen=True, slots=True)
class Api:
    """ASGI for scopes of type ``http`` and ``websocket``. Answers unknown paths too, with a problem."""

    http: ASGIApp
    stream: CallStream
    inbox: InboxStream
    reference: Reference

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # No coroutine of its own around the others': a request that waits is 400 bytes lighter.
        if scope["type"] == "http":
            return self.http(scope, receive, send)
        return self._socket(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            at_inbox = scope["path"].rstrip("/") == INBOX_PATH
            await (self.inbox if at_inbox else self.stream)(scope, receive, send)


def api_app(
    core: Core,
    *,
    ready: Callable[[], bool],
    session_cookie_secure: bool,
    streams: Streams,
    clock: Clock | None = None,
) -> Api:
    """`streams` are looked after by the caller; `ready` says whether requests are taken.

    Over plain HTTP the session cookie has its other name.
    """
    clock = clock or SystemClock()
    cookie = SECURE_COOKIE if session_cookie_secure else PLAIN_COOKIE
    gate = Gate(core.accounts, cookie, origin_of(core.public_url))
    # base64 is a third longer than the bytes, and JSON stands around it.
    large_body_bytes = int(core.files.max_bytes * 1.4) + (1 << 16)
    once = Once(core.repeats)
    groups: list[Group] = [
        AccountGroup(core.accounts, core.members.addresses, core.overview).group(),
        SignInGroup(core.accounts, gate).group(),
        PasskeyGroup(core.accounts, core.members.passkeys, gate).group(),
        RetentionGroup(core.retention).group(),
        UsageGroup(core.usage).group(),
        CallGroup(core.calls, once).group(),
        RecordingGroup(core.calls, core.studio).group(),
        HistoryGroup(core.history).group(),
        InboxGroup(core.inbox, once).group(),
        MessageGroup(core.inbox).group(),
        EventGroup(core.hub, streams).group(),
        LiveGroup(Onlookers(core.calls, core.pairings), streams, clock).group(),
        WebhookGroup(core.webhooks).group(),
        FileGroup(core.files, large_body_bytes).group(),
        PlatformGroup(
            core.platforms, core.invitations, core.hooks.handovers, core.linking, core.public_url
        ).group(),
        ConnectionGroup(core.connections, core.overview).group(),
        PairingGroup(core.pairings, core.connections).group(),
        HookGroup(core.hooks).group(),
        AgentGroup(core.agents).group(),
        KeyGroup(core.accounts, core.agents, core.probes, clock).group(),
        GrantGroup(core.grants).group(),
        MemberGroup(core.members.joining).group(),
        OperatorGroup(core.operators, core.relay).group(),
        SipGroup(core.platforms).group(),
        TroubleGroup(core.troubles).group(),
        FirstStepGroup(core.members.first_steps).group(),
        SystemGroup(ready, core.overview.database_answers, clock).group(),
    ]
    reference = Reference(tuple(groups), tuple(m.platform for m in core.platforms.manifests), core.public_url)
    operations = [operation for group in (*groups, reference.group()) for operation in group.operations]
    http = Problems(Dispatch(Router(operations), gate, core.agents, large_body_bytes))
    inbox = InboxStream(core.hub, streams, gate, clock)
    stream = CallStream(core.calls, Entrance(core.calls, gate, clock), core.standing)
    return Api(http, stream, inbox, reference)
