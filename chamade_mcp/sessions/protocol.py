"""Words of the protocol: versions, keys, codes. A test compares them with the official types.

Handshake revisions begin with `initialize` and may have sessions; from 2026-07-28 on every request says in
`_meta` all there is to know about its client.
"""

from types import MappingProxyType
from typing import Final

HANDSHAKE_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
"""Oldest first."""
LATEST_HANDSHAKE: Final = HANDSHAKE_VERSIONS[-1]
ASSUMED_VERSION: Final = "2025-03-26"
"""Of a request without the version header (transports, protocol version header)."""
MODERN_VERSION: Final = "2026-07-28"
MODERN_VERSIONS: Final = (MODERN_VERSION,)
PRIMING_SINCE: Final = "2025-11-25"
"""From here on clients know events with an id and empty data; older ones choke on them."""

META_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
META_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
META_SERVER: Final = "io.modelcontextprotocol/serverInfo"
META_LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"
META_SUBSCRIPTION: Final = "io.modelcontextprotocol/subscriptionId"

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
HEADER_MISMATCH: Final = -32020
MISSING_CAPABILITY: Final = -32021
UNSUPPORTED_VERSION: Final = -32022
REQUEST_CANCELLED: Final = -32800
"""The handshake era ends a request's stream with an answer only, also when the client cancelled it."""

MODERN_STATUS: Final = MappingProxyType(
    {
        PARSE_ERROR: 400,
        INVALID_REQUEST: 400,
        INVALID_PARAMS: 400,
        HEADER_MISMATCH: 400,
        MISSING_CAPABILITY: 400,
        UNSUPPORTED_VERSION: 400,
        METHOD_NOT_FOUND: 404,
    }
)
"""HTTP status of a JSON-RPC error from 2026-07-28 on; all others, and the handshake era's, go with 200."""

LOG_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""From talkative to silent."""

CHANNEL_CAPABILITY: Final = "claude/channel"
PERMISSION_CAPABILITY: Final = "claude/channel/permission"
CHANNEL: Final = "notifications/claude/channel"
CHANNEL_PERMISSION: Final = "notifications/claude/channel/permission"
CHANNEL_PERMISSION_REQUEST: Final = "notifications/claude/channel/permission_request"
EXPERIMENTAL: Final = (CHANNEL_CAPABILITY, PERMISSION_CAPABILITY)
"""What a session announces so that Claude Code shows its events as channel messages."""
