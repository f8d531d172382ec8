"""A request of curl's for each operation of the API."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from chamade_mcp.web.docs.members import Schema, resolved

_TELLING: Final[Mapping[str, object]] = {
    "auto_answer": True,
    "bytes_b64": "aGVsbG8=",
    "bot_token": "123456:ABC-DEF1234",
    "code": "ABCD2345",
    "emoji": "👍",
    "messages_days": 365,
    "mime": "text/plain",
    "name": "First",
    "new_email": "you@example.org",
    "email": "you@example.org",
    "number": "+33123456789",
    "platform": "web",
    "request_id": "kmnop",
    "session": "0" * 64,
    "sip_host": "sip.example.org",
    "text": "Good morning",
    "url": "https://example.org/",
}
"""Values that say more to a reader than the type alone."""


def sample(method: str, path: str, wire: Schema, whole: Schema) -> str:
    """One line, or two with a body. Ids stand there as variables of the shell: ``$CALL_ID``."""
    place = re.sub(r"\{(\w+)\}", lambda found: f"${found[1].upper()}", path)
    content: Schema = wire.get("requestBody", {}).get("content", {})
    line = "curl"
    form = "multipart/form-data" in content
    if method != "GET" and not (method == "POST" and content):
        line += f" -X {method}"
    line += f' "$CHAMADE_URL{place}"'
    if wire.get("security") != []:
        line += ' -H "X-API-Key: $CHAMADE_API_KEY"'
    if "application/json" in content and not form:
        body = json.dumps(example(content["application/json"]["schema"], whole), ensure_ascii=False)
        return f"{line} \\\n  --json '{body}'"
    return f"{line} -F file=@picture.png" if form else line


def example(schema: Schema, whole: Schema, name: str = "") -> Any:
    """The least that `schema` takes, but not nothing at all."""
    schema = resolved(schema, whole)
    if "const" in schema or "enum" in schema:
        values = schema.get("enum") or [schema["const"]]
        told = _TELLING.get(name)
        return told if told in values else values[0]
    choices = (*schema.get("anyOf", ()), *schema.get("oneOf", ()))
    for choice in choices:
        if choice.get("type") != "null" and "properties" not in schema:
            return example(choice, whole, name)
    if "properties" in schema:
        return _object(schema, whole)
    return _TELLING.get(name) or _plain(schema, whole, name)


def _object(schema: Schema, whole: Schema) -> dict[str, Any]:
    fields: Schema = schema["properties"]
    choices: list[Schema] = schema.get("anyOf", [])
    wanted: list[str] = [*schema.get("required", []), *(choices[0].get("required", []) if choices else [])]
    if not wanted:
        wanted = [next((name for name in fields if name in _TELLING), next(iter(fields)))]
    told = {name: example(fields[name], whole, name) for name in wanted}
    return {**told, "platform": "telegram"} if {"platform", "bot_token"} <= told.keys() else told


def _plain(schema: Schema, whole: Schema, name: str) -> Any:
    kind = schema.get("type")
    if kind == "array":
        return [example(schema.get("items", {}), whole, name)]
    if kind == "boolean":
        return True
    if kind in ("integer", "number"):
        return schema.get("default") or schema.get("minimum") or 1
    return {} if kind == "object" else f"...{name}..."[: schema.get("maxLength", 100)]
