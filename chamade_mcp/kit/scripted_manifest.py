"""What the scripted platform of `kit.testing` says of itself."""

from chamade_mcp.kit.manifest import GatewaySettings, Manifest, Refusal, Window
from chamade_mcp.kit.markdown.formats import Format, Unit
from chamade_mcp.model.capabilities import VOICE, Capability, MessageFeature
from chamade_mcp.model.ids import Platform


def scripted_manifest(
    capabilities: frozenset[Capability],
    *,
    platform: Platform,
    creates_rooms: bool,
    inbox: bool,
    messages: frozenset[MessageFeature],
    window: Window | None,
) -> Manifest:
    return Manifest(
        platform=platform,
        title=platform.title(),
        capabilities=capabilities,
        sample_rate_hz=48_000 if capabilities & VOICE else None,
        text_limit=10_000 if Capability.WRITE in capabilities else None,
        text_unit=Unit.CHARACTERS,
        format=Format.MARKDOWN,
        available=True,
        embedded=True,
        creates_rooms=creates_rooms,
        files=Capability.FILES in capabilities,
        inbox=inbox,
        unconnected=Refusal("PLATFORM_NOT_CONNECTED", f"{platform.title()} is not connected"),
        needs_meeting_url=not creates_rooms,
        messages=messages,
        window=window,
        bot=None,
        gateway=GatewaySettings({}, ()),
        oauth=None,
        status="ok",
    )
