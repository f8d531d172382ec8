"""Four people write, what they write goes to a webhook, and each message is printed once it is accepted.

They go on until the process is killed.

The receiver writes down what arrives, and refuses every fifth. Arguments: database, book, number of the first
message. With the number -1 nobody writes, and the process ends once nothing is on its way.
"""

import asyncio
import itertools
import os
import sys
from pathlib import Path

import httpx2
from sqlalchemy import Connection, select

from chamade_mcp.core.webhooks.records import Progress
from chamade_mcp.model.access import ALL_PERMISSIONS, Principal, Scope
from chamade_mcp.model.facts import MessageReceived
from chamade_mcp.model.ids import AccountId, AgentId, ConversationRef, MessageRef
from chamade_mcp.model.messages import Sender
from chamade_mcp.store.schema import accounts, agents, webhook_deliveries, webhooks
from tests.support.house import House, open_house
from tests.support.receiver import Arrived
from tests.support.webhooks import Endpoint

PEOPLE = ("alice", "bob", "carol", "dave")
HOST = "receiver.example"


def write_down(house: House, book: Path) -> None:
    file = os.open(book, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    turn = itertools.count(1)

    async def answer(arrived: Arrived) -> httpx2.Response:
        await asyncio.sleep(0.001)
        status = 500 if next(turn) % 5 == 0 else 200
        os.write(file, f"{arrived.id} {arrived.seq} {arrived.body['text']} {status}\n".encode())
        await asyncio.sleep(0.001)
        return httpx2.Response(status, stream=httpx2.ByteStream(b""))

    house.receiver.answers[HOST] = answer


async def owner_of(house: House) -> Principal:
    def find(conn: Connection) -> Scope | None:
        row = conn.execute(select(agents)).first()
        return None if row is None else Scope(AccountId(row.account_id), AgentId(row.id))

    found = await house.database.read(find)
    if found is not None:
        return Principal(found, ALL_PERMISSIONS, email_verified=True)
    owner = await house.owner()
    await Endpoint.make(house, owner=owner, host=HOST)
    return owner


async def write_for_ever(house: House, owner: Principal, person: str, first: int) -> None:
    for number in itertools.count(first, len(PEOPLE)):
        text = f"m{number}"
        fact = MessageReceived(ConversationRef(person), MessageRef(text), Sender(person, person), text)
        await house.platform.context.emit(owner.scope, fact)
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


async def pass_time(house: House, step_s: float) -> None:
    while True:
        await house.clock.advance(step_s)
        await asyncio.sleep(0.002)


def on_its_way(conn: Connection) -> bool:
    unread = select(webhooks.c.id).join(accounts).where(webhooks.c.position < accounts.c.event_seq)
    pending = select(webhook_deliveries.c.id).where(webhook_deliveries.c.state == Progress.PENDING)
    return any(conn.execute(query).first() is not None for query in (unread, pending))


async def main() -> None:
    database, book, first = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    async with open_house(database) as house:
        write_down(house, book)
        owner = await owner_of(house)
        if first < 0:
            time = asyncio.create_task(pass_time(house, 10.0))
            while await house.database.read(on_its_way):  # noqa: ASYNC110 - the database is asked
                await asyncio.sleep(0.01)
            time.cancel()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(pass_time(house, 0.1))
            for number, person in enumerate(PEOPLE, first):
                group.create_task(write_for_ever(house, owner, person, number))


asyncio.run(main())
