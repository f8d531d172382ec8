from collections.abc import Callable
from pathlib import Path

import pytest

from chamade_mcp.app.problems import SettingsError
from chamade_mcp.app.settings import Settings, default_data_dir, load, platform_settings, variable_of
from chamade_mcp.kit.manifest import FILES_ENABLE
from chamade_mcp.kit.registry import discover
from chamade_mcp.model.capabilities import Capability

SetEnv = Callable[..., None]


@pytest.fixture(autouse=True)
def env(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SetEnv:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)

    def set_env(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_env


def test_without_any_variable_the_defaults_serve_this_machine_alone(tmp_path: Path) -> None:
    settings = load()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.public_url == "http://127.0.0.1:8000"
    assert settings.data_dir == tmp_path / ".local/share/chamade"
    assert settings.database_path == settings.data_dir / "chamade.db"
    assert settings.files_max_size_bytes == 25 * 1024 * 1024


def test_the_data_folder_follows_xdg(env: SetEnv, tmp_path: Path) -> None:
    env(XDG_DATA_HOME=str(tmp_path / "xdg"))
    assert default_data_dir() == tmp_path / "xdg/chamade"


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("CHAMADE_HOST", "[::1]", "host", "::1"),
        ("CHAMADE_PORT", "9000", "port", 9000),
        ("CHAMADE_PORT", "0", "port", 0),
        ("CHAMADE_PUBLIC_URL", "https://voice.example.org/", "public_url", "https://voice.example.org"),
        ("CHAMADE_LOG_LEVEL", " WARNING ", "log_level", "warning"),
        ("CHAMADE_FILES_MAX_SIZE_MB", "7", "files_max_size_mb", 7),
        ("CHAMADE_MAX_CONCURRENT_CALLS", "3", "max_concurrent_calls", 3),
        ("CHAMADE_RESAMPLER", "samplerate", "resampler", "samplerate"),
        ("CHAMADE_CALL_GRACE_S", "0", "call_grace_s", 0),
        ("CHAMADE_REPLY_TIMEOUT_S", "0", "reply_timeout_s", 0),
        ("CHAMADE_DATABASE_URL", "sqlite:////srv/x.db", "database_path", Path("/srv/x.db")),
        ("CHAMADE_DATA_DIR", "~/here", "data_dir", None),
    ],
)
def test_each_variable_is_read_and_its_file_variant_too(
    env: SetEnv, tmp_path: Path, variable: str, text: str, field: str, value: object
) -> None:
    expected = tmp_path / "here" if value is None else value
    env(**{variable: text})
    assert getattr(load(), field) == expected

    held = tmp_path / "held"
    held.write_text(text.strip() + "\n")
    env(**{variable: "", variable + "_FILE": str(held)})
    assert getattr(load(), field) == expected


