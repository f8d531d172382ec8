"""``multipart/form-data`` on its way out, with files that are read while they are sent."""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from chamade_mcp.kit.connector import Content


@dataclass(frozen=True, slots=True)
class FilePart:
    field: str
    name: str
    mime: str
    content: Content


class Form:
    """A body for `httpx2`: give `chunks()` as its content, once, and `headers` beside it."""

    def __init__(self, fields: Mapping[str, str], files: Sequence[FilePart]) -> None:
        self._boundary = secrets.token_hex(16)
        self._head = b"".join(
            self._part(f'name="{_quoted(name)}"') + value.encode() + b"\r\n" for name, value in fields.items()
        )
        self._files = [
            (
                self._part(f'name="{_quoted(f.field)}"; filename="{_quoted(f.name)}"', f.mime),
                f.content,
            )
            for f in files
        ]
        self._end = f"--{self._boundary}--\r\n".encode()

    @property
    def headers(self) -> dict[str, str]:
        bodies = sum(len(head) + content.size_bytes + 2 for head, content in self._files)
        return {
            "content-type": f"multipart/form-data; boundary={self._boundary}",
            "content-length": str(len(self._head) + bodies + len(self._end)),
        }

    async def chunks(self) -> AsyncIterator[bytes]:
        if self._head:
            yield self._head
        for head, content in self._files:
            yield head
            async for chunk in content.chunks:
                yield chunk
            yield b"\r\n"
        yield self._end

    def _part(self, disposition: str, mime: str | None = None) -> bytes:
        kind = "" if mime is None else f"Content-Type: {mime}\r\n"
        return f"--{self._boundary}\r\nContent-Disposition: form-data; {disposition}\r\n{kind}\r\n".encode()


def _quoted(name: str) -> str:
    """As browsers write it (WHATWG HTML, multipart form data)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
