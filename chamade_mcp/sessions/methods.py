"""What both eras share: the requests about tools, resources, prompts and completions, over one `Surface`."""

from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, cast

from chamade_mcp.sessions.protocol import INVALID_PARAMS
from chamade_mcp.sessions.surface import Exchange, JsonObject, ProtocolFault, Surface

MOST_URIS: Final = 256
MOST_URI_CHARACTERS: Final = 500
"""Of the resources that one client follows."""

Answer = Callable[[JsonObject, Exchange], Awaitable[JsonObject]]


class Methods:
    """`lists` never change; `answers` are computed. Params are checked here, arguments by the surface."""

    def __init__(self, surface: Surface) -> None:
        self.surface = surface
        self.lists: Mapping[str, JsonObject] = {
            "tools/list": {"tools": list(surface.tools)},
            "resources/list": {"resources": list(surface.resources)},
            "resources/templates/list": {"resourceTemplates": list(surface.resource_templates)},
            "prompts/list": {"prompts": list(surface.prompts)},
        }
        self.answers: Mapping[str, Answer] = {
            "tools/call": self._call_tool,
            "resources/read": self._read_resource,
            "prompts/get": self._get_prompt,
            "completion/complete": self._complete,
        }
        self._prompts = frozenset(str(prompt["name"]) for prompt in surface.prompts)
        self._slow = surface.slow_tools

    def may_take_long(self, method: str, params: JsonObject) -> bool:
        if method != "tools/call":
            return False
        name = params.get("name")
        return type(name) is str and name in self._slow

    async def _call_tool(self, params: JsonObject, exchange: Exchange) -> JsonObject:
        arguments = params.get("arguments")
        if arguments is None:
            arguments = {}
        elif type(arguments) is not dict:
            raise _wrong("arguments", "must be an object")
        return await self.surface.call(_text(params, "name"), cast(JsonObject, arguments), exchange)

    async def _read_resource(self, params: JsonObject, exchange: Exchange) -> JsonObject:
        return await self.surface.read(_text(params, "uri"), exchange)

    async def _get_prompt(self, params: JsonObject, exchange: Exchange) -> JsonObject:
        given = params.get("arguments")
        if given is None:
            given = {}
        if not isinstance(given, dict):
            raise _wrong("arguments", "must be an object")
        arguments = cast(JsonObject, given)
        for name, value in arguments.items():
            if not isinstance(value, str):
                raise _wrong(f"arguments.{name}", "must be a string")
        return await self.surface.prompt(_text(params, "name"), cast(dict[str, str], arguments), exchange)

    async def _complete(self, params: JsonObject, _: Exchange) -> JsonObject:
        """There is nothing to suggest: numbers, links and ids are the person's own."""
        reference, argument = _object(params, "ref"), _object(params, "argument")
        _text(argument, "name", "argument.name")
        _text(argument, "value", "argument.value")
        kind = reference.get("type")
        if kind == "ref/prompt":
            name = _text(reference, "name", "ref.name")
            if name not in self._prompts:
                raise _wrong("ref.name", f"names no prompt: {name}")
        elif kind == "ref/resource":
            _text(reference, "uri", "ref.uri")
        else:
            raise _wrong("ref.type", "must be ref/prompt or ref/resource")
        return {"completion": {"values": [], "total": 0, "hasMore": False}}


def refuse_cursor(params: JsonObject) -> None:
    """All lists fit on one page, so no cursor is one of ours."""
    if params.get("cursor") is not None:
        raise _wrong("cursor", "is not one of this server's")


def required_uri(params: JsonObject) -> str:
    return _text(params, "uri")


def followed_uri(params: JsonObject, followed: AbstractSet[str]) -> str:
    """The one to follow besides those that are `followed`."""
    uri = required_uri(params)
    if len(uri) > MOST_URI_CHARACTERS:
        raise _wrong("uri", f"must have at most {MOST_URI_CHARACTERS} characters")
    if uri not in followed and len(followed) >= MOST_URIS:
        raise _wrong("uri", f"is one too many: a session follows at most {MOST_URIS} resources")
    return uri


def _wrong(field: str, what: str) -> ProtocolFault:
    return ProtocolFault(INVALID_PARAMS, f"Invalid params: {field} {what}", {"field": field})


def _text(params: JsonObject, field: str, told: str | None = None) -> str:
    value = params.get(field)
    if type(value) is not str:
        raise _wrong(told or field, "must be a string" if field in params else "is required")
    return value


def _object(params: JsonObject, field: str) -> JsonObject:
    value = params.get(field)
    if not isinstance(value, dict):
        raise _wrong(field, "must be an object" if field in params else "is required")
    return cast(JsonObject, value)
