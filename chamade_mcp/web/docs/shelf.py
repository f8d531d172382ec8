"""The documents' sources: where they are, and how this gateway's address gets into them."""

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import chamade_mcp

_PACKAGE: Final = Path(chamade_mcp.__file__).parent
_PACKED: Final = _PACKAGE / "documents"
"""Where a wheel has them; a checkout has them beside the package."""

DEVELOPERS: Final = "<!-- for developers -->"
"""What stands below it in a README is not served."""
EXAMPLE_HOST: Final = "gateway.example.org"
"""Stands in the sources for the host of whoever reads them."""
_COMMENT: Final = re.compile(r"^ *<!--.*?-->\n", re.M | re.S)
_DEEP_LINK: Final = re.compile(r"(?<=[?&]config=)[A-Za-z0-9+/%=]+")
_FENCE: Final = re.compile(r"^( *)(`{3,})[^\n]*\n.*?^\1\2[ \t]*$", re.M | re.S)
_LINK: Final = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\[\]]*\])+)\]\(([^)\s]+)\)")


def source_of(path: str) -> str | None:
    """The text of a document or of a file beside it; None where this build does not have it."""
    root = _PACKED if _PACKED.is_dir() and not path.startswith("chamade_mcp/") else _PACKAGE.parent
    if path.startswith("chamade_mcp/"):
        root, path = _PACKAGE, path.removeprefix("chamade_mcp/")
    place = root / path
    return place.read_text(encoding="utf-8") if place.is_file() else None


def filled(text: str, public_url: str) -> str:
    """`text` with the address of this gateway wherever it speaks of one, and without comments."""
    at = urlsplit(public_url)
    secure = at.scheme == "https"
    text = _DEEP_LINK.sub(lambda found: _with_url(found[0], public_url), _COMMENT.sub("", text))
    for said, meant in (
        (quote(f"https://{EXAMPLE_HOST}", safe=""), quote(public_url, safe="")),
        (f"wss://{EXAMPLE_HOST}", f"{'wss' if secure else 'ws'}://{at.netloc}"),
        (f"https://{EXAMPLE_HOST}", public_url),
        (EXAMPLE_HOST, at.netloc),
    ):
        text = text.replace(said, meant)
    text = re.sub(r"\$\{?(?:CHAMADE_)?URL\b\}?", lambda _: public_url, text)
    text = re.sub(r"\bCHAMADE_URL=[^\s'\"`]+", lambda _: f"CHAMADE_URL={public_url}", text)
    return re.sub(r"\$KEY\b", "$CHAMADE_API_KEY", text)


def _with_url(config: str, public_url: str) -> str:
    """The settings in a deep link of Cursor's: base64 of JSON, percent-encoded."""
    said = b64decode(unquote(config)).decode()
    meant = said.replace(f"https://{EXAMPLE_HOST}", public_url)
    return quote(b64encode(meant.encode()).decode(), safe="")


def relinked(text: str, place: Callable[[str], str | None]) -> str:
    """`text` with each link's target as `place` says; a link without a place keeps its words alone."""

    def link(found: re.Match[str]) -> str:
        target = place(found[2])
        return found[1] if target is None else f"[{found[1]}]({target})"

    done, end = list[str](), 0
    for fence in _FENCE.finditer(text):
        done += [_LINK.sub(link, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*done, _LINK.sub(link, text[end:])])
