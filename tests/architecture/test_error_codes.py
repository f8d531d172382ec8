"""docs/errors.md lists exactly the codes that the gateway tells."""

import ast
import re
from collections.abc import Iterator

from chamade_mcp.kit.registry import discover
from tests.architecture.sources import ROOT, modules, strings

_CODE = re.compile(r"[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)*")
_ROW = re.compile(r"^\| `([A-Z][A-Z0-9_]+|bridge_disconnected)`", re.MULTILINE)
_PAGE = ROOT / "docs" / "errors.md"


def documented() -> set[str]:
    return set(_ROW.findall(_PAGE.read_text(encoding="utf-8")))


def _constants(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and _CODE.fullmatch(inner.value):
            yield inner.value


def told() -> set[str]:
    """What is given as a `code`, what a class of errors has by default, what stands in an enum of codes."""
    codes = {m.unconnected.code for m in discover().manifests.values()}
    for tree in modules().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == "code":
                codes |= set(_constants(node.value))
            elif isinstance(node, ast.ClassDef):
                codes |= _codes_of_class(node)
    return codes


def _codes_of_class(node: ast.ClassDef) -> set[str]:
    if node.name == "WireCode":
        return set(_constants(node))
    defaults = (s for s in node.body if isinstance(s, ast.Assign) and "default_code" in ast.unparse(s))
    return {code for statement in defaults for code in _constants(statement)}


def test_every_code_that_is_told_is_documented() -> None:
    assert sorted(told() - documented()) == []


def test_every_documented_code_exists() -> None:
    known = {m.unconnected.code for m in discover().manifests.values()}
    for tree in modules().values():
        known |= {text for _, text in strings(tree)}
    assert sorted(documented() - known) == []
