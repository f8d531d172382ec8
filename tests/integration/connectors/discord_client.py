"""Run with an interpreter that has discord.py: drives the emulated Discord as bots do.

Arguments: what to do, base URL, token, a direct channel with a message of a person, that message, a person
(by their ids), a channel of a server, and a client id and secret. Says what it saw as JSON, in its last line.
"""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false
import asyncio
import io
import json
import sys
from dataclasses import dataclass
from typing import Any

import discord
import httpx2
import yarl
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client

BOUND_S = 30


@dataclass
class Given:
    base: str
    token: str
    direct: str
    ref: str
    person: str
    channel: str
    client: str
    secret: str


class Heard(discord.Client):
    """Writes down what it is told."""

    def __init__(self) -> None:
        intents = discord.Intents(
            guilds=True, guild_messages=True, dm_messages=True, reactions=True, message_content=True
        )
        super().__init__(intents=intents)
        self.told: asyncio.Queue[list[Any]] = asyncio.Queue()

    async def on_message(self, message: Any) -> None:
        if message.author != self.user:
            self.told.put_nowait(["message", message.author.display_name, message.content])

    async def on_raw_message_edit(self, payload: Any) -> None:
        if payload.message.author != self.user:
            self.told.put_nowait(["edit", payload.data["content"]])

    async def on_raw_message_delete(self, payload: Any) -> None:
        self.told.put_nowait(["delete", str(payload.message_id)])

    async def on_raw_reaction_add(self, payload: Any) -> None:
        if payload.user_id != self.user.id:
            self.told.put_nowait(["reaction", str(payload.emoji)])

    async def on_interaction(self, interaction: Any) -> None:
        await interaction.response.send_message("taken", ephemeral=True)
        self.told.put_nowait(["command", interaction.data["name"], interaction.data["options"][0]["value"]])

    async def on_resumed(self) -> None:
        self.told.put_nowait(["resumed"])


async def refusal(call: Any) -> str:
    try:
        await call
    except discord.HTTPException as error:
        return f"{error.status} {error.code}"
    return "nothing"


async def drive(given: Given, client: Heard) -> dict[str, Any]:
    """The REST API."""
    channel = await client.fetch_channel(int(given.direct))
    message = await channel.fetch_message(int(given.ref))
    told: dict[str, Any] = {"channel": str(channel.type), "read": message.content}
    person = await client.fetch_user(int(given.person))
    told["opened"] = str((await person.create_dm()).id) == given.direct
    async with channel.typing():
        pass
    said = await channel.send("plain", reference=message, nonce="n1")
    told["said"] = [said.content, said.reference.message_id == message.id, said.nonce]
    told["again"] = (await channel.send("plain", reference=message, nonce="n1")).id == said.id
    told["edited"] = (await said.edit(content="changed")).content
    await message.add_reaction("\U0001f389")
    await message.remove_reaction("\U0001f389", client.user)
    await message.add_reaction("\U0001f44d")
    files = [discord.File(io.BytesIO(b"body of it"), "a.txt"), discord.File(io.BytesIO(b"more"), "b.txt")]
    sent = await channel.send("two", files=files)
    told["files"] = [[one.filename, one.size] for one in sent.attachments]
    told["downloaded"] = (await sent.attachments[0].read()).decode()
    everyone = await channel.send("@everyone", allowed_mentions=discord.AllowedMentions.none())
    told["everyone"] = everyone.mention_everyone
    await everyone.delete()
    place = await client.fetch_channel(int(given.channel))
    told["place"] = [place.name, (await client.fetch_guild(place.guild.id)).name]
    tree = discord.app_commands.CommandTree(client)
    tree.add_command(discord.app_commands.Command(name="ping", description="p", callback=ping))
    command = tree.get_command("ping").to_dict(tree)
    await client.http.upsert_global_command(client.application_id, command)
    told["commands"] = [one.name for one in await tree.fetch_commands()]
    nowhere = client.get_partial_messageable(4)
    told["refusals"] = [
        await refusal(nowhere.send("x")),
        await refusal(channel.send("")),
        await refusal(channel.send("x" * 2001)),
        await refusal(
            channel.send("x", reference=discord.MessageReference(message_id=5, channel_id=channel.id))
        ),
        await refusal(channel.fetch_message(5)),
        await refusal(channel.get_partial_message(message.id).edit(content="not mine")),
        await refusal(message.delete()),
        await refusal(message.add_reaction("x")),
        await refusal(client.fetch_user(6)),
    ]
    return told


