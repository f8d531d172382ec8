"""Run with an interpreter that has nc-py-api: drives the emulated Nextcloud as programs in the wild do.

Arguments: base URL, login, password, the token of a room in which somebody has said something. Says what it
saw as JSON.
"""

# pyright: basic, reportMissingImports=false
import asyncio
import json
import sys
from collections.abc import Awaitable
from typing import Any

from nc_py_api import AsyncNextcloud, NextcloudException
from nc_py_api.talk import ConversationType, TalkFileMessage


async def refusal(call: Awaitable[Any]) -> int:
    try:
        await call
    except NextcloudException as error:
        return error.status_code
    return 0


def cloud(base: str, login: str, password: str) -> Any:
    return AsyncNextcloud(nextcloud_url=base, nc_auth_user=login, nc_auth_pass=password)


async def talk(nc: Any, room: str, told: dict[str, Any]) -> None:
    told["me"] = [await nc.user, (await nc.srv_version)["major"], await nc.talk.available]
    told["rooms"] = [
        [one.token, one.conversation_type.name] for one in await nc.talk.get_user_conversations()
    ]
    told["people"] = sorted(one.actor_id for one in await nc.talk.list_participants(room))
    (heard,) = [m for m in await nc.talk.receive_messages(room) if m.message_type == "comment"]
    told["heard"] = [heard.message, heard.actor_id, heard.actor_display_name]
    said = await nc.talk.send_message("an answer", room, reply_to_message=heard)
    told["said"] = [said.message, said.actor_id]
    told["newest"] = (await nc.talk.receive_messages(room))[0].message
    await nc.talk.react_to_message(heard, "\U0001f44d")
    given = await nc.talk.get_message_reactions(heard)
    told["reactions"] = {emoji: [one.actor_id for one in who] for emoji, who in given.items()}
    told["taken back"] = await nc.talk.delete_reaction(heard, "\U0001f44d")
    told["deleted"] = (await nc.talk.delete_message(said)).system_message
    made = await nc.talk.create_conversation(ConversationType.GROUP, room_name="Garden")
    told["made"] = [made.display_name, (await nc.talk.get_conversation_by_token(made)).token == made.token]
    again = await nc.talk.create_conversation(ConversationType.ONE_TO_ONE, "ann")
    told["again"] = again.token == room


async def files(nc: Any, room: str, told: dict[str, Any]) -> None:
    await nc.files.makedirs("Talk/letters", exist_ok=True)
    await nc.files.upload("Talk/letters/a b.txt", b"what is in it")
    told["downloaded"] = (await nc.files.download("Talk/letters/a b.txt")).decode()
    share, _ = await nc.talk.send_file("Talk/letters/a b.txt", room)
    told["shared"] = [share.share_type.name, share.share_with == room, share.path]
    newest = (await nc.talk.receive_messages(room))[0]
    assert isinstance(newest, TalkFileMessage)
    told["file"] = newest.to_fs_node().name
    await nc.files.delete("Talk/letters/a b.txt")


async def refusals(nc: Any, room: str, stranger: Any) -> list[int]:
    return [
        await refusal(nc.talk.send_message("x", "nowhere")),
        await refusal(nc.talk.send_message("", room)),
        await refusal(nc.talk.send_message("x" * 32_001, room)),
        await refusal(nc.talk.send_message("x", room, reply_to_message=1)),
        await refusal(nc.talk.react_to_message("1", "\U0001f44d", room)),
        await refusal(nc.talk.delete_message("1", room)),
        await refusal(nc.talk.create_conversation(ConversationType.ONE_TO_ONE, "nobody")),
        await refusal(nc.talk.send_file("nothing.txt", room)),
        await refusal(nc.files.upload("no/folder/a.txt", b"x")),
        await refusal(nc.files.download("nothing.txt")),
        await refusal(stranger.talk.get_user_conversations()),
    ]


async def main() -> None:
    base, login, password, room = sys.argv[1:]
    nc, told = cloud(base, login, password), dict[str, Any]()
    await talk(nc, room, told)
    await files(nc, room, told)
    told["refusals"] = await refusals(nc, room, cloud(base, login, "guess"))
    print(json.dumps(told))


asyncio.run(main())
