"""The documents tell what is there: settings, packages, commands, tools, messages, files, links."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast

import pytest
from pydantic_core import PydanticUndefined

import chamade_mcp
from chamade_mcp.api import entrance, socket_door, stream
from chamade_mcp.app import cli
from chamade_mcp.app.settings import VARIABLES, Settings, variable_of
from chamade_mcp.audio import told, wire
from chamade_mcp.kit.registry import described
from chamade_mcp.model.events import EventType
from chamade_mcp.tools.registry import TOOLS
from chamade_mcp.tools.tool import Tool
from chamade_mcp.tools.transcript import TEMPLATE
from chamade_mcp.web.docs.contents import CHAPTERS, DEVELOPERS

ROOT = Path(__file__).parents[2]
PACKAGE = Path(chamade_mcp.__file__).parent
_FENCE = re.compile(r"^```.*?^```$", re.M | re.S)


@cache
def tracked() -> tuple[Path, ...]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    return tuple(path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file())


DOCUMENTS = [path for path in tracked() if path.suffix == ".md"]
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level or a higher one."""
    level = len(heading) - len(heading.lstrip("#"))
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{level}}} |\Z)", text, re.M | re.S)
    assert found is not None, f"there is no heading {heading!r}"
    return found[1]


def rows(text: str) -> dict[str, list[str]]:
    """The rows of a table whose first cell is `code`: that, and the other cells."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `"):
            found[cells[0].strip("`")] = cells[1:]
    return found


# --- README.md ---------------------------------------------------------------------------------------------


def test_the_settings_that_are_named_are_those_of_the_code() -> None:
    told = rows(section(read("README.md"), "## Settings"))
    fields = {variable_of(name): Settings.model_fields[name] for name in VARIABLES}
    assert told
    assert told.keys() <= fields.keys()
    for name, (default, meaning) in told.items():
        field = fields[name]
        assert meaning
        if field.default is not PydanticUndefined and field.default is not None:
            plain = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
            assert default == f"`{plain}`", name


def test_the_map_of_the_code_names_every_package() -> None:
    told = rows(section(read("README.md"), "## The code"))
    packages = {f"chamade_mcp/{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")}
    assert set(told) == packages


def test_the_commands_are_those_of_the_program() -> None:
    told = rows(section(read("README.md"), "## The command line"))
    commands = {f"chamade {command}" for command in _commands()}
    assert set(told) == commands


def _commands() -> Iterator[str]:
    groups = [
        ("", cli.app),
        *((f"{group.name} ", group.typer_instance) for group in cli.app.registered_groups),
    ]
    for prefix, group in groups:
        assert group is not None
        for command in group.registered_commands:
            assert command.callback is not None
            yield prefix + (command.name or command.callback.__name__)


def test_the_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.M))
    for document in DOCUMENTS:
        named = set(re.findall(r"`make ([a-z]+)", document.read_text(encoding="utf-8")))
        assert named <= targets, document


# --- docs/mcp.md -------------------------------------------------------------------------------------------


def _tool_row(tool: Tool) -> str:
    schema = tool.input_schema
    required = cast(list[str], schema.get("required", []))
    names = list(cast(dict[str, object], schema["properties"]))
    arguments = ", ".join(f"**{name}**" if name in required else name for name in names)
    effect = "reads" if tool.hints.read_only else "cannot be undone" if tool.hints.destructive else "acts"
    return f"| `{tool.name}` | {tool.title} | {arguments or 'none'} | {effect} |"


def test_the_table_of_tools_is_the_registry() -> None:
    table = [line for line in read("docs/mcp.md").splitlines() if line.startswith("| `chamade_")]
    wanted = [_tool_row(tool) for tool in TOOLS]
    assert table == wanted, "docs/mcp.md must have these rows:\n" + "\n".join(wanted)


def test_the_resource_is_named() -> None:
    assert f"`{TEMPLATE['uriTemplate']}`" in read("docs/mcp.md")


# --- docs/call-websocket.md --------------------------------------------------------------------------------


def test_every_message_of_the_call_websocket_has_its_row() -> None:
    text = read("docs/call-websocket.md")
    with pytest.raises(wire.WireError) as unknown:
        wire.parse('{"type":"no such type"}')
    known = unknown.value.message.rpartition("known are ")[2].split(", ")
    assert set(rows(section(text, "## Agent to gateway"))) == {*known, "binary"}
    events = {str(type_) for type_ in EventType if type_.startswith("call_")} - {str(EventType.CALL_INVITE)}
    assert set(rows(section(text, "## Gateway to agent"))) == {*events, *told_of_audio(), "binary"}


def told_of_audio() -> set[str]:
    """Every `type` that audio/told.py writes."""
    tree = ast.parse(Path(told.__file__).read_text(encoding="utf-8"))
    entries = [
        value
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "type"
    ]
    texts = [node for entry in entries for node in ast.walk(entry) if isinstance(node, ast.Constant)]
    return {str(text.value) for text in texts}


def test_every_error_and_close_code_of_the_call_websocket_has_its_row() -> None:
    text = read("docs/call-websocket.md")
    assert {str(code) for code in wire.WireCode} <= set(rows(section(text, "## Errors")))
    ours = {socket_door.BAD_KEY, socket_door.FORBIDDEN, stream.UNKNOWN_CALL, stream.CALL_OVER}
    ours |= {entrance.AUTH_TIMEOUT, entrance.INVALID_AUTH, entrance.AUTH_FAILED, stream.SESSION_SETUP_FAILED}
    told = {int(code) for code in rows(section(text, "## Close codes"))}
    assert told == ours | {1000, 1009, 1011}


# --- docs/performance.md, docs/adr -------------------------------------------------------------------------


def test_every_benchmark_is_named() -> None:
    told = rows(read("docs/performance.md"))
    assert {str(path.relative_to(ROOT)) for path in ROOT.glob("tests/load/bench_*.py")} <= set(told)


def test_decisions_are_numbered_without_a_gap() -> None:
    pages = sorted((ROOT / "docs/adr").glob("*.md"))
    for number, page in enumerate(pages, 1):
        assert page.name.startswith(f"{number:04}-"), page
        assert page.read_text(encoding="utf-8").startswith(f"# {number}. "), page


# --- the documents that are served -------------------------------------------------------------------------


def test_every_document_is_served_or_for_developers() -> None:
    served = {entry.source for chapter in CHAPTERS for entry in chapter.entries}
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")}
    homeless = there - served - DEVELOPERS
    assert homeless == set(), "each needs an entry in chamade_mcp/web/docs/contents.py"
    assert {name for name in served if name.startswith("docs/")} | DEVELOPERS == there
    assert all((ROOT / name).is_file() for name in served)


def test_every_platform_that_can_be_run_has_its_page() -> None:
    for platform, manifest in described().items():
        page = PACKAGE / "connectors" / platform / "README.md"
        assert page.is_file() or not manifest.available, f"{platform} has no README.md"


# --- every document ----------------------------------------------------------------------------------------


def _slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    words = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return words.replace(" ", "-")


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:|/", target):  # elsewhere, or a path on a running gateway
            continue
        path, _, anchor = target.partition("#")
        place = (document.parent / path).resolve() if path else document
        assert place.exists(), f"{target} leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", place.read_text(encoding="utf-8"), re.M)
            assert anchor in [_slug(heading) for heading in headings], f"{target}: no such heading"


@every_document
def test_files_that_are_named_exist(document: Path) -> None:
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    for name in re.findall(r"`([\w./-]+/[\w.-]+\.(?:py|md|toml|js|css|html|lock|txt))`", text):
        places = (ROOT / name, PACKAGE / name, document.parent / name)
        assert any(place.exists() for place in places), f"{name} does not exist"


# --- the whole repository ----------------------------------------------------------------------------------

# In pieces, so that this file does not find itself.
_REGISTRIES = tuple(
    host.replace(" ", ".")
    for host in (
        "pypi org",
        "pythonhosted org",
        "registry npmjs org",
        "registry yarnpkg com",
        "deb debian org",
    )
)
_MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:work|home|root|Users)/\w")


def _texts() -> Iterator[tuple[Path, str]]:
    for path in tracked():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_no_file_has_the_address_of_a_package_registry() -> None:
    found = [(path, host) for path, text in _texts() for host in _REGISTRIES if host in text]
    assert found == []


def test_no_file_has_a_path_of_somebodys_machine() -> None:
    found = [(path, match[0]) for path, text in _texts() for match in _MACHINE_PATH.finditer(text)]
    assert found == []
