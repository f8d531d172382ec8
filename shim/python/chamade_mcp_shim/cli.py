"""The command ``chamade-mcp-shim``."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

from chamade_mcp_shim import __version__, stdio
from chamade_mcp_shim.bridge import Bridge
from chamade_mcp_shim.http import Http
from chamade_mcp_shim.notices import Notices
from chamade_mcp_shim.settings import BadSetting, Settings, read

_HELP: Final = """\
environment:
  CHAMADE_API_KEY   a key of the gateway (required)
  CHAMADE_URL       where the gateway is (default: https://chamade.io)
  CHAMADE_MCP_URL   the MCP endpoint itself, where it cannot be derived from CHAMADE_URL

Exit status: 0 once the client is done, 2 for a wrong setting.
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="chamade-mcp-shim",
        description="Connects an MCP client that speaks stdio with a Chamade gateway.",
        epilog=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--stateful", action="store_true", help="keep a session, over which events are pushed"
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    options = parser.parse_args(argv)
    try:
        settings = read(os.environ, stateful=options.stateful)
    except BadSetting as error:
        print(f"chamade-mcp-shim: {error}", file=sys.stderr)
        return 2
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(settings))
    return 0


async def _run(settings: Settings) -> None:
    notices = Notices(settings.api_key)
    if settings.warning is not None:
        notices.say(settings.warning)
    http = Http(
        settings.url,
        {
            "authorization": f"Bearer {settings.api_key}",
            "user-agent": f"chamade-mcp-shim-python/{__version__}",
        },
    )
    writer = stdio.Writer(sys.stdout.fileno())
    bridge = Bridge(http, writer.write, notices)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Windows has no such thing; there the process is simply ended.
        with contextlib.suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)

    async def take() -> None:
        async for line in stdio.lines(sys.stdin.fileno()):
            bridge.accept(line)

    taking = asyncio.create_task(take())
    ends = [asyncio.create_task(stopped.wait()), asyncio.create_task(writer.closed.wait())]
    await asyncio.wait((taking, *ends), return_when=asyncio.FIRST_COMPLETED)
    await bridge.finish(patient=taking.done())
    for task in (taking, *ends):
        task.cancel()
    await asyncio.gather(taking, *ends, return_exceptions=True)
    http.close()
