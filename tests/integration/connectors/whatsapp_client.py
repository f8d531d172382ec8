"""Run with an interpreter that has pywa: drives the emulated Cloud API as businesses in the wild do.

Arguments: base URL with its version, the number's id, a person's user id, a media id, and a file with the
webhook of the person's message and its signature. Says what it saw as JSON.
"""

# pyright: basic, reportMissingImports=false
import json
import sys
from pathlib import Path
from typing import Any

from pywa import WhatsApp
from pywa.errors import WhatsAppError


def refusal(call: Any, *arguments: Any, **named: Any) -> list[Any]:
    try:
        call(*arguments, **named)
    except WhatsAppError as error:
        return [error.code, error.message]
    return ["nothing"]


def drive(base: str, number: str, person: str, media: str, hook: dict[str, str]) -> dict[str, Any]:
    wa = WhatsApp(number, "EAAG-token", server=None, verify_token="v", app_secret="app-secret")
    wa.api._session.base_url = base
    heard: list[Any] = []

    @wa.on_message
    def on_message(_: WhatsApp, message: Any) -> None:
        heard.append([message.text, message.from_user.name, message.from_user.bsuid])

    told: dict[str, Any] = {}
    body = hook["body"].encode()
    told["forged"] = wa.webhook_update_validator(body, "sha256=00")[1]
    told["genuine"] = wa.webhook_update_validator(body, hook["signature"]) is None
    told["accepted"] = wa.webhook_update_handler(body)[1]
    told["heard"] = heard
    told["sent"] = wa.send_message(person, "hello", reply_to_message_id="wamid.1").id.startswith("wamid.")
    told["reacted"] = wa.send_reaction(person, "\U0001f44d", "wamid.1").id.startswith("wamid.")
    wa.send_document(person, b"body of it", filename="a.txt", caption="see", mime_type="text/plain")
    url = wa.get_media_url(media)
    told["media"] = [url.mime_type, wa.get_media_bytes(url.url).decode()]
    told["read"] = bool(wa.mark_message_as_read("wamid.1"))
    told["typing"] = bool(wa.indicate_typing("wamid.1"))
    told["refusals"] = [
        refusal(wa.send_message, person, "x" * 4097),
        refusal(wa.send_message, "DE.0", "x"),
    ]
    return told


base, number, person, media, hook = sys.argv[1:]
print(json.dumps(drive(base, number, person, media, json.loads(Path(hook).read_text()))))
