"""The blocks of docs/client.md, run as they stand there, one after the other."""

import ast
import asyncio
import re
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

from tests.support.people import person
from tests.support.visitors import House, open_house
from tests.support.waiting import BOUND_S, until

DOCUMENT = Path(__file__).parents[3] / "docs" / "client.md"
WHERE = '"https://gateway.example.org", "chmd_..."'


def blocks(house: House) -> list[CodeType]:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert WHERE in text
    text = text.replace(WHERE, f"{house.url!r}, {house.key!r}")
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return [
        compile(block, DOCUMENT, "exec", flags) for block in re.findall(r"```python\n(.*?)```", text, re.S)
    ]


async def run(block: CodeType, names: dict[str, Any]) -> None:
    async with asyncio.timeout(BOUND_S):
        await eval(block, names)


async def test_every_block_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    async with open_house(tmp_path) as house:
        start, messages, talk, *others = blocks(house)
        await run(start, names)
        for block, link in ((messages, lambda: names["link"].url), (talk, lambda: names["call"].meeting_url)):
            running, known = asyncio.create_task(run(block, names)), set(names)
            await until(lambda before=known: {"link", "call"} & (names.keys() - before))
            async with person(link()) as ann:
                await ann.write("Good morning")
                await ann.reads()
                await running
        for block in others:
            await run(block, names)
        await names["client"].close()
    printed = capsys.readouterr().out
    assert "Ann wrote Good morning" in printed
    assert "to its end: True" in printed
    assert "b'a note'" in printed
    assert "CALL_NOT_FOUND fix_argument" in printed
    heard = re.search(r"heard: (\d+) ms", printed)
    assert heard is not None
    assert int(heard[1]) < 1000
