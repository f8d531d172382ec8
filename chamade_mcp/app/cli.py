"""``chamade``: the command line. What is heavy is imported by the command that needs it.

Exit codes: 0 done, 1 it could not be done, 2 it was asked for wrongly (arguments, settings).
"""

import asyncio
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from chamade_mcp import __version__
from chamade_mcp.app.problems import SettingsError
from chamade_mcp.model.errors import GatewayError

if TYPE_CHECKING:
    from chamade_mcp.app.settings import Settings

T = TypeVar("T")
R = TypeVar("R")

app = typer.Typer(
    name="chamade",
    help="Self-hosted voice and chat gateway for AI agents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
account_app = typer.Typer(no_args_is_help=True, help="Accounts of this gateway.")
key_app = typer.Typer(no_args_is_help=True, help="API keys.")
app.add_typer(account_app, name="account")
app.add_typer(key_app, name="key")

DataDir = Annotated[
    Path | None, typer.Option(help="Where everything is kept.", show_default="CHAMADE_DATA_DIR")
]


def main() -> None:
    """The entry point: errors become one line on standard error."""
    try:
        app()
    except SettingsError as wrong:
        _stop(str(wrong), 2)
    except GatewayError as refused:
        _stop(refused.detail, 1)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        print(__version__)
        raise typer.Exit
    del context


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="CHAMADE_HOST")
    ] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one.", show_default="CHAMADE_PORT")] = None,
    data_dir: DataDir = None,
) -> None:
    """Run the gateway until it is stopped."""
    # Imports make 200,000 objects that stay: looking for garbage among them costs a tenth of the start.
    # `run` turns collection on again.
    gc.disable()
    settings = _settings(host=host, port=port, data_dir=data_dir)
    from chamade_mcp.app.serve import run

    run(settings)


@app.command()
def worker(
    core: Annotated[
        str | None, typer.Option(help="The gateway's own address.", show_default="CHAMADE_CORE_URL")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="CHAMADE_HOST")
    ] = None,
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8001,
    data_dir: DataDir = None,
) -> None:
    """Serve MCP and OAuth beside a gateway of this machine, on the same data folder."""
    gc.disable()  # as `serve` does
    settings = _settings(core_url=core, host=host, data_dir=data_dir).of_worker(port)
    from chamade_mcp.app.worker import run

    run(settings)


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(help="The gateway's.", min=0, max=65535)] = 8000,
    page_port: Annotated[int, typer.Option(help="That of the page.", min=0, max=65535)] = 8080,
) -> None:
    """Run a gateway with emulated platforms, and a page on which you are the people there."""
    gc.disable()  # as `serve` does
    settings = _settings(host="127.0.0.1", port=port)
    from chamade_mcp.app.sandbox import run

    run(settings, page_port)


