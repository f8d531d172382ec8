"""A long file or function is the sign to redraw."""

import ast

from tests.architecture.sources import PACKAGE, modules

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60

LONG_FUNCTIONS: dict[str, str] = {
    "store/migrations/versions/v0001_first_version.py upgrade": "a migration is a list of tables",
}
"""The exceptions, each with its reason."""

_DATA_LINES = 10


def is_data(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Nothing but a table that is written as a call, such as the API's operations."""
    last = node.body[-1]
    return (
        isinstance(last, ast.Return)
        and isinstance(last.value, ast.Call | ast.Tuple)
        and last.lineno - node.lineno <= _DATA_LINES
    )


def test_files_are_short() -> None:
    long = {
        str(path.relative_to(PACKAGE)): lines
        for path in PACKAGE.rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE_LINES
    }
    assert long == {}


def test_functions_are_short() -> None:
    long = {
        f"{path} {node.name}"
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES
        and not is_data(node)
    }
    assert long == set(LONG_FUNCTIONS)
