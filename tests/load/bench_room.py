"""A minute of conversation between a browser and an agent: latency and lost audio in both directions.

    .venv/bin/python tests/load/bench_room.py [--seconds 60]

The goal is p99 under 60 ms one way on loopback and no gap.
"""

import argparse
import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.demo.conversation import converse

GOAL_MS = 60


STEAL = 7
"""Of the columns of /proc/stat: what a virtual machine wanted and did not get."""


def processor_times() -> list[int]:
    return [int(column) for column in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=48_000)
    options = parser.parse_args()
    before = processor_times()
    report = asyncio.run(converse(options.seconds, rate_hz=options.rate))
    spent = [now - then for now, then in zip(processor_times(), before, strict=True)]
    for name, heard in (("person to agent", report.by_agent), ("agent to person", report.by_person)):
        wait = heard.latency
        print(
            f"{name}: one way p50 {wait.p50:.1f} ms, p99 {wait.p99:.1f} ms ({wait.p99 / GOAL_MS:.2f} of the "
            f"goal), worst {wait.worst:.1f} ms over {wait.count} clicks; {heard.gaps} gaps"
        )
    print(f"page: {report.page}")
    print(f"taken from this machine by its host: {100 * spent[STEAL] / sum(spent):.0f} % of the processors")


if __name__ == "__main__":
    main()
