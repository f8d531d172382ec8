"""What a tool is: its description for models, its schemas, and the one REST operation behind it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from chamade_mcp.model.access import Caller
from chamade_mcp.tools.client import CoreClient, Reply
from chamade_mcp.tools.schema import Schema


@dataclass(frozen=True, slots=True)
class Hints:
    """The annotations of the MCP schema, all spelled out since the defaults differ from most tools."""

    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = True


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. `run` gets arguments that satisfy `input_schema`, as the TypedDict `arguments` types them."""

    name: str
    title: str
    description: str
    arguments: type
    input_schema: Schema
    output_schema: Schema
    hints: Hints
    # Each tool takes its own TypedDict; the schema check before the call is what makes that true.
    run: Callable[[CoreClient, Caller, Any], Awaitable[Reply]]
    slow: bool = False
    """May take as long as a long-poll."""

    def to_wire(self) -> dict[str, object]:
        """The `Tool` object of the MCP schema."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": self.input_schema,
            "outputSchema": self.output_schema,
            "annotations": {
                "title": self.title,
                "readOnlyHint": self.hints.read_only,
                "destructiveHint": self.hints.destructive,
                "idempotentHint": self.hints.idempotent,
                "openWorldHint": self.hints.open_world,
            },
        }
