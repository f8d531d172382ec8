"""`Client`: everything an agent does with a gateway."""

import os
from types import TracebackType
from typing import Literal, Self

import httpx2

from chamade_mcp.client.call_socket import CallSocket
from chamade_mcp.client.calls import Calls
from chamade_mcp.client.files import Files
from chamade_mcp.client.http import Http
from chamade_mcp.client.inbox import Inbox
from chamade_mcp.client.reading import record
from chamade_mcp.client.recordings import Recordings
from chamade_mcp.client.records import Account, Call, Invitation
from chamade_mcp.client.retry import Retry

DEFAULT_URL = "http://127.0.0.1:8000"


class Client:
    """An agent's way to its gateway.

        async with Client("http://127.0.0.1:8000", "chmd_...") as client:
            async for message in client.inbox.messages():
                await client.inbox.reply(message, f"You said: {message.text}")

    Address and key are those of the environment, ``CHAMADE_URL`` and ``CHAMADE_API_KEY``, when they are not
    given. What fails for a moment is tried again by `retry`; what is sent is sent once all the same. All
    errors are `ChamadeError`. One client may be used by many tasks at once.
    """

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        retry: Retry | None = None,
        timeout_s: float = 30.0,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        """`timeout_s`: how long the gateway may be silent. Raises `ValueError` without a key or a sound
        address."""
        key = api_key or os.environ.get("CHAMADE_API_KEY", "")
        if not key:
            raise ValueError("an API key is needed: give it, or set CHAMADE_API_KEY")
        self._http = Http(
            url or os.environ.get("CHAMADE_URL") or DEFAULT_URL,
            key,
            retry=retry or Retry(),
            timeout_s=timeout_s,
            transport=transport,
        )
        self.calls = Calls(self._http)
        self.inbox = Inbox(self._http)
        self.files = Files(self._http)
        self.recordings = Recordings(self._http)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Lets go of all connections, but not of calls: those go on until `Calls.leave`."""
        await self._http.close()

    async def account(self) -> Account:
        """What this gateway can do for the agent: the first thing to ask."""
        return record(Account, await self._http.ask("GET", "/api/account"))

    async def invite(
        self, platform: str = "web", kind: Literal["chat", "room"] = "chat", *, agent_name: str = "AI Agent"
    ) -> Invitation:
        """A link by which a person can write to the agent, or meet it in a room. The key needs ``manage``."""
        body = {"platform": platform, "kind": kind, "agent_name": agent_name}
        return record(Invitation, await self._http.ask("POST", "/api/invite-link", body=body))

    def call(
        self,
        call: Call | str,
        *,
        rate_hz: int | None = None,
        receive: bool | Literal["participants"] = True,
        last_seq: int | None = 0,
        speech_events: bool = False,
        barge_in: bool = False,
    ) -> CallSocket:
        """The events and the sound of a call: ``async with client.call(call) as socket``.

        `rate_hz`, 8,000 to 48,000, is that of the sound in both directions, by default the room's own.
        `receive`: hear everybody as one (True), each participant apart (``"participants"``), or nobody
        (False). `last_seq`: events after that one are told, by default all since the call began; None for
        those from now on. `speech_events`: `SpeechStarted` and `SpeechStopped` are told. `barge_in`: what the
        agent says is dropped when a person starts to speak, and `BargedIn` tells it.
        """
        return CallSocket(
            self._http,
            call,
            rate_hz=rate_hz,
            receive=receive,
            last_seq=last_seq,
            speech_events=speech_events,
            barge_in=barge_in,
        )
