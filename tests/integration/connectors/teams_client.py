"""Run with an interpreter that has Microsoft's Teams SDK: a bot that hears the emulated Teams and answers.

Arguments: the emulator's URL, the bot's app id, its secret and its tenant. Says where it listens as JSON,
then answers what it is told; a message "done" has it say what it saw and end.
"""

# pyright: basic, reportMissingImports=false
import asyncio
import json
import logging
import socket
import sys
from typing import Any

import httpx
from microsoft_teams.api import (
    FileConsentInvokeActivity,
    MessageActivity,
    MessageActivityInput,
    MessageDeleteActivity,
    MessageReactionActivity,
    MessageUpdateActivity,
)
from microsoft_teams.api.auth.cloud_environment import PUBLIC, with_overrides
from microsoft_teams.apps import ActivityContext, App

logging.disable(logging.CRITICAL)
url, app_id, secret, tenant = sys.argv[1:]
seen: list[Any] = []
finished = asyncio.Event()


async def token(scope: str, for_tenant: str | None = None) -> str:
    """As MSAL would; it insists on https."""
    form = {"grant_type": "client_credentials", "client_id": app_id, "client_secret": secret}
    async with httpx.AsyncClient() as http:
        answer = await http.post(
            f"{url}/{tenant}/oauth2/v2.0/token", data={**form, "scope": PUBLIC.bot_scope}
        )
    answer.raise_for_status()
    seen.append(["token", answer.json()["token_type"]])
    return answer.json()["access_token"]


cloud = with_overrides(
    PUBLIC, login_endpoint=url, openid_metadata_url=f"{url}/v1/.well-known/openidconfiguration"
)
app = App(client_id=app_id, tenant_id=tenant, token=token, cloud=cloud)


@app.on_message
async def on_message(ctx: ActivityContext[MessageActivity]) -> None:
    told = ctx.activity
    quoted = [one.quoted_reply.message_id for one in told.get_quoted_messages()]
    seen.append(["message", told.text, told.from_.name, told.is_recipient_mentioned(), quoted])
    if "done" in (told.text or ""):
        finished.set()
        return
    place = told.conversation.id
    sent = await ctx.send(MessageActivityInput(text="first").with_text_format("markdown"))
    quote = await ctx.reply("quoting")
    activities = ctx.api.conversations.activities(place)
    await activities.update(sent.id, MessageActivityInput(text="changed"))
    await ctx.api.reactions.add(place, told.id, "like")
    await ctx.api.reactions.add(place, told.id, "heart")
    await ctx.api.reactions.delete(place, told.id, "heart")
    gone = await ctx.send("gone")
    await activities.delete(gone.id)
    for wrong in (
        lambda: activities.update("0", MessageActivityInput(text="x")),
        lambda: activities.delete("0"),
    ):
        try:
            await wrong()
        except httpx.HTTPStatusError as error:
            seen.append(["refused", error.response.status_code, error.response.json()["error"]["code"]])
    seen.append(["quote", quote.id != sent.id])


@app.on_message_reaction
async def on_reaction(ctx: ActivityContext[MessageReactionActivity]) -> None:
    seen.append(["reaction", [one.type for one in ctx.activity.reactions_added or []]])


@app.on_edit_message
async def on_edit(ctx: ActivityContext[MessageUpdateActivity]) -> None:
    seen.append(["edit", ctx.activity.text])


@app.on_soft_delete_message
async def on_delete(ctx: ActivityContext[MessageDeleteActivity]) -> None:
    seen.append(["delete", ctx.activity.id != ""])


@app.on_file_consent
async def on_consent(ctx: ActivityContext[FileConsentInvokeActivity]) -> None:
    upload = ctx.activity.value.upload_info
    seen.append(["consent", str(ctx.activity.value.action), upload.name if upload else ""])


async def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serving = asyncio.create_task(app.start(port))
    while True:
        try:
            (await asyncio.open_connection("127.0.0.1", port))[1].close()
            break
        except OSError:
            await asyncio.sleep(0.05)
    print(json.dumps({"endpoint": f"http://127.0.0.1:{port}/api/messages"}), flush=True)
    await finished.wait()
    print(json.dumps(seen), flush=True)
    await app.stop()
    serving.cancel()


asyncio.run(main())
