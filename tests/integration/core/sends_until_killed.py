"""Sends messages to four conversations at once and prints each once it is accepted, until it is killed.

The platform writes down every attempt. Given a third argument it sends nothing new, and ends once nothing is
pending.
"""

import asyncio
import os
import sys
from pathlib import Path

from sqlalchemy import Connection, select

from chamade_mcp.kit.testing import SCRIPTED, ScriptedConnector
from chamade_mcp.model.access import ALL_PERMISSIONS, Principal, Scope
from chamade_mcp.model.ids import AccountId, AgentId
from chamade_mcp.model.messages import Delivery, Outgoing
from chamade_mcp.store.schema import agents, messages
from tests.support.house import House, open_house

PEOPLE = ("alice", "bob", "carol", "dave")


class Recorder(ScriptedConnector):
    def __init__(self, book: Path) -> None:
        super().__init__()
        self._book = os.open(book, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def answer_send(self, message: Outgoing) -> Delivery:
        await asyncio.sleep(0.001)
        os.write(self._book, f"{message.key}\n".encode())
        await asyncio.sleep(0.001)
        return await super().answer_send(message)


async def owner_of(house: House) -> Principal:
    def find(conn: Connection) -> Scope | None:
        row = conn.execute(select(agents)).first()
        return None if row is None else Scope(AccountId(row.account_id), AgentId(row.id))

    found = await house.database.read(find)
    if found is not None:
        return Principal(found, ALL_PERMISSIONS, email_verified=True)
    owner = await house.owner()
    for person in PEOPLE:
        await house.platform.write(owner.scope, "hello", conversation=person)
    return owner


async def send_for_ever(house: House, owner: Principal, conversation: str) -> None:
    while True:
        result = await house.inbox.send(owner, SCRIPTED, "x", conversation_id=conversation)
        sys.stdout.write(f"{result.body['message_id']}\n")
        sys.stdout.flush()


def pending(conn: Connection) -> bool:
    return conn.execute(select(messages.c.id).where(messages.c.status == "pending")).first() is not None


async def main() -> None:
    database, book = Path(sys.argv[1]), Path(sys.argv[2])
    async with open_house(database, platform=Recorder(book)) as house:
        owner = await owner_of(house)
        if sys.argv[3:]:
            while await house.database.read(pending):
                pass
            return
        listed = (await house.inbox.snapshot(owner))["conversations"]
        async with asyncio.TaskGroup() as group:
            for conversation in listed:
                for _ in range(4):
                    group.create_task(send_for_ever(house, owner, conversation["conversation_id"]))


asyncio.run(main())
