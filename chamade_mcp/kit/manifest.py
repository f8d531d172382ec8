"""A connector's `manifest.toml`: what the rest of the gateway knows of a platform, as data."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any, TypeVar, cast

from chamade_mcp.kit.bot_fields import BotField, check
from chamade_mcp.kit.guide import Way, parse_guide
from chamade_mcp.kit.markdown.formats import Format, Unit
from chamade_mcp.model.audio import MAX_RATE_HZ, MIN_RATE_HZ
from chamade_mcp.model.capabilities import VOICE, Capability, MessageFeature
from chamade_mcp.model.ids import Platform

FILES_ENABLE = "files_enable"
"""The gateway setting behind which a platform's files stand: CHAMADE_FILES_ENABLE_TEAMS for ``teams``."""

T = TypeVar("T")
Named = TypeVar("Named", bound=StrEnum)

_KNOWN = frozenset(
    {
        "platform", "title", "capabilities", "sample_rate_hz", "text_limit", "available", "embedded",
        "creates_rooms", "inbox", "needs_meeting_url", "unconnected", "status", "format", "text_unit",
        "messages", "window", "bot", "gateway", "oauth", "about",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refusal:
    """The contract's answer to a call on a platform nobody has connected."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Window:
    """A platform on which an agent may speak only for a while after the person has written."""

    open_s: float
    """After each message of the person's."""
    keep_s: float
    """How long what was said later waits for the person to write again."""


@dataclass(frozen=True, slots=True)
class BotSettings:
    """What it takes to bring a bot of one's own; all of it is kept sealed."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    single: bool = False
    """An agent has one of them at a time: another takes its place."""
    fields: tuple[BotField, ...] = ()
    """All of them, as a person is asked for them."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """What who runs the gateway may set for a platform, as CHAMADE_TELEGRAM_API_URL for ``api_url``."""

    defaults: Mapping[str, str]
    """"" for one that nobody can guess."""
    shared: tuple[str, ...]
    """With all of these the gateway runs a bot for everybody. No other bot is told them."""

    @property
    def gates_files(self) -> bool:
        """The platform takes files, once who runs the gateway lets it."""
        return FILES_ENABLE in self.defaults


@dataclass(frozen=True, slots=True)
class OAuthSettings:
    """How people connect it by agreeing at the platform."""

    provider: str
    """Whom they sign in at, as `POST /api/oauth/start/{provider}` calls it."""
    needs: tuple[str, ...]
    """What who runs the gateway has to set for it. Only bots that came by this way are told them."""


@dataclass(frozen=True, slots=True)
class Manifest:
    platform: Platform
    title: str
    capabilities: frozenset[Capability]
    sample_rate_hz: int | None
    """Native rate of a room; None on a platform without voice."""
    text_limit: int | None
    """Units per message, as `kit.markdown.limits` counts; None where there is no chat."""
    text_unit: Unit
    format: Format
    """What the gateway renders an agent's Markdown to, before the limit and the connector see it."""
    available: bool
    """False: the platform is described, but this build has no connector for it."""
    embedded: bool
    """True: part of the gateway itself; always connected, for every account."""
    creates_rooms: bool
    files: bool
    inbox: bool
    """People can write direct messages on it."""
    unconnected: Refusal
    """Answer to a call while no connection is there; `meeting_url` names the rule below first."""
    needs_meeting_url: bool
    messages: frozenset[MessageFeature]
    """Each needs its facet of `kit.connector`, where there is one."""
    window: Window | None
    """None: the agent may write whenever it likes."""
    bot: BotSettings | None
    """None: nobody can bring a bot of their own."""
    gateway: GatewaySettings
    oauth: OAuthSettings | None
    """None: nobody signs in for it."""
    status: str
    """The words of `GET /api/account` while it is not connected."""
    about: str = ""
    """What it is, in a sentence for a card."""
    guide: tuple[Way, ...] = ()
    """How a person connects it, as its `connect.md` says."""

    def check(self, settings: Mapping[str, str]) -> None:
        """Raises `ValidationFailed`, naming every setting of a bot that cannot be right."""
        check(self.bot.fields if self.bot else (), settings)


def capability_list(capabilities: frozenset[Capability]) -> list[str]:
    """In the contract's order, whatever the set's."""
    return [str(c) for c in Capability if c in capabilities]


def feature_list(features: frozenset[MessageFeature]) -> list[str]:
    return [str(f) for f in MessageFeature if f in features]


def parse_manifest(text: str) -> Manifest:
    """Reads TOML; raises `ValueError` naming the field that is wrong."""
    try:
        fields = _Fields(tomllib.loads(text), "")
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"manifest: {error}") from None
    fields.forbid_all_but(_KNOWN)
    title = fields.get("title", str)
    capabilities = fields.names("capabilities", Capability)
    unconnected: dict[str, Any] = fields.get("unconnected", dict, {})
    refusal = _Fields(unconnected, "unconnected.")
    refusal.forbid_all_but({"code", "detail"})
    gateway = _gateway(fields.get("gateway", dict, {}))
    manifest = Manifest(
        platform=Platform(fields.get("platform", str)),
        title=title,
        capabilities=capabilities,
        sample_rate_hz=fields.optional("sample_rate_hz", int),
        text_limit=fields.optional("text_limit", int),
        text_unit=fields.name("text_unit", Unit, Unit.CHARACTERS),
        format=fields.name("format", Format, Format.PLAIN),
        available=fields.get("available", bool),
        embedded=fields.get("embedded", bool, False),
        creates_rooms=fields.get("creates_rooms", bool, False),
        files=Capability.FILES in capabilities,
        inbox=fields.get("inbox", bool, False),
        unconnected=Refusal(
            refusal.get("code", str, "PLATFORM_NOT_CONNECTED"),
            refusal.get("detail", str, f"{title} is not connected"),
        ),
        needs_meeting_url=fields.get("needs_meeting_url", bool, True),
        messages=fields.names("messages", MessageFeature, ()),
        window=_window(fields),
        bot=_bot(cast("dict[str, Any] | None", fields.optional("bot", dict))),
        gateway=gateway,
        oauth=_oauth(cast("dict[str, Any] | None", fields.optional("oauth", dict)), gateway),
        status=fields.get("status", str, "not_configured"),
        about=fields.get("about", str, ""),
    )
    _check_agreement(manifest)
    return manifest


@cache
def described() -> Mapping[Platform, Manifest]:
    """The manifests of this package, without loading what they describe."""
    root = files("chamade_mcp.connectors")
    folders = sorted((f for f in root.iterdir() if f.is_dir()), key=lambda f: f.name)
    found = [read_manifest(f) for f in folders if f.joinpath("manifest.toml").is_file()]
    return MappingProxyType({manifest.platform: manifest for manifest in found})


def read_manifest(folder: Traversable) -> Manifest:
    manifest = parse_manifest(folder.joinpath("manifest.toml").read_text(encoding="utf-8"))
    if manifest.platform != folder.name:
        raise ValueError(f"manifest: platform {manifest.platform!r} stands in folder {folder.name!r}")
    guide = folder.joinpath("connect.md")
    if not guide.is_file():
        return manifest
    ways = parse_guide(guide.read_text(encoding="utf-8"))
    known = {field.name for field in manifest.bot.fields} if manifest.bot else set[str]()
    if strange := sorted({name for way in ways for name in way.fields} - known):
        raise ValueError(f"connect.md: {strange[0]!r} is no setting of a bot")
    return replace(manifest, guide=ways)


class _Fields:
    """A table of TOML, read field by field."""

    def __init__(self, raw: Mapping[str, Any], path: str) -> None:
        self._raw = raw
        self._path = path

    def forbid_all_but(self, known: frozenset[str] | set[str]) -> None:
        unknown = sorted(set(self._raw) - known)
        if unknown:
            raise ValueError(f"manifest: unknown field {self._path + unknown[0]!r}")

    def get(self, name: str, kind: type[T], default: T | None = None) -> T:
        value = self.optional(name, kind)
        if value is None:
            value = default
        if value is None:
            raise ValueError(f"manifest: field {self._path + name!r} is missing")
        return value

    def optional(self, name: str, kind: type[T]) -> T | None:
        value = self._raw.get(name)
        if value is not None and type(value) is not kind:  # not isinstance: True is no sample rate
            raise ValueError(f"manifest: field {self._path + name!r} must be of type {kind.__name__}")
        return cast("T | None", value)

    def name(self, name: str, kind: type[Named], default: Named) -> Named:
        """One of the names of `kind`."""
        return self._named(name, kind, self.get(name, str, str(default)))

    def names(
        self, name: str, kind: type[Named], default: tuple[Named, ...] | None = None
    ) -> frozenset[Named]:
        found = self.get(name, list, None if default is None else list(default))
        return frozenset(self._named(name, kind, one) for one in cast("list[Any]", found))

    def _named(self, field: str, kind: type[Named], name: object) -> Named:
        for known in kind:
            if name == known:
                return known
        raise ValueError(f"manifest: field {self._path + field!r} has the unknown {name!r}")


def _window(manifest: _Fields) -> Window | None:
    raw: dict[str, Any] = manifest.get("window", dict, {})
    if not raw:
        return None
    fields = _Fields(raw, "window.")
    fields.forbid_all_but({"open_hours", "keep_days"})
    return Window(fields.get("open_hours", int) * 3600.0, fields.get("keep_days", int) * 86400.0)


def _bot(raw: dict[str, Any] | None) -> BotSettings | None:
    if raw is None:
        return None
    fields = _Fields(raw, "bot.")
    fields.forbid_all_but({"required", "optional", "single", "fields"})
    required = cast("list[object]", fields.get("required", list))
    optional = cast("list[object]", fields.get("optional", list, []))
    names = [name for name in (*required, *optional) if isinstance(name, str)]
    if not required or len(names) < len(required) + len(optional):
        raise ValueError("manifest: field 'bot' needs names of settings, one that is required at least")
    single = fields.get("single", bool, False)
    told: dict[str, Any] = fields.get("fields", dict, {})
    if strange := sorted(set(told) - set(names)):
        raise ValueError(f"manifest: field 'bot.fields' names the unknown {strange[0]!r}")
    asked = tuple(_asked(name, told.get(name, {}), required=name in required) for name in names)
    return BotSettings(tuple(names[: len(required)]), tuple(names[len(required) :]), single, asked)


def _asked(name: str, raw: dict[str, Any], *, required: bool) -> BotField:
    fields = _Fields(raw, f"bot.fields.{name}.")
    fields.forbid_all_but({"label", "help", "example", "pattern", "wrong", "choices", "secret"})
    choices = cast("dict[str, str] | None", fields.optional("choices", dict))
    return BotField(
        name,
        fields.get("label", str, name.replace("_", " ").capitalize()),
        required,
        help=fields.get("help", str, ""),
        example=fields.get("example", str, ""),
        pattern=fields.get("pattern", str, ""),
        wrong=fields.get("wrong", str, ""),
        choices=None if choices is None else MappingProxyType(choices),
        secret=fields.get("secret", bool, False),
    )


def _gateway(raw: dict[str, Any]) -> GatewaySettings:
    shared = tuple(str(name) for name in raw.get("shared", ()))
    fields = _Fields(raw, "gateway.")
    defaults = {name: fields.get(name, str) for name in raw if name != "shared"}
    if unknown := sorted(set(shared) - set(defaults)):
        raise ValueError(f"manifest: field 'gateway.shared' names the unknown {unknown[0]!r}")
    return GatewaySettings(MappingProxyType(defaults), shared)


def _oauth(raw: dict[str, Any] | None, gateway: GatewaySettings) -> OAuthSettings | None:
    if raw is None:
        return None
    fields = _Fields(raw, "oauth.")
    fields.forbid_all_but({"provider", "needs"})
    needs = tuple(str(name) for name in cast("list[object]", fields.get("needs", list)))
    if unknown := sorted(set(needs) - set(gateway.defaults)):
        raise ValueError(f"manifest: field 'oauth.needs' names the unknown {unknown[0]!r}")
    if not needs:
        raise ValueError("manifest: field 'oauth.needs' names nothing")
    return OAuthSettings(fields.get("provider", str), needs)


def _check_agreement(manifest: Manifest) -> None:
    has_voice = bool(manifest.capabilities & VOICE)
    rate = manifest.sample_rate_hz
    if has_voice != (rate is not None):
        raise ValueError("manifest: field 'sample_rate_hz' stands exactly where there is audio")
    if rate is not None and not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
        raise ValueError(f"manifest: field 'sample_rate_hz' must be {MIN_RATE_HZ}-{MAX_RATE_HZ}")
    if (Capability.WRITE in manifest.capabilities) != (manifest.text_limit is not None):
        raise ValueError("manifest: field 'text_limit' stands exactly where messages can be written")
    if not manifest.inbox and (manifest.messages or manifest.window):
        raise ValueError("manifest: fields 'messages' and 'window' stand only where there is an inbox")
    if manifest.embedded and manifest.bot is not None:
        raise ValueError("manifest: field 'bot' stands on no platform that is part of the gateway")
    if manifest.embedded and not manifest.available:
        raise ValueError("manifest: field 'embedded' needs a connector that is available")
