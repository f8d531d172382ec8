"""What a connector's manifest says of its platform, in words."""

from collections.abc import Iterator, Sequence
from typing import Final

from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.model.capabilities import Capability, MessageFeature
from chamade_mcp.web.docs.leaf import Leaf
from chamade_mcp.web.docs.shelf import DEVELOPERS, source_of

_STEPS: Final = "[Step by step](connect.md)"
"""Where a README points at its `connect.md`: on the page that stands there itself."""
_FEATURES: Final = {
    MessageFeature.REPLY: "replies",
    MessageFeature.THREADS: "threads",
    MessageFeature.EDIT: "edits",
    MessageFeature.DELETE: "deletions",
    MessageFeature.REACT: "reactions",
    MessageFeature.READ_RECEIPTS: "read receipts",
}


def platform_leaves(manifests: Sequence[Manifest]) -> Iterator[Leaf]:
    """One for each that can be run and says something of itself, behind one that compares them."""
    texts = {m.platform: source_of(readme(m)) for m in manifests if m.available}
    told = [(m, text) for m in manifests if (text := texts.get(m.platform))]
    yield Leaf("platforms", "Compared", _compared([m for m, _ in told]))
    for manifest, text in told:
        text = text.replace(_STEPS, _steps(manifest))
        intro, mark, rest = text.partition(DEVELOPERS)[0].partition("\n## ")
        yield Leaf(
            f"platforms/{manifest.platform}",
            manifest.title,
            f"{intro}\n{_glance(manifest)}\n{mark}{rest}",
        )


def _steps(manifest: Manifest) -> str:
    """How it is connected, below a heading of the README."""
    told = source_of(readme(manifest).replace("README.md", "connect.md")) or ""
    return told.partition("\n")[2].replace("\n## ", "\n### ").strip()


def readme(manifest: Manifest) -> str:
    return f"chamade_mcp/connectors/{manifest.platform}/README.md"


def _compared(manifests: Sequence[Manifest]) -> str:
    lines = [
        "# Platforms",
        "",
        "What this gateway can reach, and what can be done there. `GET /api/account` tells which of them are "
        "connected for your agent.",
        "",
        "| platform | calls | messages | files | what else | limit |",
        "|---|---|---|---|---|---|",
    ]
    for m in manifests:
        features = ", ".join(_features(m)) or "none"
        name = f"[{m.title}](/docs/platforms/{m.platform})"
        lines.append(f"| {' | '.join((name, _voice(m), _chat(m), _yes(m.files), features, _limit(m)))} |")
    return "\n".join(lines) + "\n"


def _glance(m: Manifest) -> str:
    rows = [("calls", _voice(m)), ("messages", _chat(m)), ("files", _yes(m.files))]
    if m.text_limit is not None:
        rows.append(("limit of a message", _limit(m)))
    if features := _features(m):
        rows.append(("what else", ", ".join(features)))
    if m.window is not None:
        rows.append(("the agent may write", f"for {m.window.open_s / 3600:.0f} hours after the person has"))
    if m.bot is not None:
        rows.append(("to bring a bot", ", ".join(f"`{name}`" for name in m.bot.required)))
    return "\n".join(
        ["| at a glance | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""]
    )


def _voice(m: Manifest) -> str:
    hears, speaks = Capability.AUDIO_IN in m.capabilities, Capability.AUDIO_OUT in m.capabilities
    if not (hears or speaks):
        return "no"
    words = "hears and speaks" if hears and speaks else "hears" if hears else "speaks"
    return f"{words}, {(m.sample_rate_hz or 0) / 1000:g} kHz"


def _chat(m: Manifest) -> str:
    reads, writes = Capability.READ in m.capabilities, Capability.WRITE in m.capabilities
    return "both ways" if reads and writes else "in" if reads else "out" if writes else "no"


def _features(m: Manifest) -> list[str]:
    typing = ["typing"] if Capability.TYPING in m.capabilities else []
    return [*typing, *(words for feature, words in _FEATURES.items() if feature in m.messages)]


def _limit(m: Manifest) -> str:
    return "none" if m.text_limit is None else f"{m.text_limit:,} {_UNITS.get(str(m.text_unit), m.text_unit)}"


_UNITS: Final = {"utf16": "UTF-16 units"}


def _yes(there: bool) -> str:
    return "yes" if there else "no"
