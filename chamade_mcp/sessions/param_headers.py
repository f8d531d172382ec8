"""`Mcp-Param-*`: tool arguments that a client repeats as HTTP headers, for intermediaries to route on.

A property of a tool's schema asks for it by ``x-mcp-header``. Header and argument must agree (specification
of 2026-07-28, transports, custom headers): nobody may act on what the body does not say.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from chamade_mcp.sessions.protocol import HEADER_MISMATCH
from chamade_mcp.sessions.surface import JsonObject, ProtocolFault

_KEYWORD: Final = "x-mcp-header"
_ENCODED: Final = re.compile(r"=\?base64\?(.*)\?=", re.DOTALL)
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_DECIMAL: Final = re.compile(r"(-?[0-9]+)(?:\.0+)?")
_TYPES: Final = frozenset({"string", "integer", "boolean"})

RawHeaders = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Declared:
    """One argument that travels as a header too."""

    path: tuple[str, ...]
    header: bytes
    """In lower case, as ASGI names it."""
    type: str


def declared(schema: Mapping[str, object]) -> tuple[Declared, ...]:
    """What a tool's input schema declares; nothing when a declaration is not allowed, as clients see it."""
    found = tuple(_walk(schema, ()))
    names = {each.header for each in found}
    return found if len(names) == len(found) and all(each.type in _TYPES for each in found) else ()


def _walk(schema: Mapping[str, object], path: tuple[str, ...]) -> Iterator[Declared]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return
    for name, below in cast(dict[str, object], properties).items():
        if not isinstance(below, dict):
            continue
        inner = cast(JsonObject, below)
        token = inner.get(_KEYWORD)
        if isinstance(token, str) and _TOKEN.fullmatch(token):
            header = f"mcp-param-{token}".lower().encode("ascii")
            yield Declared((*path, name), header, str(inner.get("type")))
        yield from _walk(inner, (*path, name))


def decoded(value: bytes | None) -> str | None:
    """A header's value, out of its base64 wrapping where it has one; None for a broken wrapping."""
    if value is None:
        return None
    text = value.decode("latin-1")
    wrapped = _ENCODED.fullmatch(text)
    if wrapped is None:
        return text
    try:
        raw = base64.b64decode(wrapped[1], validate=True)
        # Python takes padding bits that are not zero; there is one right way to write a value.
        return raw.decode() if base64.b64encode(raw).decode("ascii") == wrapped[1] else None
    except (binascii.Error, UnicodeDecodeError):
        return None


def check(expected: Sequence[Declared], arguments: Mapping[str, object], headers: RawHeaders) -> None:
    """Raises `ProtocolFault` for the first header that does not agree with its argument."""
    for each in expected:
        given = [value for name, value in headers if name == each.header]
        shown = each.header.decode("ascii").title()
        if len(given) > 1:
            raise ProtocolFault(HEADER_MISMATCH, f"{shown} appears more than once")
        value = _rendered(_at(arguments, each.path))
        if value is None and not given:
            continue
        argument = ".".join(each.path)
        if value is None:
            raise ProtocolFault(HEADER_MISMATCH, f"{shown} is there, but the argument {argument} is not")
        if not given:
            raise ProtocolFault(HEADER_MISMATCH, f"{shown} is missing, but the argument {argument} is there")
        if not _agree(each.type, value, decoded(given[0])):
            raise ProtocolFault(HEADER_MISMATCH, f"{shown} is not the argument {argument}")


def _at(arguments: object, path: Sequence[str]) -> object:
    for name in path:
        if not isinstance(arguments, dict):
            return None
        arguments = cast(JsonObject, arguments).get(name)
    return arguments


def _rendered(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _agree(kind: str, argument: str, header: str | None) -> bool:
    if header == argument or kind != "integer" or header is None:
        return header == argument
    one, other = _DECIMAL.fullmatch(argument), _DECIMAL.fullmatch(header)
    return one is not None and other is not None and one[1] == other[1]
