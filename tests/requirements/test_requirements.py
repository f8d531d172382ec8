"""Requirements of the public contract and the tests that prove them, compared both ways."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
GAPS = HERE / "gaps.txt"


def known() -> set[str]:
    with (HERE / "requirements.toml").open("rb") as file:
        return {entry["id"] for entry in tomllib.load(file)["requirement"]}


def sources() -> Iterator[Path]:
    yield from (ROOT / "tests").rglob("test_*.py")
    yield from (ROOT / "chamade_mcp" / "connectors").glob("*/tests/test_*.py")


def used() -> dict[str, set[str]]:
    """Each id that a test names, with the files that do."""
    found: dict[str, set[str]] = {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "requirement":
                for argument in node.args:
                    assert isinstance(argument, ast.Constant), f"{path}:{node.lineno}: name the ids here"
                    found.setdefault(str(argument.value), set()).add(str(path.relative_to(ROOT)))
    return found


def test_every_id_that_a_test_names_exists() -> None:
    assert {i: sorted(files) for i, files in used().items() if i not in known()} == {}


def test_the_gaps_are_those_listed() -> None:
    """A requirement that gets its first test leaves the list; one cannot come back unnoticed."""
    listed = GAPS.read_text(encoding="utf-8").split()
    assert listed == sorted(set(listed))
    tested, gaps = set(used()), known() - set(used())
    assert sorted(set(listed) & tested) == [], "these have a test now: take them off gaps.txt"
    assert sorted(gaps - set(listed)) == [], "these lost their test"
    assert set(listed) <= known()
