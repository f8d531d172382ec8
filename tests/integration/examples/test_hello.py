"""examples/hello.py, which the README shows, with somebody who writes and somebody who comes in."""

from pathlib import Path

from tests.support.example import ROOT, running_example
from tests.support.people import person
from tests.support.visitors import RATE_HZ, frequency, open_house

EXAMPLE = ROOT / "examples" / "hello.py"


def test_the_readme_shows_the_file() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"<!-- example: hello -->\n```python\n{EXAMPLE.read_text(encoding='utf-8')}```\n" in readme


async def test_it_answers_and_greets(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house, running_example("hello.py", house) as agent:
        chat, room = await agent.link(), await agent.link()
        async with person(chat) as ann:
            await ann.write("Hello?")
            assert await ann.reads() == "You said: Hello?"
        async with person(room, "Ben") as ben:
            assert await ben.reads() == "Hello Ben!"
            sound, quarter = await ben.hears(24), RATE_HZ // 4
            assert abs(frequency(sound[: quarter - 2000]) - 660) < 8
            assert abs(frequency(sound[quarter:]) - 880) < 8
            await ben.write("Nice")
            assert await ben.reads() == "Ben said: Nice"