@app.command()
def doctor(data_dir: DataDir = None) -> None:
    """Check what could keep the gateway from working, and say what to do about it."""
    settings = _settings(data_dir=data_dir)
    from rich.console import Console

    from chamade_mcp.app.doctor import Verdict, examine

    console = Console(highlight=False)
    styles = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.FAILED: "bold red"}
    failed = False
    for finding in examine(settings):
        failed = failed or finding.verdict is Verdict.FAILED
        console.print(f"{finding.verdict:<7}", style=styles[finding.verdict], end="")
        console.print(f"{finding.check:<15}{finding.text}", markup=False, soft_wrap=True)
        if finding.fix:
            console.print(f"{'':<22}-> {finding.fix}", markup=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


@app.command("openapi")
def print_openapi() -> None:
    """Print the REST API's OpenAPI document."""
    import json

    from chamade_mcp.app.document import openapi_document

    document = json.loads(asyncio.run(openapi_document(_settings())))
    print(json.dumps(document, indent=2, ensure_ascii=False))


@app.command()
def connectors() -> None:
    """List the platforms, and which of them this installation can run."""
    from rich.console import Console
    from rich.table import Table

    from chamade_mcp.kit.manifest import capability_list
    from chamade_mcp.kit.registry import discover

    registry = discover()
    table = Table("platform", "title", "capabilities", "state", box=None, pad_edge=False)
    for name, manifest in registry.manifests.items():
        state = "installed" if name in registry.connectors else "not in this version"
        table.add_row(name, manifest.title, ", ".join(capability_list(manifest.capabilities)), state)
    Console(highlight=False).print(table)


@account_app.command("create")
def create_account(
    email: Annotated[str, typer.Option(help="The e-mail address to sign in with.")],
    password: Annotated[
        str | None, typer.Option(help="Asked for when left out; read from a pipe when there is one.")
    ] = None,
    verified: Annotated[
        bool, typer.Option("--verified", help="You vouch for the address; making keys needs that.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Make an account."""
    settings = _settings(data_dir=data_dir)
    from chamade_mcp.app.local import open_accounts

    chosen = _ask_password() if password is None else password

    async def create() -> None:
        async with open_accounts(settings) as local:
            await local.accounts.create(email, chosen, verified=verified)

    asyncio.run(create())
    print(f"Account {email} is there.", file=sys.stderr)


@account_app.command("link")
def account_link(
    email: Annotated[
        str | None, typer.Option(help="Whose; without it, of the first account, which is nobody's yet.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Print a link that opens an account: to choose a password, or to make the first account one's own."""
    settings = _settings(data_dir=data_dir)
    from chamade_mcp.app.local import open_accounts

    async def make() -> str | None:
        async with open_accounts(settings) as local:
            if email is None:
                return await local.members.joining.claim_link()
            return await local.members.addresses.password_link(email)

    link = asyncio.run(make())
    if link is None:
        _stop(
            "Somebody has this gateway already: add --email"
            if email is None
            else f"There is no account {email}",
            1,
        )
    print(link)


@key_app.command("create")
def create_key(
    account: Annotated[str, typer.Option(help="The account's e-mail address.")],
    name: Annotated[str, typer.Option(help="What the key is for, to know it again.")],
    expires: Annotated[
        str | None, typer.Option(help="30d, 12h, 2w, 1y, or a date such as 2030-01-31; without it, never.")
    ] = None,
    permissions: Annotated[
        str | None, typer.Option(help="Some of read,message,call,manage; without it, all.")
    ] = None,
    agent: Annotated[
        str | None, typer.Option(help="Name of the agent that it acts for; without it, the default one.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Make an API key. Prints the key and nothing else; it cannot be shown again."""
    from chamade_mcp.app.arguments import parse_expiry, parse_name, parse_permissions
    from chamade_mcp.kit.clock import SystemClock

    allowed = _argument("--permissions", parse_permissions, permissions)
    title = _argument("--name", parse_name, name)
    until = None
    if expires is not None:
        now = SystemClock().now()
        until = _argument("--expires", lambda text: parse_expiry(text, now), expires)
    settings = _settings(data_dir=data_dir)
    from chamade_mcp.app.local import open_accounts
    from chamade_mcp.core.accounts import require_verified

    async def create() -> str:
        async with open_accounts(settings) as local:
            accounts = local.accounts
            principal = await accounts.find_by_email(account)
            if principal is None:
                _stop(f"There is no account {account}; chamade account create --email {account} makes it", 1)
            require_verified(principal)
            scope = await local.scope(principal, agent)
            key = await accounts.create_key(scope, title, expires_at=until, permissions=allowed)
            return key.value

    print(asyncio.run(create()))


def _settings(**overrides: Any) -> "Settings":
    from chamade_mcp.app import logs
    from chamade_mcp.app.settings import load

    settings = load(overrides)
    logs.configure(settings.log_level)
    return settings


def _ask_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    chosen: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return chosen


def _argument(option: str, parse: Callable[[T], R], text: T) -> R:
    try:
        return parse(text)
    except ValueError as wrong:
        _stop(f"{option}: {wrong}", 2)


def _stop(text: str, code: int) -> NoReturn:
    print(text, file=sys.stderr)
    raise SystemExit(code)
