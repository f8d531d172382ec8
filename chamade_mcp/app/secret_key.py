"""The gateway's own key: made once, kept in the data folder, never shown.

Everything the gateway encrypts or signs is derived from it. The content of the file may be moved to
``CHAMADE_SECRET_KEY`` (or a file named by ``CHAMADE_SECRET_KEY_FILE``) and means the same there.
"""

import contextlib
import logging
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

from chamade_mcp.app.problems import SettingsError
from chamade_mcp.app.settings import SECRET_KEY_CHARS, Settings

FILE_NAME: Final = "secret.key"
_OTHERS = 0o077

_log = logging.getLogger(__name__)


def load_secret_key(settings: Settings) -> str:
    """For `SecretBox`. Makes the data folder and the key file when missing; raises `SettingsError`."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    prepare_data_dir(settings.data_dir)
    return _from_file(settings.data_dir / FILE_NAME)


def prepare_data_dir(data_dir: Path) -> None:
    """Makes the folder for its owner alone; raises `SettingsError` where that is impossible."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError("CHAMADE_DATA_DIR", f"cannot make {data_dir} ({error.strerror})") from None
    if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
        raise SettingsError("CHAMADE_DATA_DIR", f"{data_dir} is not writable for this user")


def _from_file(path: Path) -> str:
    try:
        if not path.exists():
            _create(path)
        _close_to_others(path)
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError("CHAMADE_DATA_DIR", f"cannot use {path} ({reason})") from None
    if len(text) < SECRET_KEY_CHARS:
        raise SettingsError(
            "CHAMADE_DATA_DIR",
            f"{path} is damaged: put its backup in place. Deleting it makes a new one, and everything stored "
            "encrypted under the old one is lost",
        )
    return text


def _create(path: Path) -> None:
    """Writes aside and links into place: of two processes one wins, and nobody ever reads half a key."""
    descriptor, name = tempfile.mkstemp(prefix=".secret-", dir=path.parent)
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _close_to_others(path: Path) -> None:
    mode = path.stat().st_mode
    if not mode & _OTHERS:
        return
    try:
        path.chmod(0o600)
    except OSError:
        raise SettingsError(
            "CHAMADE_DATA_DIR", f"{path} can be read by other users; its owner must run: chmod 600 {path}"
        ) from None
    _log.warning("%s could be read by other users; its mode is now 600", path)
