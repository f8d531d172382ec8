"""A request of curl's for each operation of the API."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from chamade_mcp.web.docs.members import Schema, resolved

_TELLING: Final[Mapping[str, object]] = {
    "auto_answer": True,
    "bot_token": "123456:ABC-DEF1234",
    "code": "ABCD2345",
    "emoji": "👍",
    "mime": "text/plain",
    "name": "First",
    "new_email": "you@example.org",
    "number": "+33123456789",
    "platform": "web",
    "request_id": "kmnop",
    "text": "Good morning",
    "url": "https://example.org/hook",
}
"""Values that say more to a reader than the type alone."""


def sample(method: str, path: str, wire: Schema, whole: Schema) -> str:
    """One line, or two with a body. Ids stand there as variables of the shell: ``$CALL_ID``."""
    place = re.sub(r"\{(\w+)\}", lambda found: f"${found[1].upper()}", path)
    content: Schema = wire.get("requestBody", {}).get("content", {})
    line = "curl"
    if method != "GET" and not (method == "POST" and "application/json" in content):
        line += f" -X {method}"
    line += f' "$CHAMADE_URL{place}"'
    if wire.get("security") != []:
        line += ' -H "X-API-Key: $CHAMADE_API_KEY"'
    if "application/json" in content:
        body = json.dumps(example(content["application/json"]["schema"], whole), ensure_ascii=False)
        return f"{line} \\\n  --json '{body}'"
    return f"{line} -F file=@picture.png" if content else line


def example(schema: Schema, whole: Schema, name: str = "") -> Any:
    """The least that `schema` takes, but not nothing at all."""
    schema = resolved(schema, whole)
    if "const" in schema or "enum" in schema:
        choices = schema.get("enum") or [schema["const"]]
        told = _TELLING.get(name)
        return told if told in choices else choices[0]
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if choice.get("type") != "null" and "properties" not in schema:
            return example(choice, whole, name)
    if "properties" in schema:
        wanted = schema.get("required") or list(schema["properties"])[:1]
        return {n: example(schema["properties"][n], whole, n) for n in wanted}
    return _TELLING.get(name) or _plain(schema, whole, name)


def _plain(schema: Schema, whole: Schema, name: str) -> Any:
    kind = schema.get("type")
    if kind == "array":
        return [example(schema.get("items", {}), whole, name)]
    if kind == "boolean":
        return True
    if kind in ("integer", "number"):
        return schema.get("default") or schema.get("minimum") or 1
    return {} if kind == "object" else f"...{name}..."[: schema.get("maxLength", 100)]
