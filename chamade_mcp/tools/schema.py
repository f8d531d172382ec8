"""Building blocks of the tools' JSON Schemas (2020-12), written once and used by every tool."""

from collections.abc import Mapping

from chamade_mcp.model.limits import MAX_ATTACHMENTS

Schema = dict[str, object]

_ID_PATTERN = "^[A-Za-z0-9_-]+$"


def arguments(properties: Mapping[str, Schema] | None = None, *, required: tuple[str, ...] = ()) -> Schema:
    """An input schema: nothing but `properties` is allowed."""
    schema: Schema = {"type": "object", "properties": dict(properties or {}), "additionalProperties": False}
    if required:
        schema["required"] = list(required)
    return schema


def result(properties: Mapping[str, Schema], *, required: tuple[str, ...] = ()) -> Schema:
    """An output schema: the API may add members."""
    schema: Schema = {"type": "object", "properties": dict(properties)}
    if required:
        schema["required"] = list(required)
    return schema


def text(description: str, *, min_length: int = 0, max_length: int | None = None) -> Schema:
    schema: Schema = {"type": "string", "description": description}
    if min_length:
        schema["minLength"] = min_length
    if max_length is not None:
        schema["maxLength"] = max_length
    return schema


def integer(description: str, *, minimum: int, maximum: int | None = None) -> Schema:
    schema: Schema = {"type": "integer", "description": description, "minimum": minimum}
    if maximum is not None:
        schema["maximum"] = maximum
    return schema


def boolean(description: str) -> Schema:
    return {"type": "boolean", "description": description}


def list_of(items: Schema, description: str, *, max_items: int | None = None) -> Schema:
    schema: Schema = {"type": "array", "items": items, "description": description}
    if max_items is not None:
        schema["maxItems"] = max_items
    return schema


def nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]}


def identifier(description: str) -> Schema:
    """One of our ids: safe inside a path."""
    return {**text(description, max_length=64), "pattern": _ID_PATTERN}


CALL_ID = identifier("The call, as chamade_call_join or chamade_call_list gave it.")

DM_PLATFORM = text(
    "Where the person is: discord, telegram, teams, whatsapp, slack, nctalk or web; what is connected stands "
    "in chamade_account. chamade_probe answers a self-test.",
    min_length=1,
    max_length=40,
)

ATTACHMENTS = list_of(
    {
        "type": "object",
        "properties": {
            "file_id": text("From chamade_file_upload_url.", min_length=1, max_length=40),
            "url": text(
                "A public http(s) URL, or the url of an attachment you received.",
                min_length=1,
                max_length=2048,
            ),
            "bytes_b64": text("Base64 of a tiny file; name and mime are then required.", min_length=1),
            "name": text("File name with extension.", min_length=1, max_length=255),
            "mime": text("Media type, such as application/pdf.", min_length=3, max_length=127),
        },
        "additionalProperties": False,
        "oneOf": [
            {"required": ["file_id"]},
            {"required": ["url"]},
            {"required": ["bytes_b64", "name", "mime"]},
        ],
    },
    "Files to send, at most 25 MB each unless the gateway says otherwise. An entry is file_id alone, url, or "
    "bytes_b64 with name and mime. "
    "With attachments text is optional and becomes the caption of the first one.",
    max_items=MAX_ATTACHMENTS,
)

AUDIO = result(
    {
        "sample_rate": {"type": "integer", "description": "Native rate of the room in Hz."},
        "format": text("Always pcm_s16le."),
        "channels": {"type": "integer"},
        "frame_duration_ms": {"type": "integer"},
        "frame_bytes": {"type": "integer"},
    }
)

ATTACHMENT_RECEIVED = result(
    {
        "name": {"type": "string"},
        "mime": {"type": "string"},
        "size": {"type": "integer"},
        "url": text("Download it here; no key needed."),
    }
)
