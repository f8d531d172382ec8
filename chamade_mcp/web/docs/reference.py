"""The OpenAPI document as pages of Markdown: one for each group of operations, and one that leads to them."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from chamade_mcp.web.docs.leaf import Leaf
from chamade_mcp.web.docs.markdown import slug
from chamade_mcp.web.docs.members import Member, Schema, kind_of, members_of
from chamade_mcp.web.docs.samples import sample

_CODE: Final = re.compile(r"`([A-Z][A-Z0-9_]+)`")
_EVERYWHERE: Final = 0.9
"""An error that so many of the operations can answer is told once for all of them."""

Failure = tuple[str, str]
"""Status and code."""


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    wire: Schema

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def anchor(self) -> str:
        return self.wire["operationId"]

    @property
    def public(self) -> bool:
        return self.wire.get("security") == []

    @property
    def failures(self) -> list[Failure]:
        refused = {s: r for s, r in self.wire["responses"].items() if s >= "400"}
        return [(s, code) for s, r in refused.items() for code in _CODE.findall(r["description"])]


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    intro: str
    operations: Sequence[Operation]

    @property
    def slug(self) -> str:
        return f"api/{slug(self.title)}"


def nameless(route: str) -> str:
    """``GET /api/call/{}``: an operation without its query, whatever its ids are called."""
    method, _, path = route.partition(" ")
    shape = re.sub(r"{\w+}", "{}", re.split("[? ]", path, maxsplit=1)[0])
    return f"{method} {shape}"


def matches(shape: str, route: str) -> bool:
    """Whether `route` is `shape` with something in place of its ids."""
    return re.fullmatch(re.escape(shape).replace(r"\{\}", "[^/ ]+"), route) is not None


class Reference:
    def __init__(self, document: Schema) -> None:
        self._whole = document
        self.groups = [
            Group(tag["name"], tag["description"], list(_operations(document, tag["name"])))
            for tag in document["tags"]
        ]
        keyed = [one for group in self.groups for one in group.operations if not one.public]
        counted = Counter(failure for one in keyed for failure in one.failures)
        self._common = [failure for failure, n in counted.items() if n >= _EVERYWHERE * len(keyed)]

        self._places = {
            nameless(one.route): f"/docs/{group.slug}#{one.anchor}"
            for group in self.groups
            for one in group.operations
        }

    def place(self, route: str) -> str | None:
        """The address of the operation that `route` means, with names for its ids or with ids."""
        shape = nameless(route)
        means = (place for known, place in self._places.items() if matches(known, shape))
        return self._places.get(shape) or next(means, None)

    def leaves(self) -> Iterator[Leaf]:
        yield Leaf("api", "All operations", self._contents())
        for group in self.groups:
            told = [self._told(one) for one in group.operations]
            text = "\n\n".join([f"# {group.title}", group.intro, *told]) + "\n"
            yield Leaf(
                group.slug, group.title, text, {one.wire["summary"]: one.anchor for one in group.operations}
            )

    def _contents(self) -> str:
        lines = ["# API reference", "", self._whole["info"]["description"], ""]
        lines += ["The same for programs: `/openapi.json`.", ""]
        for group in self.groups:
            lines += [f"## {group.title}", "", group.intro, "", "| operation | |", "|---|---|"]
            for one in group.operations:
                lines.append(f"| `{one.route}` | [{one.wire['summary']}](/docs/{group.slug}#{one.anchor}) |")
            lines.append("")
        lines += ["## Errors of every operation", ""]
        lines += [
            "Whatever takes a credential may answer these. They are not repeated at each operation.",
            "",
        ]
        return "\n".join([*lines, _failures(self._common), ""])

    def _told(self, one: Operation) -> str:
        wire = one.wire
        notes, permission = _split(wire.get("description", ""))
        who = "nobody is asked for a credential" if one.public else "any credential of the account"
        if permission:
            who = f"a credential with the permission `{permission}`"
        parts = [
            f"## {wire['summary']}",
            f"`{one.route}`",
            notes,
            f"**Access**: {who}.",
            "\n".join(["```sh", sample(one.method, one.path, wire, self._whole), "```"]),
        ]
        parameters = [
            Member(p["name"], kind_of(p["schema"], self._whole), p["required"], p.get("description", ""))
            for p in wire.get("parameters", [])
        ]
        if parameters:
            parts += ["**Parameters**", _members(parameters, asked=True)]
        for media, shape in wire.get("requestBody", {}).get("content", {}).items():
            parts += [f"**Body**, `{media}`", _members(members_of(shape["schema"], self._whole), asked=True)]
        parts += self._answer(wire)
        own = [failure for failure in one.failures if failure not in self._common]
        if own:
            parts += ["**Errors**", _failures(own)]
        return "\n\n".join(part for part in parts if part)

    def _answer(self, wire: Schema) -> list[str]:
        done = {s: r for s, r in wire["responses"].items() if s < "300"}
        statuses = [f"{s} ({r['description']})" if r["description"] != "Done" else s for s, r in done.items()]
        content = next(iter(done.values()))["content"]
        kinds = " or ".join(f"`{media}`" for media in content)
        shape = content.get("application/json", {}).get("schema", {})
        return [f"**Answer** {' or '.join(statuses)}, {kinds}", _members(members_of(shape, self._whole))]


def _split(description: str) -> tuple[str, str]:
    """What is said of an operation, and the permission that its last sentence names."""
    found = re.fullmatch(r"(.*?) ?Permission: `(\w+)`\.", description, re.S)
    return (found[1], found[2]) if found else (description, "")


def _operations(document: Schema, tag: str) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method, wire in item.items():
            if wire["tags"] == [tag]:
                yield Operation(method.upper(), path, wire)


def _members(members: Sequence[Member], *, asked: bool = False) -> str:
    if not members:
        return ""
    rows = [
        f"| `{m.name}`{' required' * (asked and m.required)} | {_cell(m.kind)} | {_cell(m.description)} |"
        for m in members
    ]
    return "\n".join(["| name | type | meaning |", "|---|---|---|", *rows])


def _failures(failures: Sequence[Failure]) -> str:
    by_status: dict[str, list[str]] = {}
    for status, code in failures:
        by_status.setdefault(status, []).append(f"`{code}`")
    rows = [f"| {status} | {', '.join(codes)} |" for status, codes in sorted(by_status.items())]
    return "\n".join(["| status | codes |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
