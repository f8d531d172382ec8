"""Which addresses are of the public Internet, and none of ours."""

import ipaddress
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_CLOSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",  # IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "64:ff9b::/96",  # NAT64: leads to an IPv4 address that nobody looked at
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",  # Teredo and other special assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/9",
        "ff00::/8",
    )
)
"""Beside what `ipaddress` of any Python version calls private."""


def is_public(address: Address) -> bool:
    """Whether `address` is one of the public Internet, and not a way into something else."""
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address.version == network.version and address in network for network in _CLOSED)


def is_called_by_platforms(url: str) -> bool:
    """Whether a platform on the public Internet could call `url`, as far as its looks tell."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        public = is_public(ipaddress.ip_address(host))
    except ValueError:
        public = "." in host and not host.endswith((".local", ".internal", ".localhost"))
    return parts.scheme == "https" and public
