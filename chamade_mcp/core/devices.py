"""Where a person signs in: the browser in words, and the address that rates are counted by."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final

from chamade_mcp.core.sign_ins import Device

# The first that is found counts: most browsers also call themselves what they descend from.
_BROWSERS: Final = (
    ("Edg(?:e|A|iOS)?/", "Edge"),
    ("OPR/|Opera", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/|FxiOS/", "Firefox"),
    ("Chrome/|CriOS/|Chromium/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X|Macintosh", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def device_of(scope: Mapping[str, Any]) -> Device:
    """By the scope of an ASGI request."""
    agent = dict[bytes, bytes](scope["headers"]).get(b"user-agent", b"").decode("latin-1")
    browser = next((name for pattern, name in _BROWSERS if re.search(pattern, agent)), "A program")
    system = next((name for pattern, name in _SYSTEMS if re.search(pattern, agent)), "")
    return Device(f"{browser} on {system}" if system else browser, address_of(scope))


def address_of(scope: Mapping[str, Any]) -> str:
    """Of IPv6 the network: whoever has one address there has 18 trillion more. Empty when it is not known."""
    client = scope.get("client")
    if client is None:
        return ""
    try:
        address = ipaddress.ip_address(str(client[0]).partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        if not address.is_loopback:
            return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