async def ping(interaction: discord.Interaction) -> None:
    pass


async def flood(given: Given, client: Heard) -> dict[str, Any]:
    """Faster than allowed: discord.py waits, and goes on."""
    channel = client.get_partial_messageable(int(given.direct))
    for number in range(7):
        await channel.send(str(number))
    return {"sent": 7}


async def listen(given: Given, client: Heard) -> dict[str, Any]:
    """Says what happens, line by line, until somebody says "end"."""
    guild = client.guilds[0]
    print(json.dumps(["ready", client.user.name, guild.name, guild.text_channels[0].name]), flush=True)
    count = 0
    while True:
        event = await asyncio.wait_for(client.told.get(), BOUND_S)
        if event[-1] == "end":
            return {"heard": count}
        count += 1
        print(json.dumps(event), flush=True)


async def sign_in(given: Given) -> dict[str, Any]:
    """OAuth, by Authlib: the person agrees, and the code is good for a token once."""
    back = "https://gateway.example/connect/discord/callback"
    page, verifier = f"{given.base}/oauth2/authorize", "v" * 48
    client: Any = AsyncOAuth2Client(
        given.client, given.secret, scope="identify", redirect_uri=back, code_challenge_method="S256"
    )
    url, state = client.create_authorization_url(page, code_verifier=verifier)
    asked = dict(httpx2.URL(url).params)
    async with httpx2.AsyncClient() as browser:
        elsewhere = await browser.get(page, params=asked | {"redirect_uri": "https://evil.example/"})
        agreed = await browser.post(page, data=asked | {"user": given.person, "decision": "allow"})
    location = agreed.headers["location"]
    tokens = f"{given.base}/api/v10/oauth2/token"
    told = {"authorization_response": location, "state": state}
    refusals = []
    for wrong in ({"code_verifier": "w" * 48}, {"code_verifier": verifier}):  # a code works once
        try:
            await client.fetch_token(tokens, **told, **wrong)
        except OAuthError as error:
            refusals.append(error.error)
    async with httpx2.AsyncClient() as browser:
        agreed = await browser.post(page, data=asked | {"user": given.person, "decision": "allow"})
    told = {"authorization_response": agreed.headers["location"], "state": state}
    token = await client.fetch_token(tokens, code_verifier=verifier, **told)
    me = (await client.get(f"{given.base}/api/v10/users/@me")).json()
    await client.aclose()
    return {
        "elsewhere": elsewhere.status_code,
        "refusals": refusals,
        "token": [token["token_type"], token["expires_in"], token["scope"]],
        "me": me["global_name"],
    }


async def main() -> None:
    what, *rest = sys.argv[1:]
    given = Given(*rest)
    if what == "sign_in":
        print(json.dumps(await sign_in(given)))
        return
    discord.http.Route.BASE = f"{given.base}/api/v10"
    gateway = f"{given.base.replace('http', 'ws', 1)}/gateway/"
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway)
    client = Heard()
    doing = {"drive": drive, "flood": flood, "listen": listen}[what]
    running = asyncio.create_task(client.start(given.token))
    ready = asyncio.create_task(client.wait_until_ready())
    try:
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=BOUND_S)
        if running.done():
            running.result()
        told = await doing(given, client)
    finally:
        ready.cancel()
        await client.close()
        running.cancel()
    print(json.dumps(told))


async def entrance() -> None:
    try:
        await main()
    except (discord.LoginFailure, discord.PrivilegedIntentsRequired) as error:
        print(json.dumps({"refused": type(error).__name__}))


asyncio.run(entrance())
