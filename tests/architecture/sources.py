"""The gateway's own sources, parsed once."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "chamade_mcp"


@cache
def modules() -> dict[str, ast.Module]:
    """Every module of the package by its path from there, the connectors' own tests left out."""
    paths = [p for p in sorted(PACKAGE.rglob("*.py")) if "tests" not in p.relative_to(PACKAGE).parts]
    return {str(p.relative_to(PACKAGE)): ast.parse(p.read_text(encoding="utf-8")) for p in paths}


def docstrings(tree: ast.Module) -> set[int]:
    """The ids of the string nodes that are documentation: any string that is a statement by itself."""
    statements = (node for node in ast.walk(tree) if isinstance(node, ast.Expr))
    return {id(node.value) for node in statements if isinstance(node.value, ast.Constant)}


def strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and value of every string that is code."""
    documentation = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value
