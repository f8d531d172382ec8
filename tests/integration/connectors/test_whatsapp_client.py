"""The emulated Cloud API, driven by pywa: what businesses in the wild take for WhatsApp."""

import asyncio
import json
from pathlib import Path

from chamade_mcp.connectors.whatsapp.emulator import WhatsAppEmulator
from tests.support.pip import pip_installed
from tests.support.script import run

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).with_name("whatsapp_client.py")
PACKAGES = ("pywa==4.5.0", "cryptography")


async def test_pywa_finds_what_it_knows(whatsapp: tuple[WhatsAppEmulator, str], tmp_path: Path) -> None:
    python = await asyncio.to_thread(pip_installed, ROOT / "build" / "pywa", PACKAGES)
    emulator, url = whatsapp
    number, ann = emulator.new_number(), emulator.person("Ann", number=False)
    emulator.write(number, ann, "h\u00e9llo")
    body = emulator.waiting(number)[0]
    media = emulator.keep(b"picture", "image/jpeg")
    hook = tmp_path / "hook.json"
    signature = emulator.signed(number, body)["x-hub-signature-256"]
    hook.write_text(json.dumps({"body": body.decode(), "signature": signature}))
    assert await run(python, SCRIPT, url, number, ann.user_id, media, hook) == {
        "forged": 403,
        "genuine": True,
        "accepted": 200,
        "heard": [["h\u00e9llo", "Ann", ann.user_id]],
        "sent": True,
        "reacted": True,
        "media": ["image/jpeg", "picture"],
        "read": True,
        "typing": True,
        "refusals": [
            [100, "(#100) Param text['body'] must be at most 4096 characters long."],
            [131026, "Message undeliverable"],
        ],
    }
    text, _, document = emulator.said(number, ann)
    assert (text["text"]["body"], text["context"]["message_id"]) == ("hello", "wamid.1")
    assert (document["document"]["caption"], emulator.content(document)) == ("see", b"body of it")
    assert emulator.read(number) == [("wamid.1", False), ("wamid.1", True)]
