"""Where conversations are answered. Activities name an address; it is believed with Microsoft's word only."""

from typing import Final
from urllib.parse import urlsplit

from chamade_mcp.kit.recent import Recent

_REMEMBERED: Final = 10_000
_LONGEST: Final = 8000
"""Those of files bear a token each."""
_SERVICES: Final = ("smba.trafficmanager.net",)
_SERVICE_DOMAINS: Final = (".teams.microsoft.com", ".teams.microsoft.us", ".botframework.com")
_FILE_DOMAINS: Final = (".sharepoint.com", ".sharepoint.us", ".sharepoint-mil.us", ".sharepoint.cn")


class Places:
    """The service address of each conversation, as it was last told; the region's common one for others.

    The one in the settings works for all of them: so nothing is lost when what is known here is forgotten.
    """

    def __init__(self, api_url: str, tenant: str) -> None:
        self._common = api_url.rstrip("/")
        self._tenant = tenant
        self._origin = _origin(api_url)
        self._known: Recent[str, tuple[str, str]] = Recent(_REMEMBERED)

    @property
    def trusted(self) -> frozenset[str]:
        """The host that the settings name: it may be anywhere, over http, too."""
        parts = urlsplit(self._common)
        return frozenset({parts.netloc.lower()})

    def note(self, place: str, service_url: str, tenant: str) -> None:
        """`service_url` is vouched for by the token it came with."""
        told = service_url.rstrip("/"), tenant or self._tenant
        if self._known.get(place) == told:
            self._known.move_to_end(place)
        elif self.is_service(service_url):
            self._known[place] = told

    def service_of(self, place: str) -> str:
        return self._known[place][0] if place in self._known else self._common

    def tenant_of(self, place: str) -> str:
        return self._known[place][1] if place in self._known else self._tenant

    def is_service(self, url: str) -> bool:
        """Whether the bot's token may be shown there."""
        return self._is_at(url, _SERVICE_DOMAINS, _SERVICES)

    def is_store(self, url: str) -> bool:
        """Whether it is where Teams keeps files."""
        return self._is_at(url, _FILE_DOMAINS)

    def _is_at(self, url: str, domains: tuple[str, ...], hosts: tuple[str, ...] = ()) -> bool:
        scheme, host, port = origin = _origin(url)
        if not host or origin == self._origin:
            return bool(host)
        return (scheme, port) == ("https", 443) and (host in hosts or host.endswith(domains))


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port; none of them for what is no plain address."""
    try:
        parts = urlsplit(url)
        plain = len(url) <= _LONGEST and url.isascii() and url.isprintable() and "\\" not in url
        if not plain or parts.username is not None or parts.password is not None:
            return "", "", 0
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
        return parts.scheme, parts.hostname or "", port
    except ValueError:
        return "", "", 0
