"""What an MCP server offers, in wire form, free of any transport: the seam between `tools` and `sessions`."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from chamade_mcp.model.access import Caller

JsonObject = dict[str, object]

INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603


class ProtocolFault(Exception):
    """Becomes a JSON-RPC error: the request itself is wrong, as an unknown tool is."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class Surface(Protocol):
    """Lists are fixed while the process lives, and always in the same order."""

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
    def resource_templates(self) -> Sequence[JsonObject]:
        """`ResourceTemplate` objects of the MCP schema."""
        ...

    @property
    def slow_tools(self) -> frozenset[str]:
        """Tools that may take longer than a proxy keeps a silent connection open."""
        ...

    def input_schema(self, tool: str) -> JsonObject | None: ...

    async def call(self, tool: str, arguments: Mapping[str, object], caller: Caller) -> JsonObject:
        """A `CallToolResult`; what went wrong inside the tool is a result too. Raises `ProtocolFault`."""
        ...

    async def read(self, uri: str, caller: Caller) -> JsonObject:
        """A `ReadResourceResult`. Raises `ProtocolFault`."""
        ...
