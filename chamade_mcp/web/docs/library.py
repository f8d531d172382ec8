"""All pages of the documentation, put together once, when somebody first asks for one."""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.web.docs.contents import API, ATTACHED, CHAPTERS, PLATFORMS, Chapter
from chamade_mcp.web.docs.leaf import Leaf
from chamade_mcp.web.docs.markdown import Rendered, render, summary, title
from chamade_mcp.web.docs.members import Schema
from chamade_mcp.web.docs.platforms import platform_leaves, readme
from chamade_mcp.web.docs.reference import Reference
from chamade_mcp.web.docs.renderer import ROUTE
from chamade_mcp.web.docs.shelf import filled, relinked, source_of

_EXPLAINING: Final = ("errors", "settings", "mcp")
"""Pages whose tables say what a word means; of two that do, the first."""
_WORD: Final = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|chamade_\w+|bridge_disconnected")
_SERVED: Final = ("/openapi.json", "/llms.txt", "/llms-full.txt")
_OWN_LINK: Final = re.compile(r"\]\(/([^)\s]*)\)")
_FILE_NAME: Final = re.compile(r"\[[\w/.-]+\.md\]\(/docs/([\w/-]+)")
_FILES: Final = "/docs/files/"


@dataclass(frozen=True, slots=True)
class Part:
    """A chapter, filled."""

    title: str
    leaves: Sequence[Leaf]


def address(slug: str) -> str:
    return f"/docs/{slug}" if slug else "/docs"


def twin(slug: str) -> str:
    """Where the same page is as Markdown."""
    return f"/docs/{slug or 'index'}.md"


class Library:
    """`document` gives the OpenAPI document; making it takes a while, so it is asked for once and late."""

    def __init__(
        self, public_url: str, manifests: Sequence[Manifest], document: Callable[[], Schema]
    ) -> None:
        self.public_url = public_url
        self._manifests = manifests
        self._document = document
        self._places = {entry.source: entry.slug for chapter in CHAPTERS for entry in chapter.entries}
        self._places |= {readme(m): f"platforms/{m.platform}" for m in manifests if m.available}

    @cached_property
    def parts(self) -> Sequence[Part]:
        return [Part(chapter.title, list(self._leaves(chapter))) for chapter in CHAPTERS]

    @cached_property
    def leaves(self) -> Mapping[str, Leaf]:
        return {leaf.slug: leaf for part in self.parts for leaf in part.leaves}

    @cached_property
    def _reference(self) -> Reference:
        return Reference(self._document())

    @cached_property
    def _words(self) -> Mapping[str, str]:
        """Where each word is explained, and where each thing of this gateway is served."""
        words = {"WS /api/call/{call_id}/stream": address("call-websocket")}
        words |= {path: path for path in (*_SERVED, *map(address, self.leaves))}
        for slug in reversed(_EXPLAINING):
            rows = render(self.leaves[slug].text, lambda _: None, {}).rows
            words |= {row: f"{address(slug)}#{row}" for row in rows if _WORD.fullmatch(row)}
        return words

    def rendered(self, leaf: Leaf) -> Rendered:
        def explained(word: str) -> str | None:
            found = self._words.get(word) or (self._reference.place(word) if ROUTE.fullmatch(word) else None)
            return None if found is None or found.partition("#")[0] == address(leaf.slug) else found

        return render(leaf.text, explained, leaf.anchors)

    def markdown(self, leaf: Leaf) -> str:
        """The page as Markdown, its links absolute and to pages in Markdown."""
        return _OWN_LINK.sub(lambda found: f"]({self._elsewhere(found[1])})", leaf.text)

    def index(self) -> str:
        """https://llmstxt.org"""
        first = next(iter(self.leaves.values()))
        lines = [f"# {title(first.text)}", "", f"> {summary(first.text)}", ""]
        lines += [
            f"This gateway is at {self.public_url}. All pages in one: {self.public_url}/llms-full.txt",
            "",
        ]
        for part in self.parts:
            lines += [f"## {part.title}", ""]
            for leaf in part.leaves:
                about = summary(leaf.text)
                lines.append(f"- [{title(leaf.text)}]({self.public_url}{twin(leaf.slug)}): {about}")
            lines.append("")
        return "\n".join(lines)

    def whole(self) -> str:
        """Every page, one after the other."""
        pages = (
            f"{self.public_url}{twin(leaf.slug)}\n\n{self.markdown(leaf)}" for leaf in self.leaves.values()
        )
        return "\n---\n\n".join(pages)

    def _leaves(self, chapter: Chapter) -> Iterator[Leaf]:
        for entry in chapter.entries:
            text = source_of(entry.source)
            if text is None:
                raise FileNotFoundError(f"{entry.source} is not part of this installation")
            yield self._placed(Leaf(entry.slug, entry.label, text), entry.source)
        if chapter is PLATFORMS:
            by_slug = {f"platforms/{m.platform}": readme(m) for m in self._manifests}
            for leaf in platform_leaves(self._manifests):
                yield self._placed(leaf, by_slug.get(leaf.slug, "docs/README.md"))
        if chapter is API:
            for leaf in self._reference.leaves():
                yield replace(leaf, text=filled(leaf.text, self.public_url))

    def _placed(self, leaf: Leaf, source: str) -> Leaf:
        def place(target: str) -> str | None:
            return self._place(target, source)

        text = relinked(filled(leaf.text, self.public_url), place)
        return replace(leaf, text=_FILE_NAME.sub(self._named, text))

    def _named(self, found: re.Match[str]) -> str:
        """On GitHub a link may say the name of a file; here there are pages."""
        labels = {entry.slug: entry.label for chapter in CHAPTERS for entry in chapter.entries}
        return f"[{labels.get(found[1], found[1])}](/docs/{found[1]}"

    def _place(self, target: str, source: str) -> str | None:
        """Where the target of a link in `source` is served; None for one that only the repository has."""
        if re.match(r"[a-z]+:|/|#", target):
            return target
        path, mark, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        if path in self._places:
            return f"{address(self._places[path])}{mark}{anchor}"
        if path.startswith(ATTACHED) and source_of(path) is not None:
            return f"{_FILES}{path}"
        return None

    def _elsewhere(self, path: str) -> str:
        page, mark, anchor = path.partition("#")
        slug = page.removeprefix("docs").strip("/")
        if page.startswith("docs") and slug in self.leaves:
            page = twin(slug).lstrip("/")
        return f"{self.public_url}/{page}{mark}{anchor}"
