"""What Nextcloud Talk and its addon send, as typed as the gateway needs it. Pure; nothing but `Unreadable`
is raised.

PHP writes an empty map as ``[]``. Fields that are unknown are left alone.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

ONE_TO_ONE: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_S: Final = 253_402_300_799
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z0-9_-]{1,64})\}")
_FILE: Final = re.compile(r"file[0-9]*")
PROBE: Final = re.compile(r"__chamade_probe:([A-Za-z0-9_-]{8,64})__")


W = TypeVar("W", bound=BaseModel)


class Unreadable(ValueError):
    """It is nothing of Nextcloud's."""


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


def _map(value: object) -> object:
    return {} if value == [] else value


def _some(value: object) -> object:
    return value or None


Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,64}$")]
Id = Annotated[int, Field(ge=0, le=1 << 53)]


class Attached(_Wire):
    """A file beside a message that the addon forwards."""

    file_id: str = ""
    name: str = ""
    mime: str = ""
    size: int | None = None
    path: str = ""


class ChatHook(_Wire):
    type: str
    room_token: Token
    sender: str = ""
    sender_id: str
    message: str = ""
    room_type: int = 0
    bot_user: str = ""
    bot_owner: str = ""
    attachments: tuple[Attached, ...] = Field(default=(), strict=False, max_length=100)
    encrypted: Any = None
    """A block of the addon's end-to-end encryption, in the place of a text. Its format is not ours."""

    @property
    def block(self) -> bytes:
        """The same, as it is to be passed on; empty without one."""
        match self.encrypted:
            case None:
                return b""
            case str() as text:
                return text.encode()
            case other:
                return json.dumps(other).encode()


class ProbeHook(_Wire):
    nonce: str
    bot_login: str
    room_token: str = ""


class AttendeeHook(_Wire):
    room_token: Token
    bot_user_id: str


class Callback(_Wire):
    """A bot user that the addon has made, with what it takes to be it."""

    state: Annotated[str, Field(min_length=1, max_length=200)]
    nc_url: Annotated[str, Field(min_length=8, max_length=500)]
    bot_login: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.@-]{1,64}$")]
    bot_password: Annotated[str, Field(min_length=1, max_length=512)]
    api_secret: Annotated[str, Field(min_length=16, max_length=512)]
    nc_username: Annotated[str, Field(min_length=1, max_length=128)]


class Parameter(_Wire):
    """What stands for a placeholder in a text."""

    type: str = ""
    id: str = ""
    name: str = ""
    size: int | None = None
    path: str = ""
    mimetype: str = ""


def _parameter(value: object) -> object:
    """Numbers come as texts from some versions of Talk, and as numbers from others."""
    if not isinstance(value, dict):
        return value
    told = dict(cast("dict[str, Any]", value))
    if isinstance(told.get("id"), int):
        told["id"] = str(told["id"])
    size = told.get("size")
    if isinstance(size, str):
        told["size"] = int(size) if size.isdecimal() and len(size) < 16 else None
    return told


Parameters = Annotated[dict[str, Annotated[Parameter, BeforeValidator(_parameter)]], BeforeValidator(_map)]


class Parent(_Wire):
    """The message that another is about."""

    id: Id
    message: str = ""
    parameters: Annotated[Parameters, Field(alias="messageParameters")] = Field(
        default_factory=dict[str, Parameter]
    )


class Newest(_Wire):
    id: Id


class Said(_Wire):
    """A message as Talk's own API has it."""

    id: Id
    actor_type: Annotated[str, Field(alias="actorType")]
    actor_id: Annotated[str, Field(alias="actorId")]
    actor_name: Annotated[str, Field(alias="actorDisplayName")] = ""
    timestamp: Id = 0
    message: str = ""
    system: Annotated[str, Field(alias="systemMessage")] = ""
    parameters: Annotated[Parameters, Field(alias="messageParameters")] = Field(
        default_factory=dict[str, Parameter]
    )
    parent: Annotated[Parent | None, BeforeValidator(_some)] = None
    reference: Annotated[str | None, Field(alias="referenceId")] = ""

    @property
    def sender_id(self) -> str:
        return f"{self.actor_type}/{self.actor_id}"

    @property
    def sent_at(self) -> datetime:
        return _EPOCH + timedelta(seconds=min(self.timestamp, _LAST_S))

    @property
    def text(self) -> str:
        """With names in the place of placeholders; files stand beside it."""
        return readable(self.message, self.parameters)

    @property
    def files(self) -> list[Attached]:
        return [
            Attached(file_id=p.id, name=p.name, mime=p.mimetype, size=p.size, path=p.path)
            for key, p in self.parameters.items()
            if p.type == "file" and _FILE.fullmatch(key)
        ]

    def mentions(self, login: str) -> bool:
        return any(p.type == "user" and p.id == login for p in self.parameters.values())


class _Heard(_Wire):
    data: list[Said]


class Chat(_Wire):
    """A whole page of messages, as it comes in an OCS envelope."""

    ocs: _Heard


class Room(_Wire):
    token: Token
    type: int
    name: Annotated[str, Field(alias="displayName")] = ""
    newest: Annotated[Newest | None, Field(alias="lastMessage"), BeforeValidator(_some)] = None

    @property
    def last(self) -> int:
        """The number of its newest message; 0 where there is none."""
        return 0 if self.newest is None else self.newest.id


class Me(_Wire):
    id: str
    name: Annotated[str, Field(alias="displayname")] = ""


class Posted(_Wire):
    id: Id


def readable(message: str, parameters: Mapping[str, Parameter]) -> str:
    """`message` with names in the place of placeholders, and nothing in that of files."""
    if "{" not in message:
        return message.strip()

    def shown(found: re.Match[str]) -> str:
        key = found[1]
        parameter = parameters.get(key)
        if _FILE.fullmatch(key) and (parameter is None or parameter.type == "file"):
            return ""
        if parameter is None:
            return found[0]
        name = parameter.name or parameter.id
        return f"@{name}" if key.startswith("mention") else name

    return _PLACEHOLDER.sub(shown, message).strip()


def read(kind: type[W], told: bytes | object) -> W:
    """`told`, raw JSON or what was read from it, as `kind`."""
    try:
        if isinstance(told, bytes):
            return kind.model_validate_json(told)
        return kind.model_validate(told)
    except (ValidationError, ValueError, RecursionError) as error:
        raise Unreadable(type(error).__name__) from None


def members(body: bytes) -> dict[str, Any]:
    """Of a webhook; none where it is no JSON object."""
    try:
        told = from_json(body)
    except ValueError:
        told = _read_leniently(body)
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def _read_leniently(body: bytes) -> object:
    """What is slower to read takes a text that has half of a character, too."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def field_of(told: Mapping[str, Any], name: str) -> str:
    """One field of a webhook that is not verified yet; "" where it has none."""
    value = told.get(name)
    return value if isinstance(value, str) and len(value) <= 500 else ""


def read_rooms_map(told: object) -> dict[str, str]:
    """The addon's `authorized_rooms`: by room, the login of the owner who activated it."""
    if told == []:
        return {}
    if not isinstance(told, dict):
        raise Unreadable("authorized_rooms")
    return {str(room): str(owner) for room, owner in cast("dict[str, Any]", told).items()}
