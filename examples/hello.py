"""Answers direct messages, and greets by name whoever comes into its room."""

import asyncio
import math
from array import array

from chamade_mcp.client import AudioParticipants, Call, CallChat, Client

RATE_HZ = 24_000


def chime() -> bytes:
    """Two notes of a quarter of a second each: PCM, signed 16 bit, mono."""
    seconds = [i / RATE_HZ for i in range(RATE_HZ // 4)]
    waves = (math.sin(2 * math.pi * note * t) * math.exp(-6 * t) for note in (660, 880) for t in seconds)
    return array("h", (int(12_000 * wave) for wave in waves)).tobytes()


async def answer_messages(client: Client, cursor: str) -> None:
    async for message in client.inbox.messages(cursor):
        await client.inbox.reply(message, f"You said: {message.text}")


async def greet(client: Client, call: Call) -> None:
    met = set[str]()
    async with client.call(call, rate_hz=RATE_HZ, receive="participants") as socket:
        async for event in socket:  # until the call is over
            match event:
                case AudioParticipants(participants=people):
                    for person in people:
                        if person.id not in met:
                            met.add(person.id)
                            await socket.chat(f"Hello {person.name}!")
                            await socket.play(chime())
                case CallChat(sender=sender, text=text):
                    await socket.chat(f"{sender} said: {text}")
                case _:
                    pass  # ParticipantAudio is what people say: 20 ms of PCM each


async def main() -> None:
    async with Client() as client:  # by CHAMADE_URL and CHAMADE_API_KEY
        account = await client.account()
        chat = await client.invite(agent_name="Ada")
        call = await client.calls.join("web", agent_name="Ada")
        print("Write to Ada:", chat.url, flush=True)
        print("Meet Ada:    ", call.meeting_url, flush=True)
        await asyncio.gather(answer_messages(client, account.last_message_cursor), greet(client, call))


if __name__ == "__main__":
    asyncio.run(main())
