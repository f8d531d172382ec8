"""What a bot that people bring is set up with, checked against what its platform takes."""

from collections.abc import Mapping

from chamade_mcp.kit.manifest import Manifest
from chamade_mcp.model.errors import FieldError, InvalidRequest


def check_settings(manifest: Manifest, settings: Mapping[str, str]) -> None:
    """Raises `InvalidRequest` for settings that are missing or none of the platform's."""
    bot = manifest.bot
    if bot is None:
        return  # it takes none, which is told as such
    wrong = [FieldError(name, "is required") for name in bot.required if not settings.get(name)]
    known = {*bot.required, *bot.optional}
    strange = f"is no setting of {manifest.platform}"
    wrong += [FieldError(name[:40], strange) for name in settings if name not in known]
    if wrong:
        raise InvalidRequest(
            "; ".join(f"{e.field}: {e.message}" for e in wrong),
            code="INVALID_SETTINGS",
            param=wrong[0].field,
            errors=wrong,
            platform=manifest.platform,
        )
