"""What `chamade sandbox` needs of an emulated platform: a stage on which a page plays the people.

A connector offers one as ``sandbox.stage``, a `Stage` without arguments.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from starlette.types import ASGIApp


@dataclass(frozen=True, slots=True)
class Line:
    """Something said between a person and the bot, as the person sees it."""

    author: str
    """"" for the bot."""
    text: str
    files: tuple[str, ...] = ()
    """Their names."""


class Stage(Protocol):
    @property
    def app(self) -> ASGIApp:
        """The platform's API."""
        ...

    def running(self) -> AbstractAsyncContextManager[None]:
        """While it calls the gateway."""
        ...

    def settings(self, url: str, gateway_url: str) -> Mapping[str, str]:
        """What who runs the gateway sets for the platform that is served at `url`; an app for everybody, too,
        where people connect by agreeing there."""
        ...

    def bot(self) -> Mapping[str, str]:
        """The settings of a new bot; the page's people write to it from then on, unless they have agreed to
        the app for everybody."""
        ...

    async def connected(self, hook_url: str) -> None:
        """The bot is connected; the platform may call it there."""
        ...

    def write(self, person: str, text: str) -> None: ...

    def lines(self, person: str) -> Sequence[Line]:
        """All that this person and the bot said to each other, oldest first."""
        ...
