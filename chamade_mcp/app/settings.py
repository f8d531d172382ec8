"""Settings: ``CHAMADE_*`` variables, each also as ``CHAMADE_*_FILE`` naming a file that holds the value.

The command line wins over the environment. A wrong value, an unknown variable or a missing file raises
`SettingsError`, one sentence that starts with the variable's name. docs/settings.md has the table.
"""

import difflib
import os
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from chamade_mcp.app.problems import SettingsError
from chamade_mcp.kit.mail import Post, SmtpPost, is_email, parse_server
from chamade_mcp.kit.manifest import FILES_ENABLE, described
from chamade_mcp.model.audio import Engine
from chamade_mcp.model.ids import Platform
from chamade_mcp.store.bucket import driver

PREFIX: Final = "CHAMADE_"
FILE_SUFFIX: Final = "_FILE"
CLIENT_VARIABLES: Final = frozenset({"CHAMADE_API_KEY", "CHAMADE_URL", "CHAMADE_MCP_URL"})
"""Read by the stdio shim, which may run beside the server: known, and none of our business."""
SECRET_KEY_CHARS: Final = 32
"""The least length of a secret key: 128 bits, were it only hexadecimal digits."""

_PLACE: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9]([a-z0-9_.-]*[a-z0-9])?)(?P<port>:[1-9][0-9]{0,4})?")

