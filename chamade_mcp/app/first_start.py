"""What a person reads when the server starts; at the very first start, how to get in."""

import secrets
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chamade_mcp.app.settings import Settings
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.model.errors import Conflict

OWNER_EMAIL: Final = "owner@localhost"
KEY_NAME: Final = "First key"


@dataclass(frozen=True, slots=True)
class Welcome:
    """Told once, on the terminal of the first start, and stored nowhere."""

    email: str
    password: str
    key: str


async def make_owner(accounts: Accounts) -> Welcome | None:
    """The first account and its first key; None when there is an account already."""
    if await accounts.any_exist():
        return None
    password = secrets.token_urlsafe(12)
    try:
        await accounts.create(OWNER_EMAIL, password, verified=True, name="Owner")
    except Conflict:
        return None  # another process was faster, and has told its person
    owner = await accounts.find_by_email(OWNER_EMAIL)
    assert owner is not None
    key = await accounts.create_key(owner.scope, KEY_NAME)
    return Welcome(OWNER_EMAIL, password, key.value)


def tell(settings: Settings, welcome: Welcome | None) -> None:
    """To standard output, at once. Lines to be copied are neither wrapped nor framed."""
    url = settings.public_url
    if welcome is None:
        command = f"{_command()} key create --data-dir {settings.data_dir} --account EMAIL --name NAME"
        lines = [f"Chamade is at {url}", f"A new API key: {command}"]
    else:
        _show(url, welcome)
        lines = ["Give it to Claude Code:", claude_command(url, welcome.key)]
    print("\n".join(lines), flush=True)


def _command() -> str:
    """The command line as this person can type it: the virtual environment is often not on their path."""
    found = shutil.which("chamade")
    return "chamade" if found and Path(found).samefile(sys.argv[0]) else sys.argv[0]


def _show(url: str, welcome: Welcome) -> None:
    # Needed once in the life of an installation, and slow to import.
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    rows = Text()
    for label, value in (
        ("Dashboard", f"{url}/dashboard"),
        ("E-mail", welcome.email),
        ("Password", welcome.password),
        ("API key", welcome.key),
    ):
        rows.append(f"{label:<11}", style="dim")
        rows.append(f"{value}\n", style="bold")
    rows.append("\nThis is shown once. Keep it.", style="yellow")
    Console(highlight=False).print(Panel(rows, title="Chamade is ready", expand=False, padding=(1, 2)))


def claude_command(url: str, key: str) -> str:
    # `--header` takes every word after it, so it must come last.
    return f'claude mcp add --transport http chamade {url}/mcp/ --header "Authorization: Bearer {key}"'
