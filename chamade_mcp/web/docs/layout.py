"""A page of the documentation as HTML: the chapters beside it, its headings, what comes before and after."""

import json

from chamade_mcp import __version__
from chamade_mcp.web.assets import Assets
from chamade_mcp.web.docs.leaf import Leaf
from chamade_mcp.web.docs.library import Library, address, twin
from chamade_mcp.web.docs.markdown import summary, title
from chamade_mcp.web.pages import page_templates


class Layout:
    def __init__(self, library: Library, assets: Assets) -> None:
        self._library = library
        self._assets = assets
        self._templates = page_templates()

    def page(self, leaf: Leaf) -> str:
        """The whole document; the same for everybody."""
        rendered = self._library.rendered(leaf)
        leaves = list(self._library.leaves.values())
        at = next(i for i, one in enumerate(leaves) if one.slug == leaf.slug)
        return self._templates.get_template("docs.html").render(
            asset=self._assets.path,
            version=__version__,
            public_url=self._library.public_url,
            parts=self._library.parts,
            address=address,
            leaf=leaf,
            title=title(leaf.text),
            about=summary(leaf.text),
            twin=twin(leaf.slug),
            html=rendered.html,
            headings=[h for h in rendered.headings if h.level in (2, 3)],
            before=leaves[at - 1] if at else None,
            after=leaves[at + 1] if at + 1 < len(leaves) else None,
        )

    def search(self) -> str:
        """What can be found: pages, their headings, and the words that have a row of their own."""
        found: list[tuple[str, str, str]] = []
        for leaf in self._library.leaves.values():
            rendered, place, name = self._library.rendered(leaf), address(leaf.slug), title(leaf.text)
            found.append((name, "", place))
            found += [(h.text, name, f"{place}#{h.anchor}") for h in rendered.headings if h.level > 1]
            found += [(row, name, f"{place}#{row}") for row in rendered.rows]
        return json.dumps(found, ensure_ascii=False, separators=(",", ":"))
