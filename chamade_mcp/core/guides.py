"""How a platform is connected, for those who are told by the API."""

from dataclasses import replace
from typing import Final

from chamade_mcp.kit.bot_fields import BotField
from chamade_mcp.kit.guide import Way, WayKind
from chamade_mcp.kit.manifest import Manifest

_EXAMPLE_URL: Final = "https://gateway.example.org"
"""Stands in the guides for whoever reads them."""
_PLACE: Final = BotField("url", "Its address", required=True, example="https://cloud.example.org")


def fields_of(manifest: Manifest, way: Way) -> list[BotField]:
    """What a person is asked for."""
    if way.kind is WayKind.CONNECT:
        return [_PLACE]
    if way.kind is not WayKind.BOT or manifest.bot is None:
        return []
    known = manifest.bot.fields
    if not way.fields:
        return list(known)
    return [replace(field, required=True) for name in way.fields for field in known if field.name == name]


def way_to_wire(manifest: Manifest, way: Way, public_url: str) -> dict[str, object]:
    return {
        "kind": str(way.kind),
        "title": way.title,
        "needs_public_url": way.is_called,
        "text": way.text.replace(_EXAMPLE_URL, public_url),
        "fields": [_field_to_wire(field) for field in fields_of(manifest, way)],
    }


def _field_to_wire(field: BotField) -> dict[str, object]:
    return {
        "name": field.name,
        "label": field.label,
        "help": field.help,
        "example": field.example,
        "kind": "choice" if field.choices is not None else "secret" if field.secret else "text",
        "choices": None if field.choices is None else dict(field.choices),
        "pattern": field.pattern or None,
        "required": field.required,
    }
