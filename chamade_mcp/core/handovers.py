"""Bots that a platform hands over: a person is sent there with a state, and the platform brings it back."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from chamade_mcp.core.accounts import require_verified
from chamade_mcp.core.connections import ConnectionDeps, Connections
from chamade_mcp.core.ways import Ways
from chamade_mcp.kit.connection import HandsOver, Hook, HookRefused, HookReply
from chamade_mcp.model.access import Principal
from chamade_mcp.model.connections import Access
from chamade_mcp.model.errors import Forbidden, NotAvailable
from chamade_mcp.model.ids import Platform

audit = logging.getLogger("chamade_mcp.audit")


@dataclass(frozen=True, slots=True)
class _Open:
    principal: Principal
    platform: Platform
    asked: Mapping[str, str]


class Handovers:
    def __init__(self, deps: ConnectionDeps, connections: Connections) -> None:
        self._d = deps
        self._connections = connections
        self._ways: Ways[_Open] = Ways(deps.clock)
        # Looked up once: it is asked of every webhook, and asking a protocol takes as long as reading one.
        self._handing = {name: c for name, c in deps.connectors.items() if isinstance(c, HandsOver)}

    def host(self, platform: str, asked: Mapping[str, str]) -> str:
        """The place that a person is asked about. Raises `NotAvailable` and `ValidationFailed`."""
        return self._connector(platform).host(asked)

    def origin(self, platform: str, asked: Mapping[str, str]) -> str:
        """Scheme, host and port of where `begin` will send the browser. Raises as `host`."""
        parts = urlsplit(self._connector(platform).send_to(asked, "", self._d.public_url))
        return f"{parts.scheme}://{parts.netloc}"

    def begin(self, principal: Principal, platform: str, asked: Mapping[str, str]) -> str:
        """Where to send the person's browser. Raises as `host`, and `Forbidden` without a verified e-mail
        address."""
        require_verified(principal)
        connector = self._connector(platform)
        connector.host(asked)
        state = self._ways.open(principal.account, _Open(principal, Platform(platform), dict(asked)))
        return connector.send_to(asked, state, self._d.public_url)

    def refusal(self, platform: Platform, code: str) -> str:
        """What a code means that the platform sends a person's browser back with; "" for one it has not."""
        connector = self._handing.get(platform)
        return "" if connector is None else connector.refusal(code)

    def are_of(self, platform: Platform) -> bool:
        """Whether the platform hands bots over at all."""
        return platform in self._handing

    async def take(self, platform: Platform, hook: Hook) -> HookReply | None:
        """Connects the bot that `hook` hands over; None when it is no such call.

        Raises `Forbidden` for a state that is unknown, used or expired (told alike, on purpose).
        """
        connector = self._handing.get(platform)
        if connector is None or (state := connector.state_of(hook)) is None:
            return None
        asking = self._ways.take(state)
        try:
            if asking is None or asking.platform != platform:
                raise HookRefused
            handed = connector.handed_over(hook, asking.asked)
        except HookRefused:
            audit.info("a bot of %s was not taken: nobody here has asked for it", platform)
            raise Forbidden("This state is unknown, used or expired", code="HOOK_REFUSED") from None
        # The platform waits with its answer to the person: whether the bot works, its link finds out.
        await self._connections.register(
            asking.principal, platform, handed.settings, Access.OPEN, handed.identity
        )
        return HookReply(body=b"{}", media_type="application/json")

    def _connector(self, platform: str) -> HandsOver:
        manifest = self._d.platforms.require(platform)
        connector = self._handing.get(manifest.platform)
        if connector is None:
            raise NotAvailable(f"{manifest.title} hands over no bots", platform=manifest.platform)
        return connector