_SWITCH: Final = {
    "1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip

LogLevel = Literal["debug", "info", "warning", "error"]
SignUp = Literal["invited", "open"]


class Settings(BaseSettings):
    """Validated settings. Read them by `load`, which names variables instead of fields when one is wrong."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", validate_default=False, hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    """0 lets the system choose; `public_url` then follows the port that was bound."""
    data_dir: Path = Field(default_factory=lambda: default_data_dir())
    core_url: str = Field(default_factory=lambda data: own_url(data["host"], data["port"]))
    """Where a worker reaches the gateway's REST API."""
    public_url: str = Field(default_factory=lambda data: own_url(data["host"], data["port"]))
    """As people's browsers see the gateway, without a trailing slash."""
    database_url: str = Field(default_factory=lambda data: f"sqlite:///{data['data_dir'] / 'chamade.db'}")
    redis_url: SecretStr | None = None
    secret_key: SecretStr | None = None
    """Wins over the file in the data folder; see `chamade_mcp.app.secret_key`."""
    log_level: LogLevel = "info"
    files_max_size_mb: int = Field(default=25, ge=1, le=2048)
    files_quota_mb: int = Field(default=2048, ge=1, le=1024 * 1024)
    """Of all files that one account has at a time."""
    files_bucket: str | None = None
    """As fsspec names it (``s3://bucket/prefix``); without one, files lie in a folder of `data_dir`."""
    recordings_quota_mb: int = Field(default=10 * 1024, ge=0, le=16 * 1024 * 1024)
    """Of all recordings of calls that one account has at a time; 0: none."""
    resampler: Engine = "polyphase"
    """"samplerate" costs fifteen times as much and is a little better; see docs/performance.md."""
    max_concurrent_calls: int = Field(default=100, ge=1, le=10_000)
    """Of one account, ringing ones included."""
    call_grace_s: int = Field(default=30, ge=0, le=24 * 3600)
    """How long a call waits for its agent after the last socket was lost; 0: for ever."""
    reply_timeout_s: int = Field(default=60, ge=0, le=3600)
    """How long an agent has to answer a direct message before the person is told; 0: for ever, unseen."""
    sign_up: SignUp = "invited"
    """Whether strangers may make themselves an account."""
    smtp_url: SecretStr | None = None
    """The server that takes mail; without one, links for people stand in the log."""
    mail_from: str | None = None
    """The address that mail comes from; without it, chamade at the host of `public_url`."""
    webhook_private_hosts: str | None = None
    """Where webhooks may go though it is no host of the public Internet: `host` or `host:port`, by commas."""

    metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """On loopback, for Prometheus; without one nothing is served."""
    platforms: Mapping[Platform, Mapping[str, str]] = Field(
        default_factory=dict[Platform, Mapping[str, str]], repr=False
    )
    """What the manifests' `gateway` tables name, by platform: CHAMADE_TELEGRAM_API_URL and so on."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del env_settings, dotenv_settings, file_secret_settings  # `_Environment` takes their place
        return init_settings, _Environment(settings_cls)

    @property
    def files_max_size_bytes(self) -> int:
        return self.files_max_size_mb * 1024 * 1024

    @property
    def files_quota_bytes(self) -> int:
        return self.files_quota_mb * 1024 * 1024

    @property
    def recordings_quota_bytes(self) -> int:
        return self.recordings_quota_mb * 1024 * 1024

    @property
    def database_path(self) -> Path:
        return Path(self.database_url.removeprefix("sqlite:///"))

    @property
    def webhook_hosts(self) -> frozenset[str]:
        return frozenset((self.webhook_private_hosts or "").split(",")) - {""}

    @property
    def post(self) -> Post | None:
        """None without a mail server."""
        if self.smtp_url is None:
            return None
        server = parse_server(self.smtp_url.get_secret_value())
        return SmtpPost(server, self.mail_from or f"chamade@{urlsplit(self.public_url).hostname}")

    @field_validator("webhook_private_hosts")
    @classmethod
    def _webhook_private_hosts(cls, value: str | None) -> str | None:
        return value and ",".join(_place(one.strip().lower()) for one in value.split(",") if one.strip())

    @field_validator("host")
    @classmethod
    def _host(cls, value: str) -> str:
        host = value.strip().removeprefix("[").removesuffix("]")
        if not host or "/" in host or any(c.isspace() for c in host):
            raise ValueError("must be a host name or an IP address, such as 127.0.0.1 or 0.0.0.0")
        return host

    @field_validator("data_dir")
    @classmethod
    def _data_dir(cls, value: Path) -> Path:
        try:
            return value.expanduser().resolve()
        except (OSError, RuntimeError) as error:
            raise ValueError(f"is not a usable path ({error})") from None

    @field_validator("files_bucket")
    @classmethod
    def _files_bucket(cls, value: str | None) -> str | None:
        if value is None:
            return None
        url = value.strip().rstrip("/")
        parts = urlsplit(url)
        if not parts.scheme or not parts.netloc:
            raise ValueError("must name a bucket, such as s3://my-bucket/chamade")
        if parts.username or parts.password or parts.query:
            raise ValueError(
                "holds no credentials: they go into the driver's own variables, such as AWS_ACCESS_KEY_ID"
            )
        driver(url)
        return url

    @field_validator("log_level", mode="before")
    @classmethod
    def _log_level(cls, value: object) -> object:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("public_url", "core_url")
    @classmethod
    def _public_url(cls, value: str) -> str:
        url = value.strip().rstrip("/")
        try:
            parts = urlsplit(url)
            port_ok = parts.port is None or parts.port > 0
        except ValueError:
            raise ValueError("is not a URL; such as https://voice.example.org") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or not port_ok:
            raise ValueError("must start with http:// or https:// and name a host")
        if parts.path or parts.query or parts.fragment or parts.username is not None or " " in url:
            raise ValueError("must be scheme, host and port only: the gateway cannot live below a path")
        return url

    @field_validator("database_url")
    @classmethod
    def _database_url(cls, value: str) -> str:
        if not value.startswith("sqlite:///") or "?" in value:
            scheme = value.partition(":")[0]
            raise ValueError(
                f"this version keeps its data in SQLite only (got {scheme!r}); such as sqlite:////var/lib/x.db"
            )
        path = value.removeprefix("sqlite:///")
        if path in ("", ":memory:"):
            raise ValueError(
                "must name a file: a gateway without one would forget its accounts at every start"
            )
        return f"sqlite:///{Path(path).expanduser().resolve()}"

    @field_validator("redis_url")
    @classmethod
    def _redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            raise ValueError("this version runs in one process and uses no Redis; remove the variable")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _smtp_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_server(value.get_secret_value())
        return value

    @field_validator("mail_from")
    @classmethod
    def _mail_from(cls, value: str | None) -> str | None:
        if value is not None and not is_email(value.strip()):
            raise ValueError("must be an e-mail address, such as chamade@example.org")
        return value and value.strip()

    @field_validator("secret_key")
    @classmethod
    def _secret_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < SECRET_KEY_CHARS:
            raise ValueError(
                f"must have at least {SECRET_KEY_CHARS} characters; `openssl rand -base64 32` makes one"
            )
        return value

    def of_worker(self, port: int) -> "Settings":
        """The gateway's settings, for a worker on a port of its own: agents know both by one name."""
        update: dict[str, Any] = {"port": port}
        if "public_url" not in self.model_fields_set:
            update["public_url"] = self.core_url
        return self.model_copy(update=update)

    def bound_to(self, port: int) -> "Settings":
        """These settings once the port is known; `public_url` follows unless it was set."""
        update: dict[str, Any] = {"port": port}
        if "public_url" not in self.model_fields_set:
            update["public_url"] = own_url(self.host, port)
        return self.model_copy(update=update)


VARIABLES: Final = tuple(name for name in Settings.model_fields if name != "platforms")
"""The fields that have a variable of their own."""


@cache
def platform_settings() -> Mapping[Platform, tuple[str, ...]]:
    """The names below each platform, in the order of its manifest."""
    return {platform: tuple(manifest.gateway.defaults) for platform, manifest in described().items()}


class _Environment(PydanticBaseSettingsSource):
    """``CHAMADE_X``, or what the file named by ``CHAMADE_X_FILE`` holds. An empty variable is not set."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return _read(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {name: _read(name) for name in VARIABLES}
        values["platforms"] = {
            platform: {name: value for name in names if (value := _told(platform, name))}
            for platform, names in platform_settings().items()
        }
        return {name: value for name, value in values.items() if value is not None}


def load(overrides: Mapping[str, Any] | None = None) -> Settings:
    """Reads the environment; `overrides` (field name -> value, None for "not given") is the command line's.

    Raises `SettingsError`.
    """
    _refuse_unknown_variables()
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_context=False)[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        raise SettingsError(_origin(field, given), _words(first)) from None


def own_url(host: str, port: int) -> str:
    """Where this machine reaches the gateway: an address to listen on everywhere is none to call."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 -- read, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "chamade"


def _place(text: str) -> str:
    found = _PLACE.fullmatch(text)
    if found is None:
        raise ValueError(f"must be hosts by commas, such as localhost:5678,[::1]:5678,n8n (got {text!r})")
    return text if found["port"] else text.strip("[]")


def variable_of(field: str) -> str:
    return PREFIX + field.upper()


def field_of(platform: Platform, name: str) -> str:
    """What a setting of a platform's is called among the gateway's."""
    return f"{name}_{platform}" if name == FILES_ENABLE else f"{platform}_{name}"


def _told(platform: Platform, name: str) -> str | None:
    """The value of a platform's setting; of a switch that is off, none."""
    field = field_of(platform, name)
    value = _read(field)
    if name != FILES_ENABLE or value is None:
        return value
    if (word := value.strip().lower()) not in _SWITCH:
        raise SettingsError(_origin(field, {}), f"must be true or false (got {value!r})")
    return word if _SWITCH[word] else None


def _read(field: str) -> str | None:
    variable = variable_of(field)
    value, path = os.environ.get(variable), os.environ.get(variable + FILE_SUFFIX)
    if not path:
        return value or None
    if value:
        raise SettingsError(variable, f"is set, and so is {variable}{FILE_SUFFIX}: keep one of the two")
    try:
        text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(variable + FILE_SUFFIX, f"cannot read {path} ({reason})") from None
    if not text:
        raise SettingsError(variable + FILE_SUFFIX, f"{path} is empty")
    return text


def _refuse_unknown_variables() -> None:
    known = {variable_of(name) for name in VARIABLES}
    known |= {
        variable_of(field_of(platform, name))
        for platform, names in platform_settings().items()
        for name in names
    }
    known |= {name + FILE_SUFFIX for name in known}
    for name in sorted(os.environ):
        if not name.startswith(PREFIX) or name in known or name in CLIENT_VARIABLES:
            continue
        endings = sorted(v.removeprefix(PREFIX) for v in known)
        nearest = difflib.get_close_matches(name.removeprefix(PREFIX).upper(), endings, n=1)
        hint = f"did you mean {PREFIX}{nearest[0]}?" if nearest else "remove it, or see docs/settings.md"
        raise SettingsError(name, f"no such setting; {hint}")


def _origin(field: str, given: Mapping[str, object]) -> str:
    if field in given:
        return "--" + field.replace("_", "-")
    variable = variable_of(field)
    return variable + FILE_SUFFIX if os.environ.get(variable + FILE_SUFFIX) else variable


def _words(error: ErrorDetails) -> str:
    if error["type"] == "value_error":
        return error["msg"].removeprefix("Value error, ")
    # Only numbers, switches and log levels get here: what was given is no secret.
    text = error["msg"]
    return f"{text[0].lower()}{text[1:]} (got {str(error['input'])!r})"
