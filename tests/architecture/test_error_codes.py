"""docs/errors.md names every error code of the code and no other; who points at one points at a real one."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import chamade_mcp
from chamade_mcp.model.errors import GatewayError

PACKAGE = Path(chamade_mcp.__file__).parent
DOCUMENT = PACKAGE.parent / "docs" / "errors.md"
READERS = (PACKAGE / "tools" / "results.py", PACKAGE / "api" / "openapi.py")
"""They speak of codes that others raise."""
CODED = ("api", "audio", "core", "kit", "model", "oauth", "sessions", "speech", "store", "tools")
"""Packages in which every text of this shape is an error code. Elsewhere only what is called `code`."""
SHAPE = re.compile(r"[A-Z]+(_[A-Z0-9]+)+")


def of_classes(kind: type[GatewayError] = GatewayError) -> Iterator[str]:
    yield kind.default_code
    for child in kind.__subclasses__():
        yield from of_classes(child)


def of_source(path: Path) -> Iterator[str]:
    """The codes a module raises; what its operations announce in `errors=` is left out."""
    coded = path.relative_to(PACKAGE).parts[0] in CODED
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.keyword):
            if node.arg == "errors":
                continue
            if node.arg == "code":
                yield from of_literals(node.value)
        elif coded:
            yield from of_literals(node, deep=False)
        waiting += ast.iter_child_nodes(node)


def of_literals(tree: ast.AST, *, deep: bool = True) -> Iterator[str]:
    for node in ast.walk(tree) if deep else (tree,):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SHAPE.fullmatch(node.value):
            yield node.value


@cache
def raised() -> set[str]:
    codes = {"bridge_disconnected", *of_classes()}
    for path in PACKAGE.rglob("*.py"):
        if path not in READERS and "tests" not in path.relative_to(PACKAGE).parts:
            codes.update(of_source(path))
    for manifest in PACKAGE.glob("connectors/*/manifest.toml"):
        refusal = tomllib.loads(manifest.read_text(encoding="utf-8")).get("unconnected", {})
        codes.update(value for key, value in refusal.items() if key == "code")
    return codes


def documented() -> list[str]:
    return re.findall(
        r"^\| `([A-Za-z_0-9]+)` \| (?:[0-9]{3}|socket)", DOCUMENT.read_text(encoding="utf-8"), re.M
    )


def test_the_document_names_every_code_once() -> None:
    assert sorted(documented()) == sorted(raised())


def test_whoever_speaks_of_a_code_means_a_real_one() -> None:
    for path in READERS:
        assert set(of_source(path)) <= raised(), path.name


def test_what_operations_announce_is_raised_somewhere() -> None:
    for path in (PACKAGE / "api").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "errors":
                assert set(of_literals(node.value)) <= raised(), path.name
