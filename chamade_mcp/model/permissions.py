"""A client asks before it uses a tool."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PermissionRequest:
    """What a client would like to do. All of it is the client's words; `id` is five letters."""

    id: str
    tool_name: str
    description: str
    input_preview: str
