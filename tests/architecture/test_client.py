"""The client library stands apart: who uses it loads nothing of the server."""

import ast
import subprocess
import sys

from chamade_mcp import client
from tests.architecture.sources import PACKAGE

SERVER = (
    "alembic",
    "av",
    "cryptography",
    "jinja2",
    "numpy",
    "pydantic",
    "sqlalchemy",
    "starlette",
    "uvicorn",
)


def test_the_server_is_not_loaded_with_it() -> None:
    command = [sys.executable, "-c", "import sys, chamade_mcp.client; print(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert loaded & set(SERVER) == set()
    ours = {name.split(".")[1] for name in loaded if name.startswith("chamade_mcp.")}
    assert ours == {"client", "model"}


def test_all_that_is_public_is_explained() -> None:
    assert sorted(client.__all__) == client.__all__
    text = (PACKAGE.parent / "docs" / "client.md").read_text(encoding="utf-8")
    assert [name for name in client.__all__ if f"`{name}`" not in text] == []


def test_every_public_method_is_documented() -> None:
    silent: list[str] = []
    for path in (PACKAGE / "client").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and node.name in (
                "Client",
                "Calls",
                "Inbox",
                "Files",
                "Recordings",
                "CallSocket",
            ):
                silent += [
                    f"{node.name}.{method.name}"
                    for method in node.body
                    if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
                    and not method.name.startswith("_")
                    and ast.get_docstring(method) is None
                ]
    assert silent == []
