"""The OpenAPI 3.1 document, from the operations themselves: what is documented is what is checked."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, TypeAlias, cast

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from chamade_mcp.api.fields import PLATFORM_MARK
from chamade_mcp.api.once import PATTERN
from chamade_mcp.api.operation import AnyOperation, Group
from chamade_mcp.api.routing import PATH_IDS
from chamade_mcp.model.errors import Action, Outcome

Schema: TypeAlias = dict[str, Any]

_REF = "#/components/schemas/{model}"
_ABOUT = """\
Join calls, hear and speak as raw PCM, read and write messages. `GET /api/platforms` tells which platforms
there are and which of them are connected; a call on another is refused with what is missing.

Every request carries `X-API-Key: chmd_...`, an OAuth access token `chmo_...` in its place or as
`Authorization: Bearer`, or the dashboard's session cookie. Errors are problem objects
(RFC 9457) whose `code` is stable and whose `action` says what to do next. Audio and live events travel over
`WS /api/call/{call_id}/stream?api_key=...`: events as JSON text frames, audio as binary frames of 16-bit PCM.
Close codes: 1000 the call is over, 4401 bad key, 4403 not permitted, 4404 unknown call, 4410 over already,
1009 frame over 1 MiB, 1011 our fault."""

PROBLEM: Schema = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong and what to do about it.",
    "required": ["type", "title", "status", "detail", "code", "action", "outcome", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence for the caller"},
        "code": {
            "type": "string",
            "pattern": "^[A-Z][A-Z0-9_]*$",
            "description": "Stable; see `/docs/errors`",
        },
        "action": {"type": "string", "enum": [str(a) for a in Action]},
        "outcome": {
            "type": "string",
            "enum": [str(o) for o in Outcome],
            "description": "`unknown`: it may have happened all the same; do not blindly resend",
        },
        "param": {"type": "string", "description": "The first wrong field"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "platform": {"type": "string"},
        "scope": {"type": "string", "description": "The permission that the caller's credential lacks"},
        "retry_after": {"type": "number", "description": "Seconds"},
        "request_id": {"type": "string", "description": "Also in the header `x-request-id`"},
    },
}

_REQUEST_ID = {"x-request-id": {"schema": {"type": "string"}, "description": "Names this request in our log"}}

_IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "pattern": PATTERN},
    "description": "Send the request again with the same key when its answer got lost: within 24 hours it is "
    "done once, and answered alike, then with the header `Idempotency-Replayed: true`",
}

_WHO_CODES = (
    "MISSING_API_KEY",
    *(f"{state}_API_KEY" for state in ("INVALID", "EXPIRED", "REVOKED")),
    *(f"{state}_ACCESS_TOKEN" for state in ("INVALID", "EXPIRED", "REVOKED")),
    "SESSION_ENDED",
)

_TITLES: Mapping[int, str] = {
    400: "Makes no sense as it is",
    401: "Invalid or missing API key",
    403: "Not permitted",
    404: "Not there, or not yours",
    409: "Not in this state",
    410: "Was there once",
    413: "Too large",
    415: "Not a media type this takes",
    416: "No byte is in that range",
    422: "Fields are wrong; `errors` names each",
    429: "Too many, too often",
    500: "Our fault",
    501: "Not available on this gateway",
    502: "The platform, or another server, refused",
    503: "Try again soon",
    504: "Another server took too long",
}


def document(groups: Sequence[Group], platforms: Iterable[str], public_url: str) -> Schema:
    """The whole document. `platforms` are the names this gateway knows."""
    operations = [operation for group in groups for operation in group.operations]
    refs, schemas = _models(operations)
    taken = {"Problem", "Platform"} & schemas.keys()
    assert not taken, f"two schemas are called {taken}"
    schemas["Problem"] = PROBLEM
    schemas["Platform"] = {"type": "string", "enum": sorted(platforms)}
    paths: dict[str, Schema] = {}
    for group in groups:
        for operation in group.operations:
            item = paths.setdefault(operation.path, {})
            item[operation.method.lower()] = _operation(operation, group.title, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Chamade", "version": version("chamade-mcp"), "description": _ABOUT},
        "servers": [{"url": public_url}],
        "tags": [{"name": group.title, "description": group.intro} for group in groups],
        "security": [{"bearer": []}, {"apiKey": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-chamade",
                    "description": "The dashboard's; changes are accepted from our own pages only",
                },
            },
        },
    }


Refs: TypeAlias = Mapping[type[BaseModel], Schema]


def _models(operations: Iterable[AnyOperation]) -> tuple[Refs, dict[str, Schema]]:
    """Where each model's schema stands, and all schemas."""
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {}
    for operation in operations:
        for model in (operation.body, operation.alternative):
            if model is not None:
                wanted[model, "validation"] = None
        if operation.reply is not None:
            wanted[operation.reply, "serialization"] = None
    places, found = models_json_schema(list(wanted), ref_template=_REF)
    schemas = {_public(name): _tidy(schema) for name, schema in found.get("$defs", {}).items()}
    refs: Refs = {model: _tidy(place) for (model, _), place in places.items() if issubclass(model, BaseModel)}
    return refs, schemas


def _public(name: str) -> str:
    """``CallWire`` is a name of ours; outside it is a ``Call``."""
    return name.removesuffix("Wire")


