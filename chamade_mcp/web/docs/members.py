"""The fields of a JSON Schema in words, for readers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast

Schema: TypeAlias = Mapping[str, Any]

_DEEPEST: Final = 2


@dataclass(frozen=True, slots=True)
class Member:
    """One field of a body, or one parameter."""

    name: str
    kind: str
    required: bool
    description: str


def members_of(schema: Schema, whole: Schema, prefix: str = "", depth: int = 0) -> list[Member]:
    """Fields in their order, those of inner objects after their own: ``audio``, ``audio.format``."""
    schema = resolved(schema, whole)
    required = schema.get("required", [])
    members: list[Member] = []
    for name, member in schema.get("properties", {}).items():
        label = prefix + name
        members.append(Member(label, kind_of(member, whole), name in required, member.get("description", "")))
        if depth < _DEEPEST:
            for inner, mark in _objects(member, whole):
                members += members_of(inner, whole, f"{label}{mark}.", depth + 1)
    return members


def resolved(schema: Schema, whole: Schema) -> Schema:
    reference: str | None = schema.get("$ref")
    if reference is None:
        return schema
    return cast(Schema, whole["components"]["schemas"][reference.rpartition("/")[2]])


def kind_of(schema: Schema, whole: Schema) -> str:
    """What may stand there: ``string``, ``list of object``, ``integer, 1 to 200``."""
    schema = resolved(schema, whole)
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices and "properties" not in schema:
        return " or ".join(dict.fromkeys(kind_of(choice, whole) for choice in choices))
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = str(schema.get("type", "any"))
    if kind == "array":
        return f"list of {kind_of(schema.get('items', {}), whole)}"
    if "minimum" in schema and "maximum" in schema:
        return f"{kind}, {schema['minimum']:,} to {schema['maximum']:,}"
    if "maxLength" in schema:
        return f"{kind}, {schema.get('minLength', 0):,} to {schema['maxLength']:,} characters"
    return kind


def _objects(schema: Schema, whole: Schema) -> Iterator[tuple[Schema, str]]:
    """The objects a field may hold, and what stands behind its name for them."""
    schema = resolved(schema, whole)
    if "properties" in schema:
        yield schema, ""
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _objects(choice, whole)
    if "items" in schema:
        for inner, mark in _objects(schema["items"], whole):
            yield inner, f"[]{mark}"
