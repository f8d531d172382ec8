"""What an agent says, in the words of a platform and within its limit."""

from typing import Final

from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.kit.markdown.formats import Unit
from chamade_mcp.kit.markdown.limits import length
from chamade_mcp.kit.markdown.render import render
from chamade_mcp.model.capabilities import MessageFeature
from chamade_mcp.model.errors import FieldError, InvalidRequest, PlatformRefused

_UNITS: Final = {Unit.CHARACTERS: "characters", Unit.UTF16: "UTF-16 units", Unit.BYTES: "bytes"}


def worded(manifest: Manifest, markdown: str) -> str:
    """`Outgoing.text` for what an agent wrote; "" for "".

    Raises `PlatformRefused` when it is over the limit, with both numbers, or has nothing that can be seen.
    """
    said = render(markdown, manifest.format)
    long, limit = length(said, manifest.format, manifest.text_unit), manifest.text_limit
    if limit is not None and long > limit:
        raise refused(manifest, f"has {long} {_UNITS[manifest.text_unit]}; {manifest.platform} takes {limit}")
    if markdown and not said:
        raise refused(manifest, "has nothing that can be seen")
    return said


def require_feature(manifest: Manifest, feature: MessageFeature) -> None:
    """Raises `InvalidRequest` where the platform's messages cannot do that."""
    if feature not in manifest.messages:
        raise no_such_feature(manifest, feature)


def require_files(manifest: Manifest) -> None:
    """Raises `InvalidRequest` where the platform takes none, or is not let to."""
    if not manifest.files:
        raise InvalidRequest(
            f"There are no files on {manifest.title}", code="CAPABILITY_MISSING", platform=manifest.platform
        )


def no_such_feature(manifest: Manifest, feature: MessageFeature) -> InvalidRequest:
    return InvalidRequest(
        f"Messages on {manifest.title} have no {feature!s}",
        code="CAPABILITY_MISSING",
        platform=manifest.platform,
    )


def refused(manifest: Manifest, why: str) -> PlatformRefused:
    return PlatformRefused(platform=manifest.platform, errors=[FieldError("text", why)])
