"""The document for machines at ``/openapi.json``, and the same for people at ``/docs/api``."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import cast

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import Response

from chamade_mcp.api.fields import Wire
from chamade_mcp.api.openapi import Schema, document
from chamade_mcp.api.operation import Answer, Asked, Group, Operation

_PAGE_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-cache",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
_DEEPEST = 2
_CODE = re.compile(r"`([^`]+)`")


class Reference:
    """Built at the first request: starting the gateway does not wait for it."""

    def __init__(self, groups: Sequence[Group], platforms: Sequence[str], public_url: str) -> None:
        self._groups = (*groups, self.group())
        self._platforms = platforms
        self._public_url = public_url

    @cached_property
    def document(self) -> Schema:
        return document(self._groups, self._platforms, self._public_url)

    async def openapi(self, asked: Asked[None, None]) -> Answer:
        del asked
        return Response(self._json, media_type="application/json", headers={"cache-control": "no-cache"})

    async def page(self, asked: Asked[None, None]) -> Answer:
        del asked
        return Response(self._html, media_type="text/html", headers=_PAGE_HEADERS)

    async def style(self, asked: Asked[None, None]) -> Answer:
        del asked
        return Response(self._css, media_type="text/css", headers=_PAGE_HEADERS)

    def group(self) -> Group:
        text = {"schema": {"type": "string"}}
        return Group(
            "Reference",
            "This document, for machines and for people.",
            (
                Operation(
                    "GET", "/openapi.json", "The OpenAPI document", self.openapi, public=True, reply=Wire
                ),
                Operation(
                    "GET",
                    "/docs/api",
                    "The API reference as a page",
                    self.page,
                    public=True,
                    media={"text/html": text},
                ),
                Operation(
                    "GET",
                    "/docs/api/reference.css",
                    "Its style sheet",
                    self.style,
                    public=True,
                    media={"text/css": text},
                ),
            ),
        )

    @cached_property
    def _json(self) -> bytes:
        return json.dumps(self.document, ensure_ascii=False, separators=(",", ":")).encode()

    @cached_property
    def _css(self) -> bytes:
        return files("chamade_mcp.api").joinpath("static", "reference.css").read_bytes()

    @cached_property
    def _html(self) -> bytes:
        environment = Environment(
            loader=PackageLoader("chamade_mcp.api"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["prose"] = prose
        template = environment.get_template("reference.html")
        return template.render(info=self.document["info"], groups=_chapters(self.document)).encode()


def prose(text: str) -> Markup:
    """Plain text with `code` in it."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  # escaped just before


@dataclass(frozen=True, slots=True)
class Member:
    """One field of a body or a parameter, in words."""

    name: str
    kind: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One operation as the page shows it."""

    method: str
    path: str
    wire: Schema
    parameters: Sequence[Member]
    body: Sequence[Member]
    media: Sequence[str]
    answer: Sequence[Member]
    errors: Mapping[str, str]


def _chapters(whole: Schema) -> list[tuple[Schema, list[Entry]]]:
    chapters: list[tuple[Schema, list[Entry]]] = []
    for tag in whole["tags"]:
        entries = [
            _entry(method, path, wire, whole)
            for path, item in whole["paths"].items()
            for method, wire in item.items()
            if wire["tags"] == [tag["name"]]
        ]
        chapters.append((tag, entries))
    return chapters


def _entry(method: str, path: str, wire: Schema, whole: Schema) -> Entry:
    content: Schema = wire.get("requestBody", {}).get("content", {})
    body = [member for media in content.values() for member in _members(media["schema"], whole)]
    answers = {s: r for s, r in wire["responses"].items() if s < "300"}
    told = next(iter(answers.values()))["content"].get("application/json", {})
    return Entry(
        method=method.upper(),
        path=path,
        wire=wire,
        parameters=[
            Member(p["name"], _kind(p["schema"], whole), p["required"], p.get("description", ""))
            for p in wire.get("parameters", [])
        ],
        body=body,
        media=list(content),
        answer=_members(told.get("schema", {}), whole),
        errors={s: r["description"] for s, r in wire["responses"].items() if s >= "400"},
    )


def _members(schema: Schema, whole: Schema, prefix: str = "", depth: int = 0) -> list[Member]:
    """Fields in their order, those of inner objects after their own: ``audio``, ``audio.format``."""
    schema = _resolved(schema, whole)
    required = schema.get("required", [])
    members: list[Member] = []
    for name, member in schema.get("properties", {}).items():
        label = prefix + name
        members.append(Member(label, _kind(member, whole), name in required, member.get("description", "")))
        if depth < _DEEPEST:
            for inner, mark in _objects(member, whole):
                members += _members(inner, whole, f"{label}{mark}.", depth + 1)
    return members


def _objects(schema: Schema, whole: Schema) -> Iterator[tuple[Schema, str]]:
    """The objects a field may hold, and what stands behind its name for them."""
    schema = _resolved(schema, whole)
    if "properties" in schema:
        yield schema, ""
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _objects(choice, whole)
    if "items" in schema:
        for inner, mark in _objects(schema["items"], whole):
            yield inner, f"[]{mark}"


def _resolved(schema: Schema, whole: Schema) -> Schema:
    reference: str | None = schema.get("$ref")
    if reference is None:
        return schema
    return cast(Schema, whole["components"]["schemas"][reference.rpartition("/")[2]])


def _kind(schema: Schema, whole: Schema) -> str:
    """What may stand there: ``string``, ``list of object``, ``integer, 1 to 200``."""
    schema = _resolved(schema, whole)
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices and "properties" not in schema:
        return " or ".join(dict.fromkeys(_kind(choice, whole) for choice in choices))
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}), whole)}"
    if "minimum" in schema and "maximum" in schema:
        return f"{kind}, {schema['minimum']:,} to {schema['maximum']:,}"
    if "maxLength" in schema:
        return f"{kind}, {schema.get('minLength', 0):,} to {schema['maxLength']:,} characters"
    return kind