def _tidy(tree: Any) -> Any:
    """Public names, no generated titles, the platforms put in."""
    if isinstance(tree, list):
        return [_tidy(entry) for entry in cast(list[Any], tree)]
    if not isinstance(tree, dict):
        return tree
    schema = cast(Schema, tree)
    if PLATFORM_MARK in schema:
        kept = {name: schema[name] for name in ("description", "default") if name in schema}
        return {"$ref": _REF.format(model="Platform"), **kept}
    if "$ref" in schema:
        return {**schema, "$ref": _public(schema["$ref"])}
    # A field may be called "title": then its value is a schema, not a text.
    return {k: _tidy(v) for k, v in schema.items() if not (k == "title" and isinstance(v, str))}


def _operation(operation: AnyOperation, tag: str, refs: Refs) -> Schema:
    wire: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [tag],
        "responses": _responses(operation, refs),
    }
    notes = [operation.notes] if operation.notes else []
    if operation.permission is not None:
        notes.append(f"Permission: `{operation.permission}`.")
    if notes:
        wire["description"] = " ".join(notes)
    parameters = [*_path_parameters(operation), *_query_parameters(operation)]
    if operation.repeatable:
        parameters.append(_IDEMPOTENCY_KEY)
    if parameters:
        wire["parameters"] = parameters
    content = _request_content(operation, refs)
    if content:
        wire["requestBody"] = {"required": not operation.body_optional, "content": content}
    if operation.public:
        wire["security"] = []
    return wire


def _path_parameters(operation: AnyOperation) -> list[Schema]:
    names = [part[1:-1] for part in operation.path.split("/") if part[:1] == "{"]
    return [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names]


def _query_parameters(operation: AnyOperation) -> list[Schema]:
    if operation.query is None:
        return []
    schema = operation.query.model_json_schema()
    parameters: list[Schema] = []
    for name, member in schema["properties"].items():
        member = _tidy(member)
        choices = [c for c in member.pop("anyOf", []) if c != {"type": "null"}]
        if len(choices) == 1:
            # Text on the wire: absent is absent, there is no null to send.
            member |= choices[0]
            member.pop("default", None)
        if member.get("$ref", "").startswith("#/$defs/"):  # beside the query, where no document has it
            member |= _tidy(schema["$defs"][member.pop("$ref").rpartition("/")[2]])
        description = member.pop("description", None)
        parameter: Schema = {"name": name, "in": "query", "required": False, "schema": member}
        if description is not None:
            parameter["description"] = description
        parameters.append(parameter)
    return parameters


def _request_content(operation: AnyOperation, refs: Refs) -> Schema:
    content: Schema = {}
    if operation.form is not None:
        content["multipart/form-data"] = {"schema": operation.form}
    model = operation.body or operation.alternative
    if model is not None:
        content["application/json"] = {"schema": refs[model]}
    return content


def _responses(operation: AnyOperation, refs: Refs) -> Schema:
    if operation.media is not None:
        content: Mapping[str, object] = operation.media
    else:
        content = {"application/json": {"schema": refs[operation.reply] if operation.reply else {}}}
    responses: Schema = {}
    for status, words in {operation.status: "Done", **operation.also}.items():
        responses[str(status)] = {"description": words, "headers": _REQUEST_ID, "content": content}
    for status, codes in sorted(errors_of(operation).items()):
        told = ", ".join(f"`{code}`" for code in codes)
        responses[str(status)] = {
            "description": f"{_TITLES[status]}: {told}",
            "headers": _REQUEST_ID,
            "content": {"application/problem+json": {"schema": {"$ref": _REF.format(model="Problem")}}},
        }
    return responses


def errors_of(operation: AnyOperation) -> dict[int, tuple[str, ...]]:
    """Every error code of an operation by status: its own, and what follows from its other members."""
    found: dict[int, list[str]] = {status: list(codes) for status, codes in operation.errors.items()}

    def add(status: int, *codes: str) -> None:
        known = found.setdefault(status, [])
        known += [code for code in codes if code not in known]

    if not operation.public:
        add(401, *_WHO_CODES)
        add(403, *(["INSUFFICIENT_PERMISSIONS"] if operation.permission else []))
        if operation.method != "GET":
            add(403, "CROSS_ORIGIN")
        add(503, "UNAVAILABLE", "DATABASE_BUSY", "DISK_FULL", "SHUTTING_DOWN")
    if operation.every_agent:
        add(403, "SESSION_REQUIRED")
    for part in operation.path.split("/"):
        if part[:1] == "{":
            add(404, PATH_IDS[part[1:-1]]().code)
    if operation.repeatable:
        add(409, "IDEMPOTENCY_KEY_IN_USE")
        add(422, "IDEMPOTENCY_KEY_REUSED")
    if operation.body is not None or operation.alternative is not None:
        add(400, "INVALID_JSON")
        add(422, "VALIDATION_FAILED")
    if operation.query is not None:
        add(400, "INVALID_REQUEST")
        add(422, "VALIDATION_FAILED")
    if operation.body is not None or operation.form is not None:
        add(413, "BODY_TOO_LARGE")
        add(415, "UNSUPPORTED_MEDIA_TYPE")
        add(422, "VALIDATION_FAILED")
    add(500, "INTERNAL")
    return {status: tuple(codes) for status, codes in found.items() if codes}