@pytest.mark.parametrize(
    ("variable", "text", "part"),
    [
        ("CHAMADE_HOST", "http://x", "host name or an IP address"),
        ("CHAMADE_PORT", "eighty", "'eighty'"),
        ("CHAMADE_PORT", "65536", "65535"),
        ("CHAMADE_PUBLIC_URL", "voice.example.org", "http://"),
        ("CHAMADE_PUBLIC_URL", "https://voice.example.org/below", "below a path"),
        ("CHAMADE_PUBLIC_URL", "https://me:pw@voice.example.org", "scheme, host and port only"),
        ("CHAMADE_PUBLIC_URL", "https://voice.example.org:99999", "not a URL"),
        ("CHAMADE_DATABASE_URL", "postgresql://u:pw@db/x", "SQLite only"),
        ("CHAMADE_DATABASE_URL", "sqlite:///:memory:", "must name a file"),
        ("CHAMADE_REDIS_URL", "redis://:pw@db", "one process"),
        ("CHAMADE_SECRET_KEY", "pw-too-short", "at least 32"),
        ("CHAMADE_LOG_LEVEL", "loud", "'loud'"),
        ("CHAMADE_FILES_MAX_SIZE_MB", "0", "greater than or equal to 1"),
        ("CHAMADE_MAX_CONCURRENT_CALLS", "-1", "greater than or equal to 1"),
        ("CHAMADE_RESAMPLER", "soxr", "polyphase"),
        ("CHAMADE_REPLY_TIMEOUT_S", "-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable(
    env: SetEnv, variable: str, text: str, part: str
) -> None:
    env(**{variable: text})
    with pytest.raises(SettingsError) as wrong:
        load()
    line = str(wrong.value)
    assert line.startswith(f"{variable}: ")
    assert part in line
    assert "\n" not in line
    assert "pw" not in line.removeprefix(variable)


def test_a_wrong_value_in_a_file_names_the_file_variable(env: SetEnv, tmp_path: Path) -> None:
    held = tmp_path / "port"
    held.write_text("eighty\n")
    env(CHAMADE_PORT_FILE=str(held))
    with pytest.raises(SettingsError, match=r"^CHAMADE_PORT_FILE: "):
        load()


def test_a_missing_and_an_empty_file_are_told(env: SetEnv, tmp_path: Path) -> None:
    env(CHAMADE_SECRET_KEY_FILE=str(tmp_path / "none"))
    with pytest.raises(SettingsError, match=r"^CHAMADE_SECRET_KEY_FILE: cannot read .*No such file"):
        load()
    (tmp_path / "none").write_text("\n")
    with pytest.raises(SettingsError, match=r"^CHAMADE_SECRET_KEY_FILE: .* is empty"):
        load()


def test_a_value_and_a_file_at_once_are_refused(env: SetEnv, tmp_path: Path) -> None:
    env(CHAMADE_PORT="1", CHAMADE_PORT_FILE=str(tmp_path))
    with pytest.raises(SettingsError, match="keep one of the two"):
        load()


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("CHAMADE_PROT", "CHAMADE_PORT"),
        ("CHAMADE_PUBLICURL", "CHAMADE_PUBLIC_URL"),
        ("CHAMADE_port", "CHAMADE_PORT"),
        ("CHAMADE_SECRET_KEY_FLIE", "CHAMADE_SECRET_KEY_FILE"),
    ],
)
def test_a_typo_is_refused_with_the_nearest_name(env: SetEnv, typo: str, meant: str) -> None:
    env(**{typo: "1"})
    with pytest.raises(SettingsError, match=rf"^{typo}: no such setting; did you mean {meant}\?$"):
        load()


def test_nothing_is_suggested_for_a_name_that_resembles_none(env: SetEnv) -> None:
    env(CHAMADE_XYZZY="1")
    with pytest.raises(SettingsError, match=r"^CHAMADE_XYZZY: no such setting; remove it"):
        load()


def test_the_variables_of_the_shim_are_none_of_our_business(env: SetEnv) -> None:
    env(CHAMADE_API_KEY="chmd_x", CHAMADE_URL="https://x", CHAMADE_MCP_URL="https://x/mcp/")
    assert load().port == 8000


def test_hosts_of_webhooks_are_named_with_or_without_a_port(env: SetEnv) -> None:
    assert load().webhook_hosts == frozenset()
    env(CHAMADE_WEBHOOK_PRIVATE_HOSTS=" Localhost:5678, n8n ,[::1]:5678,[fd00::1],10.0.0.5,my_n8n,")
    assert load().webhook_hosts == {"localhost:5678", "n8n", "[::1]:5678", "fd00::1", "10.0.0.5", "my_n8n"}


@pytest.mark.parametrize("hosts", ["http://n8n", "n8n/hook", "10.0.0.0/8", "n8n:x", "*", "a b", "n8n:0"])
def test_what_names_no_host_for_webhooks_is_refused(env: SetEnv, hosts: str) -> None:
    env(CHAMADE_WEBHOOK_PRIVATE_HOSTS=hosts)
    with pytest.raises(SettingsError, match=r"^CHAMADE_WEBHOOK_PRIVATE_HOSTS: must be hosts by commas"):
        load()


