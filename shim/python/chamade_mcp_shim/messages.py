"""JSON-RPC as far as a bridge has to look: what kind of message, which id, which protocol era.

Nothing is modelled and nothing is rebuilt: the bytes that come in go out again, so that what a later protocol
revision adds passes through unseen.
"""

import json
from base64 import b64encode
from dataclasses import dataclass
from enum import Enum
from typing import Final, cast

VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
"""In `params._meta` of every request from protocol 2026-07-28 on."""

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
_NAMED_BY: Final = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Which parameter the ``Mcp-Name`` header repeats."""
_SAFE: Final = frozenset(
    {
        "initialize",
        "ping",
        "server/discover",
        "subscriptions/listen",
        "tools/list",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
        "prompts/list",
        "prompts/get",
        "completion/complete",
        "logging/setLevel",
        "notifications/initialized",
        "notifications/cancelled",
    }
)
"""Methods that may be sent twice. What is not known here may do something."""

Id = str | int | float
Document = dict[str, object]


class Kind(Enum):
    REQUEST = 1
    NOTIFICATION = 2
    RESPONSE = 3


class Malformed(Exception):
    """No message. `id` is None where none could be read."""

    def __init__(self, code: int, text: str, id_: Id | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.id = id_


@dataclass(frozen=True, slots=True)
class Message:
    """One message and the bytes it came in, which hold no line break."""

    raw: bytes
    kind: Kind
    id: Id | None
    method: str
    params: Document
    body: Document

    @property
    def key(self) -> tuple[str, Id | None]:
        """The id as a dictionary key: ``1`` and ``"1"`` are different ids."""
        return type(self.id).__name__, self.id

    @property
    def own_version(self) -> str | None:
        """The protocol version that the message itself declares; none before 2026-07-28."""
        version = member(member(self.params, "_meta"), VERSION_KEY)
        return version if isinstance(version, str) and version.isascii() and version.isprintable() else None


def read(raw: bytes) -> Message:
    """Raises `Malformed`."""
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        parsed: object = json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        raise Malformed(PARSE_ERROR, "This line is not JSON") from error
    if not isinstance(parsed, dict):
        raise Malformed(INVALID_REQUEST, "A line holds one JSON-RPC message; batches are not supported")
    body = cast(Document, parsed)
    id_ = body.get("id")
    method = body.get("method")
    known = id_ if isinstance(id_, str | int | float) and not isinstance(id_, bool) else None
    if not isinstance(method, str):
        if not body.keys() & {"result", "error"}:
            raise Malformed(INVALID_REQUEST, "Neither a request nor a notification nor a response", known)
        return Message(raw, Kind.RESPONSE, known, "", {}, body)
    if "id" in body and known is None:
        raise Malformed(INVALID_REQUEST, "The id of a request is a string or a number")
    params = body.get("params")
    kind = Kind.REQUEST if "id" in body else Kind.NOTIFICATION
    return Message(raw, kind, known, method, cast(Document, params) if isinstance(params, dict) else {}, body)


def member(value: object, name: str) -> object:
    """`value[name]` where `value` is an object that has it, else None."""
    return cast(Document, value).get(name) if isinstance(value, dict) else None


def items(value: object) -> list[object]:
    return cast(list[object], value) if isinstance(value, list) else []


def line(raw: bytes) -> bytes:
    """Valid JSON as one line. Separators that only some readers take for line breaks are escaped."""
    for separator, instead in (
        (b"\r", b" "),
        (b"\n", b" "),
        (b"\xe2\x80\xa8", b"\\u2028"),
        (b"\xe2\x80\xa9", b"\\u2029"),
        (b"\xc2\x85", b"\\u0085"),
    ):
        if separator in raw:
            raw = raw.replace(separator, instead)
    return raw + b"\n"


def dump(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


class Tools:
    """What passing tool lists tell about tools."""

    def __init__(self) -> None:
        self._read_only: dict[str, bool] = {}
        self._headers: dict[str, list[tuple[list[str], str]]] = {}

    def learn(self, result: object) -> None:
        for tool in items(member(result, "tools")):
            name = member(tool, "name")
            if isinstance(name, str):
                self._read_only[name] = member(member(tool, "annotations"), "readOnlyHint") is True
                self._headers[name] = list(_marked(member(tool, "inputSchema"), []))

    def may_repeat(self, message: Message) -> bool:
        """May it be sent again although it might have been done?"""
        if message.kind is Kind.RESPONSE or message.method in _SAFE:
            return True
        name = message.params.get("name")
        return message.method == "tools/call" and isinstance(name, str) and self._read_only.get(name, False)

    def modern_headers(self, message: Message) -> dict[str, str]:
        """What 2026-07-28 wants repeated in headers, so that proxies need not read bodies."""
        headers = {"mcp-method": _header(message.method)}
        name = message.params.get(_NAMED_BY.get(message.method, ""))
        if isinstance(name, str):
            headers["mcp-name"] = _header(name)
            if message.method == "tools/call":
                for path, token in self._headers.get(name, []):
                    value: object = message.params.get("arguments")
                    for step in path:
                        value = member(value, step)
                    if isinstance(value, str | int):
                        text = str(value).lower() if isinstance(value, bool) else str(value)
                        headers[f"mcp-param-{token}"] = _header(text)
        return headers


def _marked(schema: object, path: list[str]) -> "list[tuple[list[str], str]]":
    """Where a schema's properties carry ``x-mcp-header``, and the token there."""
    found: list[tuple[list[str], str]] = []
    properties = member(schema, "properties")
    for name, inner in cast(Document, properties).items() if isinstance(properties, dict) else ():
        token = member(inner, "x-mcp-header")
        if isinstance(token, str) and token.isascii() and token.replace("-", "").replace("_", "").isalnum():
            found.append(([*path, name], token))
        found += _marked(inner, [*path, name])
    return found


def _header(value: str) -> str:
    """As it is where a header field can carry it, else in the wrapping that 2026-07-28 defines."""
    wrapped = value.startswith("=?base64?") and value.endswith("?=")
    if value.isascii() and value.isprintable() and value == value.strip() and not wrapped:
        return value
    return f"=?base64?{b64encode(value.encode('utf-8', 'surrogatepass')).decode('ascii')}?="
