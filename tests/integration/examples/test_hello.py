"""examples/hello.py, which the README shows, with somebody who writes and somebody who comes in."""

import asyncio
import os
import sys
from pathlib import Path

import numpy as np

from tests.support.people import person
from tests.support.visitors import BOUND_S, RATE_HZ, open_house

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "hello.py"


def test_the_readme_shows_the_file() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"<!-- example: hello -->\n```python\n{EXAMPLE.read_text(encoding='utf-8')}```\n" in readme


async def test_it_answers_and_greets(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        env = {
            **os.environ, "CHAMADE_URL": house.url, "CHAMADE_API_KEY": house.key,
            "NO_PROXY": "127.0.0.1", "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        agent = await asyncio.create_subprocess_exec(
            sys.executable, EXAMPLE, env=env, stdout=asyncio.subprocess.PIPE
        )
        assert agent.stdout is not None
        try:
            async with asyncio.timeout(BOUND_S):
                links = [(await agent.stdout.readline()).decode().split()[-1] for _ in range(2)]
            async with person(links[0]) as ann:
                await ann.write("Hello?")
                assert await ann.reads() == "You said: Hello?"
            async with person(links[1], "Ben") as ben:
                assert await ben.reads() == "Hello Ben!"
                _is_the_chime(await ben.hears(24))
                await ben.write("Nice")
                assert await ben.reads() == "Ben said: Nice"
        finally:
            agent.terminate()
            await agent.communicate()


def _is_the_chime(sound: "np.ndarray[tuple[int], np.dtype[np.int16]]") -> None:
    quarter = RATE_HZ // 4
    for note, part in ((660, sound[: quarter - 2000]), (880, sound[quarter:])):
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
        assert abs(int(np.argmax(spectrum)) * RATE_HZ / len(part) - note) < 8
