"""From a path to its operations by dictionary look-ups: the cost does not grow with the number of routes."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from chamade_mcp.api.operation import AnyOperation
from chamade_mcp.model.errors import NotFound, call_not_found

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_NO_IDS: Mapping[str, str] = {}


def _missing(detail: str, code: str) -> Callable[[], NotFound]:
    return lambda: NotFound(detail, code=code)


PATH_IDS: Mapping[str, Callable[[], NotFound]] = {
    "call_id": call_not_found,
    "conversation_id": _missing("Conversation not found", "CONVERSATION_NOT_FOUND"),
    "message_id": _missing("Message not found", "MESSAGE_NOT_FOUND"),
    "token": _missing("File not found", "FILE_NOT_FOUND"),
    "recording_id": _missing("Recording not found", "RECORDING_NOT_FOUND"),
    "track_id": _missing("Track not found", "TRACK_NOT_FOUND"),
    "upload_token": _missing("Upload URL is unknown, used or expired", "UPLOAD_URL_GONE"),
    "key_id": _missing("API key not found", "KEY_NOT_FOUND"),
    "ping_id": _missing("Ping not found", "PING_NOT_FOUND"),
    "invitation_id": _missing("Invitation not found", "INVITATION_NOT_FOUND"),
    "passkey_id": _missing("Passkey not found", "PASSKEY_NOT_FOUND"),
    "sign_in_id": _missing("Sign-in not found", "SIGN_IN_NOT_FOUND"),
    "grant_id": _missing("Grant not found", "GRANT_NOT_FOUND"),
    "bot_id": _missing("Bot not found", "BOT_NOT_FOUND"),
    "agent_id": _missing("Agent not found", "AGENT_NOT_FOUND"),
    "connection_id": _missing("Connection not found", "CONNECTION_NOT_FOUND"),
    "pairing_id": _missing("Pairing not found", "PAIRING_NOT_FOUND"),
    "platform": _missing("Platform not found", "PLATFORM_NOT_FOUND"),
    "link_id": _missing("Link not found", "LINK_NOT_FOUND"),
    "webhook_id": _missing("Webhook not found", "WEBHOOK_NOT_FOUND"),
    "delivery_id": _missing("Delivery not found", "DELIVERY_NOT_FOUND"),
    "trouble_id": _missing("Trouble not found", "TROUBLE_NOT_FOUND"),
    "did_id": _missing("Number not found", "NUMBER_NOT_FOUND"),
    "provider": _missing(
        "Provider not found; one of microsoft, google, discord, slack, zoom", "PROVIDER_NOT_FOUND"
    ),
}
"""Every path parameter, and what is said when its value cannot be an id at all."""


@dataclass(frozen=True, slots=True)
class Place:
    """What stands at one path: an operation per method."""

    methods: Mapping[str, AnyOperation]
    allow: str
    names: tuple[tuple[int, str], ...]
    """Where in the split path the ids stand."""


class Router:
    def __init__(self, operations: Iterable[AnyOperation]) -> None:
        by_path: dict[str, dict[str, AnyOperation]] = {}
        for operation in operations:
            methods = by_path.setdefault(operation.path, {})
            if operation.method in methods:
                raise ValueError(f"{operation.method} {operation.path} is there twice")
            methods[operation.method] = operation
        self._static: dict[str, Place] = {}
        self._shapes: dict[tuple[int, str, str], list[tuple[tuple[tuple[int, str], ...], Place]]] = {}
        for path, methods in by_path.items():
            self._add(path, methods)

    def find(self, path: str) -> tuple[Place, Mapping[str, str]] | None:
        """The place and the ids in the path; raises the id's own `NotFound` when one is no id at all."""
        if len(path) > 1 and path[-1] == "/":
            path = path[:-1]
        place = self._static.get(path)
        if place is not None:
            return place, _NO_IDS
        parts = path.split("/")
        for words, place in self._shapes.get(_shape(parts), ()):
            for at, word in words:
                if parts[at] != word:
                    break
            else:
                return place, _ids(place, parts)
        return None

    def _add(self, path: str, methods: Mapping[str, AnyOperation]) -> None:
        parts = path.split("/")
        names = tuple((at, part[1:-1]) for at, part in enumerate(parts) if part[:1] == "{")
        unknown = [name for _, name in names if name not in PATH_IDS]
        if unknown:
            raise ValueError(f"{path}: unknown path parameter {unknown[0]!r}")
        allowed = {*methods, "HEAD"} if "GET" in methods else set(methods)
        place = Place(methods, ", ".join(sorted(allowed)), names)
        if names:
            words = tuple((at, part) for at, part in enumerate(parts) if at > 2 and part[:1] != "{")
            self._shapes.setdefault(_shape(parts), []).append((words, place))
        else:
            self._static[path] = place


def _shape(parts: list[str]) -> tuple[int, str, str]:
    """Length and the first two words, which are never ids."""
    return (len(parts), parts[1], parts[2]) if len(parts) > 2 else (len(parts), "", "")


def _ids(place: Place, parts: list[str]) -> Mapping[str, str]:
    ids: dict[str, str] = {}
    for at, name in place.names:
        value = parts[at]
        if _ID.fullmatch(value) is None:
            raise PATH_IDS[name]()
        ids[name] = value
    return ids
