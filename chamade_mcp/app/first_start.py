"""What a person reads when the server starts; how to get in, as long as the gateway is nobody's yet."""

import shutil
import sys
from pathlib import Path
from typing import Final

from chamade_mcp.app.settings import Settings
from chamade_mcp.core.accounts import Accounts
from chamade_mcp.model.errors import Conflict

OWNER_EMAIL: Final = "owner@localhost"
"""Stands there until the owner has said theirs."""
KEY_NAME: Final = "First key"


async def make_owner(accounts: Accounts, password: str | None = None) -> str | None:
    """The first account and its first key, told once; None when there is an account already.

    Without a password the account is nobody's until a person opens the link of `Joining.claim_link`.
    """
    if await accounts.any_exist():
        return None
    try:
        await accounts.create(OWNER_EMAIL, password, verified=True, name="Owner")
    except Conflict:
        return None  # another process was faster, and has told its person
    owner = await accounts.find_by_email(OWNER_EMAIL)
    assert owner is not None
    return (await accounts.create_key(owner.scope, KEY_NAME)).value


def tell(settings: Settings, key: str | None, claim: str | None) -> None:
    """To standard output, at once. Lines to be copied are neither wrapped nor framed.

    `key` is told at the very first start alone, `claim` until somebody has followed it.
    """
    url, lines = settings.public_url, list[str]()
    if key is None:
        lines.append(f"Chamade is at {url}")
    else:
        _show(url, key)
    if claim is not None:
        lines += ["Make it yours: choose an e-mail address and a password here", claim]
    if key is None:
        command = f"{_command()} key create --data-dir {settings.data_dir} --account EMAIL --name NAME"
        lines.append(f"A new API key: {command}")
    else:
        lines += ["Give it to Claude Code:", claude_command(url, key)]
    print("\n".join(lines), flush=True)


def _command() -> str:
    """The command line as this person can type it: the virtual environment is often not on their path."""
    found = shutil.which("chamade")
    return "chamade" if found and Path(found).samefile(sys.argv[0]) else sys.argv[0]


def _show(url: str, key: str) -> None:
    # Needed once in the life of an installation, and slow to import.
    from rich.console import Console
    from rich.panel import Panel
    from rich.text import Text

    rows = Text()
    for label, value in (("Dashboard", url), ("API key", key)):
        rows.append(f"{label:<11}", style="dim")
        rows.append(f"{value}\n", style="bold")
    rows.append("\nThe key is shown once. Keep it.", style="yellow")
    Console(highlight=False).print(Panel(rows, title="Chamade is ready", expand=False, padding=(1, 2)))


def claude_command(url: str, key: str) -> str:
    # `--header` takes every word after it, so it must come last.
    return f'claude mcp add --transport http chamade {url}/mcp/ --header "Authorization: Bearer {key}"'
