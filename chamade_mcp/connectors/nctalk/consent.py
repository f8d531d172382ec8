"""How an owner lets the gateway into their Nextcloud: the addon's two ways (CONTRACT 11.5)."""

from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

from chamade_mcp.connectors.nctalk.client import TITLE, cloud_of
from chamade_mcp.connectors.nctalk.wire import Callback, Unreadable, read
from chamade_mcp.kit.connection import HookRefused
from chamade_mcp.kit.connector import PlatformUnavailable
from chamade_mcp.kit.outbound import BadUrl, Failed, Outbound, Refused
from chamade_mcp.model.errors import FieldError, ValidationFailed

_ORIGINS: Final = ("dashboard", "nc_admin")
_AGENT: Final = "Chamade"

REFUSALS: Final[Mapping[str, str]] = {
    "missing_params": "Nextcloud was not told all that it needs. Begin again.",
    "state_missing": "Nextcloud no longer knows that you had begun. Begin again.",
    "state_mismatch": "This was not what you began last. Begin again, in one window.",
    "state_expired": "It took more than ten minutes. Begin again.",
    "admin_mismatch": "Somebody else had begun it at Nextcloud. Begin again as yourself.",
    "unsafe_urls": "Nextcloud does not accept this gateway's address: who runs it checks CHAMADE_PUBLIC_URL.",
    "bot_creation_failed": "Nextcloud could not make the bot, or could not reach this gateway. Who runs that"
    " Nextcloud finds the reason in its log.",
}
"""By the addon's codes (CONTRACT 11.5)."""


def place_of(asked: Mapping[str, str]) -> str:
    """The Nextcloud's address, without a slash at its end. Raises `ValidationFailed`."""
    url = (asked.get("nc_url") or asked.get("url", "")).strip().rstrip("/")
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
        parts = urlsplit("")
    if not known or len(url) > 500 or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValidationFailed(
            [FieldError("nc_url", "is no address of a Nextcloud, as https://cloud.example.org")]
        )
    return url


def host(asked: Mapping[str, str]) -> str:
    return cloud_of(place_of(asked))


def send_to(asked: Mapping[str, str], state: str, public_url: str) -> str:
    """With `nc_state` the admin began at Nextcloud; without, the owner begins here."""
    addon = f"{place_of(asked)}/index.php/apps/chamade_talk"
    about = {"state": state, "callback_url": f"{public_url}/api/nctalk/callback", "backend_url": public_url}
    if nc_state := asked.get("nc_state", ""):
        origin = asked.get("origin", "")
        about |= {"nc_state": nc_state, "origin": origin if origin in _ORIGINS else "nc_admin"}
        return f"{addon}/authorize/finish?{urlencode(about)}"
    return f"{addon}/authorize?{urlencode(about | {'agent_name': _AGENT})}"


def settings_of(body: bytes, asked: Mapping[str, str]) -> dict[str, str]:
    """Of the bot that the addon hands over. Raises `HookRefused` when another Nextcloud does."""
    try:
        told = read(Callback, body)
    except Unreadable:
        raise HookRefused from None
    # The addon tells scheme and host alone; the path is the person's word.
    mine = urlsplit(place_of(asked))
    its = urlsplit(told.nc_url)
    if (its.scheme, its.netloc.lower()) != (mine.scheme, mine.netloc.lower()):
        raise HookRefused
    return {
        "nc_url": place_of(asked),
        "bot_login": told.bot_login,
        "bot_token": told.bot_password,
        "api_secret": told.api_secret,
        "owner": told.nc_username,
    }


async def check_place(nc_url: str, trusted: Collection[str]) -> None:
    """Whether the gateway may call it. Raises `ValidationFailed`, and `PlatformUnavailable`."""
    place_of({"nc_url": nc_url})
    try:
        await Outbound().check(nc_url, trusted=trusted)
    except (BadUrl, Refused) as error:
        words = f"{error}; who runs this gateway can allow it by CHAMADE_NCTALK_HOSTS"
        raise ValidationFailed([FieldError("nc_url", words)]) from None
    except Failed as error:
        raise PlatformUnavailable(f"{TITLE} cannot be reached: {error}") from None
