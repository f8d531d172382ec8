"""One attempt: signed, posted behind the guard, and what came of it in words."""

from collections.abc import Collection
from typing import Any, Final

from chamade_mcp.core.webhooks.records import SECRET_PURPOSE, Attempt, Target
from chamade_mcp.core.webhooks.schedule import retry_after_s
from chamade_mcp.core.webhooks.signing import signed_headers
from chamade_mcp.kit.clock import Clock
from chamade_mcp.kit.compact import compact
from chamade_mcp.kit.outbound import Failed, Fetched, Outbound, Refused
from chamade_mcp.model.ids import WebhookDeliveryId
from chamade_mcp.store.secrets import SealBroken, SecretBox

TIMEOUT_S: Final = 15.0
RESPONSE_BYTES: Final = 1024
_EXPIRED: Final = "The event is no longer kept"
_UNREADABLE: Final = "The secret was sealed with another key of the gateway: rotate it"


class Carrier:
    """`hosts` may be reached though they are not of the public Internet; see `Outbound.post`."""

    def __init__(self, outbound: Outbound, box: SecretBox, clock: Clock, hosts: Collection[str]) -> None:
        self._outbound = outbound
        self._box = box
        self._clock = clock
        self.hosts = hosts

    async def carry(
        self, target: Target, delivery: WebhookDeliveryId, body: dict[str, Any] | None
    ) -> Attempt:
        """Raises nothing that the receiver could cause."""
        started_at, start = self._clock.now(), self._clock.monotonic()
        fetched: Fetched | None = None
        error: str | None = _EXPIRED
        if body is not None:
            try:
                fetched = await self._post(target, delivery, body)
                error = _judged(fetched)
            except SealBroken:
                error = _UNREADABLE
            except (Refused, Failed) as failure:
                error = str(failure)
        duration_ms = round((self._clock.monotonic() - start) * 1000)
        if fetched is None:
            return Attempt(started_at, duration_ms, None, error, "")
        patience_s = retry_after_s(fetched.headers.get("retry-after"), self._clock.now())
        return Attempt(started_at, duration_ms, fetched.status, error, _text(fetched.body), patience_s)

    async def _post(self, target: Target, delivery: WebhookDeliveryId, body: dict[str, Any]) -> Fetched:
        raw = compact(body)
        secrets = [self._box.open(SECRET_PURPOSE, sealed) for sealed in target.sealed]
        headers = signed_headers(delivery, self._clock.now(), raw, secrets)
        return await self._outbound.post(
            target.url,
            raw,
            {"content-type": "application/json", **headers},
            cut_bytes=RESPONSE_BYTES,
            timeout_s=TIMEOUT_S,
            trusted=self.hosts,
        )


def _judged(answer: Fetched) -> str | None:
    if 200 <= answer.status < 300:
        return None
    if 300 <= answer.status < 400:
        return f"It answered {answer.status}: redirects are not followed"
    return f"It answered {answer.status}"


def _text(body: bytes) -> str:
    """What a person can look at: the database takes no NUL, and a cut may go through a character."""
    return body.decode("utf-8", "replace").replace("\x00", "\ufffd")
