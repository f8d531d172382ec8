"""Binary WebSocket frames past the queues of ASGI, where the server lets them pass.

Sound goes to and fro fifty times a second and call. By way of ASGI each frame is put into a queue and wakes a
task on its way in, and again on its way out; that costs as much as the rest of the server.
"""

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias, cast

from starlette.types import Scope

EXTENSION: Final = "chamade.frames"
"""Of the scope, among its ``extensions``."""

Taker: TypeAlias = Callable[[bytes], None]
"""Must not block. What it raises, the frame itself will raise again: it then comes by `receive`."""


class Frames(Protocol):
    def write(self, payload: bytes) -> bool:
        """Writes a binary frame at once; False when it cannot be now, and must be sent. It overtakes what is
        being sent at the moment."""
        ...

    def give_to(self, taker: Taker | None) -> None:
        """From now on `taker` gets the binary frames that come while the application waits in `receive`
        and has taken all before them. All others still come by `receive`."""
        ...


def frames_of(scope: Scope) -> Frames | None:
    """None where the server has no such thing."""
    return cast("Frames | None", scope.get("extensions", {}).get(EXTENSION, {}).get("frames"))
