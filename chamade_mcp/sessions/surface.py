"""What an MCP server offers, in wire form, free of any transport: the seam between `tools` and `sessions`."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from chamade_mcp.model.access import Caller
from chamade_mcp.model.events import Event
from chamade_mcp.sessions.protocol import INTERNAL_ERROR as INTERNAL_ERROR
from chamade_mcp.sessions.protocol import INVALID_PARAMS as INVALID_PARAMS

JsonObject = dict[str, object]


class ProtocolFault(Exception):
    """Becomes a JSON-RPC error: the request itself is wrong, as an unknown tool is."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class Exchange(Protocol):
    """One request while it is answered: who asks, and what may go to the client before the answer."""

    @property
    def caller(self) -> Caller: ...

    @property
    def client_capabilities(self) -> Mapping[str, object]:
        """What the client said it can do; empty where that is unknown."""
        ...

    @property
    def input_responses(self) -> Mapping[str, object]:
        """Answers to what an earlier result of kind ``input_required`` asked for (2026-07-28)."""
        ...

    @property
    def request_state(self) -> str | None:
        """What that result gave to be brought back. It comes from the client: trust no word of it."""
        ...

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Told to clients that asked for it and take a stream; no error elsewhere."""
        ...

    async def log(self, level: str, data: object) -> None:
        """A log message to the client, when it wants messages of this level."""
        ...

    async def ask(self, method: str, params: JsonObject) -> JsonObject:
        """Asks the client and waits for its result. Raises `ProtocolFault` when it refuses, when it says
        nothing in time, and wherever there is no way back (only sessions have one)."""
        ...


class Surface(Protocol):
    """Lists are fixed while the process lives, and always in the same order.

    A result with ``resultType: "input_required"`` asks a client of 2026-07-28 for more; see `Exchange`.
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def instructions(self) -> str: ...

    @property
    def tools(self) -> Sequence[JsonObject]:
        """`Tool` objects of the MCP schema."""
        ...

    @property
    def resources(self) -> Sequence[JsonObject]:
        """`Resource` objects of the MCP schema."""
        ...

    @property
    def resource_templates(self) -> Sequence[JsonObject]:
        """`ResourceTemplate` objects of the MCP schema."""
        ...

    @property
    def prompts(self) -> Sequence[JsonObject]:
        """`Prompt` objects of the MCP schema."""
        ...

    @property
    def slow_tools(self) -> frozenset[str]:
        """Tools that may take longer than a proxy keeps a silent connection open, or that ask the client."""
        ...

    @property
    def logs(self) -> bool:
        """Whether tools send log messages."""
        ...

    async def call(self, tool: str, arguments: Mapping[str, object], exchange: Exchange) -> JsonObject:
        """A `CallToolResult`; what went wrong inside the tool is a result too. Raises `ProtocolFault`."""
        ...

    async def read(self, uri: str, exchange: Exchange) -> JsonObject:
        """A `ReadResourceResult`. Raises `ProtocolFault`."""
        ...

    async def prompt(self, name: str, arguments: Mapping[str, str], exchange: Exchange) -> JsonObject:
        """A `GetPromptResult`. Raises `ProtocolFault`."""
        ...

    def changed_resource(self, event: Event) -> str | None:
        """The URI of what reads differently after `event`."""
        ...
