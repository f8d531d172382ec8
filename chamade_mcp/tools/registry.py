"""All tools and resources in their stable order: the `Surface` that every MCP transport serves."""

import logging
from collections.abc import Mapping

from chamade_mcp import __version__
from chamade_mcp.model.access import Caller
from chamade_mcp.model.errors import Internal, MissingPermission, ValidationFailed
from chamade_mcp.model.events import Event
from chamade_mcp.sessions.surface import INVALID_PARAMS, Exchange, JsonObject, ProtocolFault
from chamade_mcp.tools import accounts, calls, files, inbox
from chamade_mcp.tools.client import CoreClient, CoreError
from chamade_mcp.tools.instructions import INSTRUCTIONS
from chamade_mcp.tools.prompts import PROMPTS, render
from chamade_mcp.tools.results import failure, success
from chamade_mcp.tools.tool import Tool
from chamade_mcp.tools.transcript import TEMPLATE, changed_transcript, read_transcript
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
    logs = False

    def __init__(self, core: CoreClient) -> None:
        self._core = core
        self.tools: tuple[JsonObject, ...] = tuple(tool.to_wire() for tool in TOOLS)
        self.slow_tools = frozenset(tool.name for tool in TOOLS if tool.slow)
        self.resources: tuple[JsonObject, ...] = ()
        self.resource_templates: tuple[JsonObject, ...] = (TEMPLATE,)
        self.prompts: tuple[JsonObject, ...] = tuple(prompt.to_wire() for prompt in PROMPTS)

    async def call(self, tool: str, arguments: Mapping[str, object], exchange: Exchange) -> JsonObject:
        """A `CallToolResult` in wire form; a refusal is one with `isError`. Raises `ProtocolFault`."""
        known = _BY_NAME.get(tool)
        if known is None:
            raise ProtocolFault(INVALID_PARAMS, f"Unknown tool: {tool}")
        definition, schema = known
        accepted, errors = schema.check(arguments)
        if errors:
            return failure(ValidationFailed(errors).to_wire())
        try:
            return success(await definition.run(self._core, exchange.caller, accepted))
        except CoreError as error:
            _step_up(exchange.caller, error)
            return failure(error.problem)
        except Exception:
            log.exception("%s failed", tool)
            return failure(Internal().to_wire())

    async def read(self, uri: str, exchange: Exchange) -> JsonObject:
        """A `ReadResourceResult` in wire form. Raises `ProtocolFault`."""
        return await read_transcript(self._core, uri, exchange.caller)

    async def prompt(self, name: str, arguments: Mapping[str, str], exchange: Exchange) -> JsonObject:
        """A `GetPromptResult` in wire form. Raises `ProtocolFault`."""
        return render(name, arguments)

    def changed_resource(self, event: Event) -> str | None:
        return changed_transcript(event)


def _step_up(caller: Caller, error: CoreError) -> None:
    """Who came by OAuth can ask the person for more, and has to hear of it outside the tool's result.

    Raises `MissingPermission`.
    """
    lacking = error.problem.get("scope")
    if caller.principal.grant is not None and error.status == 403 and isinstance(lacking, str):
        raise MissingPermission(lacking, "access token") from error
