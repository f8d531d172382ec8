"""Files to a person: a card asks whether they want one, and what they accept is put into their OneDrive."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import logging
from typing import Any, Final, cast

from chamade_mcp.connectors.teams.client import BotConnector
from chamade_mcp.connectors.teams.places import Places
from chamade_mcp.connectors.teams.wire import Activity, Consent, UploadInfo
from chamade_mcp.kit.connector import Context, PlatformUnavailable
from chamade_mcp.kit.http import Unanswered
from chamade_mcp.kit.recent import Recent
from chamade_mcp.model.access import Scope
from chamade_mcp.model.errors import GatewayError
from chamade_mcp.model.facts import DeliveryChanged
from chamade_mcp.model.ids import ConversationRef, FileId
from chamade_mcp.model.messages import Attachment, DeliveryState

log = logging.getLogger(__name__)

CONSENT: Final = "application/vnd.microsoft.teams.card.file.consent"
INFO: Final = "application/vnd.microsoft.teams.card.file.info"
INVOKE: Final = "fileConsent/invoke"
_MOST_WAITING: Final = 100
_REMEMBERED: Final = 1000


class Offers:
    """What is offered stands, sealed, in the card itself: so it can be accepted after a restart, too."""

    def __init__(self, ctx: Context, api: BotConnector, places: Places) -> None:
        self._ctx = ctx
        self._api = api
        self._places = places
        self._key = ctx.secret(f"teams offers {api.me}")
        self._accepted: asyncio.Queue[tuple[Scope, str, dict[str, Any], UploadInfo]] = asyncio.Queue(
            _MOST_WAITING
        )
        self._done: Recent[str, None] = Recent(_REMEMBERED)

    def card(self, place: str, key: str, attachment: Attachment, size_bytes: int) -> dict[str, Any]:
        """The attachment that asks for consent."""
        about = {
            "place": place,
            "key": key,
            "name": attachment.name,
            "mime": attachment.mime,
            "size": attachment.size_bytes,
            "url": attachment.url,
            "file": attachment.file_id,
        }
        context = {"offer": self._seal(about)}
        return {
            "contentType": CONSENT,
            "name": attachment.name,
            "content": {
                "description": "A file from the agent",
                "sizeInBytes": size_bytes,
                "acceptContext": context,
                "declineContext": context,
            },
        }

    async def answered(self, scope: Scope, activity: Activity, consent: Consent) -> None:
        """Somebody accepted or declined. The upload itself comes later: Teams wants an answer at once."""
        about = self._open(consent.context)
        if about is None or about["place"] != activity.place:
            log.warning("an answer to an offer that the gateway has not made is left out")
            return
        offer = f"{about['key']} {about['file']}"
        if offer in self._done:
            return
        self._done[offer] = None
        if consent.action != "accept":
            await self._tell(scope, about, DeliveryState.FAILED, "The person declined the file")
        elif consent.upload_info is None or not self._places.is_store(consent.upload_info.upload_url):
            await self._tell(scope, about, DeliveryState.FAILED, "Teams names a place that is not its own")
        else:
            try:
                self._accepted.put_nowait((scope, activity.reply_to_id, about, consent.upload_info))
            except asyncio.QueueFull:
                del self._done[offer]
                raise PlatformUnavailable("Too many files are on their way") from None

    async def work(self) -> None:
        """Puts what was accepted where it belongs, one file after another."""
        while True:
            scope, card, about, upload = await self._accepted.get()
            try:
                await self._deliver(scope, card, about, upload)
            except (GatewayError, PlatformUnavailable, Unanswered) as error:
                log.warning("a file was accepted and could not be handed over: %s", error)
                words = error.detail if isinstance(error, GatewayError) else str(error)
                await self._tell(scope, about, DeliveryState.FAILED, words)

    # --- inside --------------------------------------------------------------------------------------------

    async def _deliver(self, scope: Scope, card: str, about: dict[str, Any], upload: UploadInfo) -> None:
        attachment = Attachment(
            about["name"], about["mime"], about["size"], about["url"], FileId(about["file"])
        )
        await self._api.upload(upload.upload_url, await self._ctx.files.open(attachment))
        info = {
            "contentType": INFO,
            "contentUrl": upload.content_url,
            "name": upload.name or attachment.name,
            "content": {"uniqueId": upload.unique_id, "fileType": upload.file_type},
        }
        await self._api.say(about["place"], None, {"type": "message", "attachments": [info]})
        await self._tell(scope, about, DeliveryState.DELIVERED)
        if card:
            await self._api.delete(about["place"], card)

    async def _tell(
        self, scope: Scope, about: dict[str, Any], state: DeliveryState, detail: str = ""
    ) -> None:
        place = ConversationRef(about["place"])
        await self._ctx.emit(scope, DeliveryChanged(place, about["key"], state, detail))

    def _seal(self, about: dict[str, Any]) -> str:
        raw = json.dumps(about, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(hmac.digest(self._key, raw, hashlib.sha256) + raw).decode()

    def _open(self, context: object) -> dict[str, Any] | None:
        """What was sealed here; None for anything else: it has been with the person."""
        sealed = cast("dict[str, Any]", context).get("offer") if isinstance(context, dict) else None
        if not isinstance(sealed, str):
            return None
        try:
            opened = base64.urlsafe_b64decode(sealed.encode())
        except (ValueError, binascii.Error):
            return None
        mac, raw = opened[:32], opened[32:]
        if not hmac.compare_digest(mac, hmac.digest(self._key, raw, hashlib.sha256)):
            return None
        about: dict[str, Any] = json.loads(raw)
        return about
