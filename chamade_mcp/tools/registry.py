"""All tools and resources in their stable order: the `Surface` that every MCP transport serves."""

import logging
from collections.abc import Mapping

from chamade_mcp import __version__
from chamade_mcp.model.access import Caller
from chamade_mcp.model.errors import Internal, ValidationFailed
from chamade_mcp.sessions.surface import INVALID_PARAMS, JsonObject, ProtocolFault
from chamade_mcp.tools import accounts, calls, files, inbox
from chamade_mcp.tools.client import CoreClient, CoreError
from chamade_mcp.tools.instructions import INSTRUCTIONS
from chamade_mcp.tools.results import failure, success
from chamade_mcp.tools.tool import Tool
from chamade_mcp.tools.transcript import TEMPLATE, read_transcript
from chamade_mcp.tools.validation import Arguments

log = logging.getLogger(__name__)

TOOLS: tuple[Tool, ...] = (*accounts.TOOLS, *inbox.TOOLS, *files.TOOLS, *calls.TOOLS)
_BY_NAME = {tool.name: (tool, Arguments(tool.input_schema)) for tool in TOOLS}


class Registry:
    """The tools over one `CoreClient`. Knows no MCP transport and no SDK."""

    name = "chamade"
    title = "Chamade"
    version = __version__
    instructions = INSTRUCTIONS

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self.tools: tuple[JsonObject, ...] = tuple(tool.to_wire() for tool in TOOLS)
        self.slow_tools = frozenset(tool.name for tool in TOOLS if tool.slow)
        self.resource_templates: tuple[JsonObject, ...] = (TEMPLATE,)

    def input_schema(self, tool: str) -> JsonObject | None:
        known = _BY_NAME.get(tool)
        return known[0].input_schema if known is not None else None

    async def call(self, tool: str, arguments: Mapping[str, object], caller: Caller) -> JsonObject:
        """A `CallToolResult` in wire form; a refusal is one with `isError`. Raises `ProtocolFault`."""
        known = _BY_NAME.get(tool)
        if known is None:
            raise ProtocolFault(INVALID_PARAMS, f"Unknown tool: {tool}")
        definition, schema = known
        accepted, errors = schema.check(arguments)
        if errors:
            return failure(ValidationFailed(errors).to_wire())
        try:
            return success(await definition.run(self._core, caller, accepted))
        except CoreError as error:
            return failure(error.problem)
        except Exception:
            log.exception("%s failed", tool)
            return failure(Internal().to_wire())

    async def read(self, uri: str, caller: Caller) -> JsonObject:
        """A `ReadResourceResult` in wire form. Raises `ProtocolFault`."""
        return await read_transcript(self._core, uri, caller)
