"""The field types of request bodies and queries, with schemas that say what is really checked."""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from chamade_mcp.model.limits import MAX_ATTACHMENTS, MAX_NAME, MAX_TEXT

PLATFORM_MARK = "x-platform"
"""Stands in a schema where the document puts the platforms of this gateway."""

# One line: no control characters, and something to see. Written so that every regex dialect agrees.
ONE_LINE = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
_OPTIONAL_LINE = r"^[^\x00-\x1f\x7f]*$"
MEDIA_TYPE = r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(; ?[A-Za-z0-9_.+-]+=[A-Za-z0-9_.+ \x22-]+)*$"
_EMAIL = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$"
_URI = r"^[^\x00-\x20\x7f]+$"
_WEB_URL = r"^https?://[^\x00-\x20\x7f]+$"
_PRINTABLE = r"^[\x21-\x7e]+$"
_WORD = r"^[a-z0-9_-]+$"
_FILE_ID = r"^f_[a-z0-9]+$"
E164 = r"^\+[1-9][0-9]{6,14}$"
_BASE64 = r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$"


PATTERN_WORDS = {
    ONE_LINE: "must be one line without control characters",
    _OPTIONAL_LINE: "must be one line without control characters",
    MEDIA_TYPE: "must be a media type such as image/png",
    _EMAIL: "must be an e-mail address",
    _URI: "must be a URL or URI without spaces",
    _WEB_URL: "must be an http or https URL",
    _PRINTABLE: "must be printable ASCII without spaces",
    _WORD: "must be a lower-case name",
    _FILE_ID: "must be a file_id such as f_k3n...",
    E164: "must be an E.164 number such as +33123456789",
}
"""What is said instead of a regular expression."""


class Body(BaseModel):
    """A JSON request body: strict types, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Query(BaseModel):
    """Query parameters: text on the wire, unknown ones ignored."""

    model_config = ConfigDict(extra="ignore")


class Wire(BaseModel):
    """A JSON answer, for the document only. Answers may gain members."""

    model_config = ConfigDict(extra="allow")


def _without_nul(value: str) -> str:
    if "\x00" in value:
        raise PydanticCustomError("nul", "must not contain NUL characters")
    return value


def _from_text(value: object) -> object:
    """Query numbers are plain decimal digits: no plus signs, spaces, underscores or fractions."""
    if isinstance(value, str) and not (value.isascii() and value.removeprefix("-").isdigit()):
        raise PydanticCustomError("digits", "must be a whole number")
    return value


def _from_number(value: object) -> object:
    """JSON has one kind of number: 5.0 is 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# Both stand last in an annotation, or the schema loses the limits before them.
FromText = BeforeValidator(_from_text)
FromNumber = BeforeValidator(_from_number)

NoNul = AfterValidator(_without_nul)
_NUL_SCHEMA: JsonDict = {"pattern": r"^[^\x00]*$"}

AnyText = Annotated[str, StringConstraints(max_length=MAX_TEXT), NoNul, Field(json_schema_extra=_NUL_SCHEMA)]
Text = Annotated[
    str, StringConstraints(min_length=1, max_length=MAX_TEXT), NoNul, Field(json_schema_extra=_NUL_SCHEMA)
]
Line = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME, pattern=ONE_LINE)]
OptionalLine = Annotated[str, StringConstraints(max_length=MAX_NAME, pattern=_OPTIONAL_LINE)]
FileName = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=ONE_LINE)]
Mime = Annotated[str, StringConstraints(min_length=3, max_length=127, pattern=MEDIA_TYPE)]
Email = Annotated[str, StringConstraints(max_length=190, pattern=_EMAIL)]
Password = Annotated[
    str, StringConstraints(min_length=1, max_length=256), NoNul, Field(json_schema_extra=_NUL_SCHEMA)
]
NewPassword = Annotated[
    str, StringConstraints(min_length=8, max_length=256), NoNul, Field(json_schema_extra=_NUL_SCHEMA)
]
Uri = Annotated[str, StringConstraints(min_length=1, max_length=2048, pattern=_URI)]
WebUrl = Annotated[str, StringConstraints(max_length=2048, pattern=_WEB_URL)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=_PRINTABLE)]
Setting = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=ONE_LINE)]
PlatformName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=40, pattern=_WORD),
    WithJsonSchema({"type": "string", PLATFORM_MARK: True}),
]
Base64 = Annotated[
    str,
    StringConstraints(min_length=4),
    # The bytes are checked where they are decoded: once, not twice.
    Field(json_schema_extra={"contentEncoding": "base64", "pattern": _BASE64}),
]


class ByFileId(Body):
    """A file uploaded before."""

    file_id: Annotated[str, StringConstraints(max_length=40, pattern=_FILE_ID)]


class ByUrl(Body):
    """A file the gateway fetches, or an inbound attachment's own URL."""

    url: WebUrl
    name: FileName | None = None
    mime: Mime | None = None


class ByBytes(Body):
    """A file in the request itself."""

    bytes_b64: Base64
    name: FileName
    mime: Mime


def _kind(value: object) -> str | None:
    """Which of the three an entry means: the one whose own member it has."""
    if isinstance(value, dict):
        for member in ("file_id", "url", "bytes_b64"):
            if member in value:
                return f"by:{member}"
    return None


Attachment = Annotated[
    Annotated[ByFileId, Tag("by:file_id")]
    | Annotated[ByUrl, Tag("by:url")]
    | Annotated[ByBytes, Tag("by:bytes_b64")],
    Discriminator(
        _kind,
        custom_error_type="attachment_kind",
        custom_error_message="must be an object with file_id, or url, or bytes_b64 + name + mime",
    ),
]

_TEXT_OR_ATTACHMENTS: JsonDict = {
    "anyOf": [
        {"required": ["text"], "properties": {"text": {"minLength": 1}}},
        {"required": ["attachments"], "properties": {"attachments": {"minItems": 1}}},
    ]
}


class MessageBody(Body):
    """Text, attachments, or both: the text is then the caption of the first attachment."""

    model_config = ConfigDict(json_schema_extra=_TEXT_OR_ATTACHMENTS)

    text: AnyText = ""
    attachments: list[Attachment] = Field(default_factory=list[Attachment], max_length=MAX_ATTACHMENTS)

    @model_validator(mode="after")
    def _says_something(self) -> "MessageBody":
        if not self.text and not self.attachments:
            words = f"must have 1 to {MAX_TEXT} characters unless attachments are given"
            raise PydanticCustomError("field:text", words)  # pyright: ignore[reportArgumentType]
        return self

    def attached(self) -> list[dict[str, str]]:
        """The attachments as the core takes them."""
        return [entry.model_dump(exclude_none=True) for entry in self.attachments]


class FileLinkWire(Wire):
    """A file beside a message, as it is told everywhere."""

    name: str
    mime: str
    size: int
    url: str


State = Literal["connecting", "ringing", "active", "refused", "missed", "ended", "disconnected"]
