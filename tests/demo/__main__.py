"""`make demo`: prints what was measured and saves a picture of the room."""

import argparse
import asyncio
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.demo.conversation import Heard, Report, converse


def _table(report: Report) -> Table:
    table = Table(title=f"{report.seconds:.0f} s of conversation, agent at {report.agent_rate_hz:,} Hz")
    for column in ("", "tone", "level", "one-way p50", "p99", "worst", "gaps"):
        table.add_column(column, justify="left" if not column else "right")
    rows: tuple[tuple[str, Heard], ...] = (
        ("person to agent", report.by_agent),
        ("agent to person", report.by_person),
    )
    for name, heard in rows:
        wait = heard.latency
        table.add_row(
            name,
            f"{heard.tone_hz:.1f} Hz",
            f"{heard.level:.3f}",
            f"{wait.p50:.1f} ms",
            f"{wait.p99:.1f} ms",
            f"{wait.worst:.1f} ms",
            str(heard.gaps),
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=24_000, help="the agent's sample rate in Hz")
    parser.add_argument("--scheme", choices=("light", "dark"), default="light")
    parser.add_argument("--screenshot", type=Path, default=Path("build/demo-room.png"))
    options = parser.parse_args()
    options.screenshot.parent.mkdir(parents=True, exist_ok=True)
    console = Console()
    console.print("A gateway, an agent (MCP and the call WebSocket) and a person (headless Chromium) ...")
    report = asyncio.run(
        converse(options.seconds, rate_hz=options.rate, screenshot=options.screenshot, scheme=options.scheme)
    )
    for line in report.chat:
        console.print(f"  {line}", highlight=False)
    console.print(_table(report))
    page = report.page
    console.print(
        f"The page: {page['frames_sent']} frames sent, {page['frames_received']} received, "
        f"{page['underruns']} underruns, {page['dropped']} dropped, round trip {page['rtt_ms']} ms"
    )
    console.print(f"Picture: {options.screenshot}")


if __name__ == "__main__":
    main()