def test_an_empty_variable_is_not_set(env: SetEnv) -> None:
    env(CHAMADE_PORT="", CHAMADE_PUBLIC_URL="", CHAMADE_SECRET_KEY_FILE="")
    assert load().port == 8000


def test_the_command_line_wins_and_is_named_when_wrong(env: SetEnv) -> None:
    env(CHAMADE_PORT="9000")
    assert load({"port": 9001, "host": None}).port == 9001
    with pytest.raises(SettingsError, match=r"^--port: "):
        load({"port": -1})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:81"),
        ("0.0.0.0", "http://127.0.0.1:81"),
        ("::1", "http://[::1]:81"),
        ("::", "http://127.0.0.1:81"),
    ],
)
def test_the_public_url_follows_the_port_that_was_bound(env: SetEnv, host: str, url: str) -> None:
    env(CHAMADE_PORT="0", CHAMADE_HOST=host)
    assert load().bound_to(81).public_url == url


def test_a_public_url_that_was_set_stays(env: SetEnv) -> None:
    env(CHAMADE_PORT="0", CHAMADE_PUBLIC_URL="https://voice.example.org")
    bound = load().bound_to(81)
    assert (bound.port, bound.public_url) == (81, "https://voice.example.org")


def test_a_worker_goes_by_the_gateways_name(env: SetEnv) -> None:
    env(CHAMADE_HOST="0.0.0.0", CHAMADE_PORT="8010")
    worker = load().of_worker(8001)
    assert (worker.port, worker.core_url, worker.public_url) == (8001, *["http://127.0.0.1:8010"] * 2)
    env(CHAMADE_PUBLIC_URL="https://voice.example.org")
    assert load({"core_url": "http://10.0.0.1:8000/"}).of_worker(8001).core_url == "http://10.0.0.1:8000"
    assert load().of_worker(8001).public_url == "https://voice.example.org"


def test_settings_are_frozen_and_show_no_secret(env: SetEnv) -> None:
    secret = "s" * 40
    env(CHAMADE_SECRET_KEY=secret)
    settings = load()
    assert secret not in repr(settings)
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1  # pyright: ignore[reportAttributeAccessIssue]


def test_every_field_has_its_variable() -> None:
    assert {variable_of(name) for name in Settings.model_fields} >= {
        "CHAMADE_HOST",
        "CHAMADE_PORT",
        "CHAMADE_DATA_DIR",
        "CHAMADE_PUBLIC_URL",
        "CHAMADE_DATABASE_URL",
        "CHAMADE_REDIS_URL",
        "CHAMADE_SECRET_KEY",
        "CHAMADE_LOG_LEVEL",
        "CHAMADE_FILES_MAX_SIZE_MB",
        "CHAMADE_FILES_QUOTA_MB",
        "CHAMADE_MAX_CONCURRENT_CALLS",
        "CHAMADE_REPLY_TIMEOUT_S",
    }


@pytest.mark.parametrize(("text", "on"), [("true", True), (" ON ", True), ("0", False), ("no", False)])
def test_files_of_a_platform_are_switched_by_a_variable_that_begins_with_files(
    env: SetEnv, text: str, on: bool
) -> None:
    platform = next(name for name, names in platform_settings().items() if FILES_ENABLE in names)
    variable = f"CHAMADE_FILES_ENABLE_{platform.upper()}"
    env(**{variable: text})
    settings = load()
    assert (FILES_ENABLE in settings.platforms[platform]) == on
    manifest = discover().configured(settings.platforms).manifests[platform]
    assert (manifest.files, Capability.FILES in manifest.capabilities) == (on, on)
    env(**{f"CHAMADE_FILES_ENABLE_{platform.upper()}": "maybe"})
    with pytest.raises(
        SettingsError, match=rf"^CHAMADE_FILES_ENABLE_{platform.upper()}: must be true or false"
    ):
        load()
