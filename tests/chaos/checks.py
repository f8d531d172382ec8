"""What must be true when all is over."""

import asyncio
from collections import Counter

from tests.chaos.conftest import Scene
from tests.chaos.platforms import PLATFORMS, arrivals
from tests.chaos.traffic import BOT_TOKEN, Agent, Person
from tests.support.waiting import until

CATCH_UP_S = 120.0


async def all_is_well(chaos: Scene, going_on: "asyncio.Task[None]") -> dict[str, int]:
    """Lets the traffic come to its end. How many messages arrived once more, by platform."""
    traffic = chaos.traffic
    traffic.stopping.set()
    await asyncio.wait_for(going_on, CATCH_UP_S)
    await until(lambda: all(one.status != "pending" for one in chaos.stored()), bound_s=CATCH_UP_S)
    newest = chaos.newest_event()
    await until(lambda: int(traffic.listener.last_id) >= newest, bound_s=CATCH_UP_S)
    for person in traffic.people:
        check_inbound(chaos, person)
    for agent in traffic.agents:
        check_outbound(chaos, agent)
    seqs = [event["seq"] for event in traffic.listener.events]
    assert seqs == sorted(set(seqs)), "an event came twice, or late"
    check_log(chaos)
    return arrived_again(chaos)


def check_inbound(chaos: Scene, person: Person) -> None:
    """Each once and in its order: in the inbox, and to whom listens."""
    stored = [one for one in chaos.stored() if one.person == person.name and one.inbound]
    assert [one.text for one in stored] == person.answers.accepted
    heard = [e["text"] for e in chaos.traffic.listener.events if e["type"] == "dm_chat"]
    # It listens from the first message on.
    assert [text for text in heard if text.startswith(f"{person.name} says")] == person.answers.accepted


def check_outbound(chaos: Scene, agent: Agent) -> None:
    stored = [one for one in chaos.stored() if one.conversation == agent.conversation and not one.inbound]
    texts = [one.text for one in stored]
    accepted = agent.answers.accepted
    assert {one.status for one in stored} == {"delivered"}
    assert [text for text in texts if text in set(accepted)] == accepted, "lost, twice, or out of order"
    if agent.keyed:
        assert texts == accepted
    else:
        assert set(texts) <= {*accepted, *agent.answers.lost}, "what was refused was stored"
        assert len(texts) == len(set(texts))


def arrived_again(chaos: Scene) -> dict[str, int]:
    """Every message has arrived, each conversation's in their order."""
    stored, again = chaos.stored(), dict[str, int]()
    for platform in PLATFORMS:
        arrived = arrivals(chaos.folder, platform)
        first = list(dict.fromkeys((one.key, one.to, one.text) for one in arrived))
        for person in {one.to for one in arrived}:
            wanted = [(s.id, person, s.text) for s in stored if s.person == person and not s.inbound]
            assert [one for one in first if one[1] == person] == wanted
        again[platform] = sum(count - 1 for count in Counter(one.key for one in arrived).values())
    return again


def check_log(chaos: Scene) -> None:
    log = chaos.gateway.log.read_text().removeprefix(chaos.welcome)
    secret = [chaos.gateway.key.rpartition("_")[2], BOT_TOKEN, *(one.text for one in chaos.stored())]
    assert [one for one in secret if one in log] == []
