"""`chamade doctor`: what could keep the gateway from working, each with what to do about it.

Looks only: makes no file, no key and no table.
"""

import asyncio
import os
import socket
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2

from chamade_mcp.app.locks import workers_serve
from chamade_mcp.app.secret_key import FILE_NAME
from chamade_mcp.app.settings import Settings, own_url
from chamade_mcp.core.disk import NEARLY_FULL_BYTES, free_on_disk
from chamade_mcp.kit.clock import SystemClock
from chamade_mcp.kit.manifest import capability_list
from chamade_mcp.kit.registry import discover
from chamade_mcp.model.errors import Unavailable
from chamade_mcp.store.bucket import BucketBlobs
from chamade_mcp.store.migrate import HEAD

LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_RELEASED: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock that is right shows less."""
_TIMEOUT_S: Final = 5.0


class Verdict(StrEnum):
    OK = "ok"
    NOTE = "note"
    """Works, but look at it."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    verdict: Verdict
    text: str
    fix: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Findings as they are made; some take seconds."""
    yield check_python()
    yield check_data_dir(settings.data_dir)
    yield check_secret_key(settings)
    yield check_database(settings.database_path)
    if settings.files_bucket:
        yield check_bucket(settings.files_bucket)
    running = ask(own_url(settings.host, settings.port))
    yield check_port(settings, running)
    yield check_public_url(settings, running is not None)
    yield check_workers(settings)
    yield check_clock(settings.data_dir, SystemClock().now())
    yield from check_connectors()


def check_python() -> Finding:
    return Finding("python", Verdict.OK, f"{sys.version.split()[0]} at {sys.executable}")


def check_data_dir(data_dir: Path) -> Finding:
    name = "data folder"
    place = next(p for p in (data_dir, *data_dir.parents) if p.exists())
    if not place.is_dir():
        return Finding(name, Verdict.FAILED, f"{place} is no folder", "set CHAMADE_DATA_DIR to another place")
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Finding(
            name,
            Verdict.FAILED,
            f"{place} is not writable ({error.strerror})",
            "give it to the user that runs the gateway, or set CHAMADE_DATA_DIR to another place",
        )
    free = free_on_disk(place)
    if free < NEARLY_FULL_BYTES:
        return Finding(
            name, Verdict.FAILED, f"only {free // 1_000_000} MB are free in {place}", "free some space"
        )
    if place != data_dir:
        return Finding(name, Verdict.OK, f"{data_dir} will be made at the first start")
    return Finding(name, Verdict.OK, f"{data_dir}, {free // 1_000_000_000} GB free")


def check_secret_key(settings: Settings) -> Finding:
    name = "secret key"
    if settings.secret_key is not None:
        return Finding(name, Verdict.OK, "given by CHAMADE_SECRET_KEY")
    path = settings.data_dir / FILE_NAME
    if not path.exists():
        return Finding(name, Verdict.OK, f"{path} will be made at the first start")
    if not os.access(path, os.R_OK):
        return Finding(
            name, Verdict.FAILED, f"{path} is not readable", f"chown it to the user, chmod 600 {path}"
        )
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        return Finding(name, Verdict.FAILED, f"{path} is open to others (mode {mode:o})", f"chmod 600 {path}")
    return Finding(name, Verdict.OK, f"{path}, mode {mode:o}")


def check_database(path: Path) -> Finding:
    name = "database"
    if not path.exists():
        return Finding(name, Verdict.OK, f"{path} will be made at the first start")
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_TIMEOUT_S)
        try:
            damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            has_version = connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
            ).fetchone()
            row = has_version and connection.execute("SELECT version_num FROM alembic_version").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        return Finding(name, Verdict.FAILED, f"{path}: {error}", "put a backup in its place")
    if damage != "ok":
        return Finding(name, Verdict.FAILED, f"{path} is damaged: {damage}", "put a backup in its place")
    revision = row[0] if row else None
    if revision == HEAD:
        return Finding(name, Verdict.OK, f"{path}, schema {HEAD}")
    if revision is None or revision < HEAD:
        return Finding(
            name, Verdict.NOTE, f"{path} has schema {revision or 'none'}; the next start upgrades it"
        )
    return Finding(
        name, Verdict.FAILED, f"{path} was made by a newer version (schema {revision})", "upgrade the gateway"
    )


def check_bucket(url: str) -> Finding:
    name = "bucket"
    try:
        asyncio.run(BucketBlobs(url).check())
    except Unavailable as error:
        fix = "look at CHAMADE_FILES_BUCKET, and at the driver's own variables: credentials, region, endpoint"
        return Finding(name, Verdict.FAILED, f"{url} does not let us in ({error.__cause__})", fix)
    return Finding(name, Verdict.OK, f"{url} takes, gives and removes files")


def ask(url: str) -> str | None:
    """The version of the gateway that answers at `url`; None when nothing of ours does."""
    try:
        return str(httpx2.get(f"{url}/api/heartbeat", timeout=_TIMEOUT_S).json()["version"])
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, KeyError, TypeError):
        return None


def check_port(settings: Settings, running: str | None) -> Finding:
    name, where = "port", f"{settings.host}:{settings.port}"
    if running is not None:
        return Finding(name, Verdict.OK, f"the gateway answers on {where}, version {running}")
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return Finding(
            name,
            Verdict.FAILED,
            f"{where} cannot be used ({error.strerror}), and no gateway answers there",
            "stop the other program, or set CHAMADE_PORT or CHAMADE_HOST",
        )
    return Finding(name, Verdict.OK, f"{where} is free; the gateway is not running")


def check_public_url(settings: Settings, running: bool) -> Finding:
    name, url = "public URL", settings.public_url
    parts = urlsplit(url)
    if running and ask(url) is None:
        return Finding(
            name,
            Verdict.FAILED,
            f"{url} does not lead to this gateway",
            "point the proxy at the gateway (see deploy/), or correct CHAMADE_PUBLIC_URL",
        )
    state = "" if running else "; not tried, as the gateway is not running"
    if parts.hostname in LOOPBACK:
        return Finding(name, Verdict.OK, f"{url}, for people at this machine only{state}")
    if parts.scheme != "https":
        return Finding(
            name,
            Verdict.FAILED,
            f"{url} is not https: browsers keep the microphone from it",
            "put a proxy with a certificate in front (see deploy/) and set CHAMADE_PUBLIC_URL to it",
        )
    return Finding(name, Verdict.OK, f"{url}{state}")


def check_workers(settings: Settings) -> Finding:
    name = "workers"
    if not workers_serve(settings):
        return Finding(name, Verdict.OK, "none; the gateway serves MCP by itself")
    if ask(settings.core_url) is None:
        return Finding(
            name,
            Verdict.FAILED,
            f"they serve, and no gateway answers at {settings.core_url}",
            "start the gateway, or correct CHAMADE_CORE_URL",
        )
    return Finding(name, Verdict.OK, f"at least one serves beside the gateway at {settings.core_url}")


def check_clock(data_dir: Path, now: datetime) -> Finding:
    name, fix = "clock", "set the clock; run an NTP client"
    if now < _RELEASED:
        return Finding(name, Verdict.FAILED, f"{now:%Y-%m-%d %H:%M} UTC is before this version was made", fix)
    stamps = [p.stat().st_mtime for p in data_dir.iterdir()] if data_dir.is_dir() else []
    if stamps and max(stamps) > now.timestamp() + 60:
        ahead = datetime.fromtimestamp(max(stamps), UTC)
        return Finding(
            name, Verdict.FAILED, f"the data folder was written later than now ({ahead:%F %T})", fix
        )
    return Finding(name, Verdict.OK, f"{now:%Y-%m-%d %H:%M:%S} UTC")


def check_connectors() -> Iterator[Finding]:
    try:
        registry = discover()
    except (ImportError, AttributeError, OSError, ValueError) as error:
        text = f"one cannot be loaded ({type(error).__name__}: {error})"
        yield Finding("connectors", Verdict.FAILED, text, "reinstall it, or remove its package")
        return
    for platform, connector in registry.connectors.items():
        capabilities = ", ".join(capability_list(connector.manifest.capabilities))
        yield Finding(f"connector {platform}", Verdict.OK, f"{connector.manifest.title}: {capabilities}")
