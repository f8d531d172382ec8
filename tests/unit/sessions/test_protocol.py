"""Our words of the protocol are the official ones; the official code itself stays out of the gateway."""

import subprocess
import sys

import mcp_types
from mcp_types import jsonrpc, version

from chamade_mcp.sessions import protocol


def test_versions() -> None:
    assert protocol.HANDSHAKE_VERSIONS == version.HANDSHAKE_PROTOCOL_VERSIONS
    assert protocol.MODERN_VERSIONS == version.MODERN_PROTOCOL_VERSIONS
    assert protocol.LATEST_HANDSHAKE == version.LATEST_HANDSHAKE_VERSION
    assert protocol.ASSUMED_VERSION == mcp_types.DEFAULT_NEGOTIATED_VERSION


def test_keys() -> None:
    assert protocol.META_VERSION == mcp_types.PROTOCOL_VERSION_META_KEY
    assert protocol.META_CAPABILITIES == mcp_types.CLIENT_CAPABILITIES_META_KEY
    assert protocol.META_SERVER == mcp_types.SERVER_INFO_META_KEY
    assert protocol.META_LOG_LEVEL == mcp_types.LOG_LEVEL_META_KEY


def test_codes() -> None:
    names = ("PARSE_ERROR", "INVALID_REQUEST", "METHOD_NOT_FOUND", "INVALID_PARAMS", "INTERNAL_ERROR")
    for name in (*names, "HEADER_MISMATCH"):
        assert getattr(protocol, name) == getattr(jsonrpc, name), name
    assert protocol.MISSING_CAPABILITY == jsonrpc.MISSING_REQUIRED_CLIENT_CAPABILITY
    assert protocol.UNSUPPORTED_VERSION == jsonrpc.UNSUPPORTED_PROTOCOL_VERSION


def test_the_gateway_runs_without_the_official_sdk() -> None:
    code = (
        "import sys, chamade_mcp.app.wiring\n"
        "found = sorted(name for name in sys.modules if name.split('.')[0] in ('mcp', 'mcp_types'))\n"
        "sys.exit(' '.join(found) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
