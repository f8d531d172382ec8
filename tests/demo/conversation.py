"""The demo's plot: the agent opens a room, the person comes, they write and talk, both are measured."""

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.demo import agent as agents
from tests.demo import person as people
from tests.demo import signal
from tests.demo.gateway import running_gateway

SETTLE_S = 5.0
"""Talk before the measurement: buffers find their size."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One direction, measured where it arrives."""

    tone_hz: float
    level: float
    latency: signal.Latency
    gaps: int
    """Breaks in the tone during the measurement: lost, repeated or padded audio."""


@dataclass(frozen=True, slots=True)
class Report:
    seconds: float
    agent_rate_hz: int
    by_agent: Heard
    by_person: Heard
    page: dict[str, Any]
    chat: list[str]
    console: list[str]
    state: dict[str, Any]


async def converse(
    seconds: float, *, rate_hz: int = 24_000, screenshot: Path | None = None, scheme: str = "light"
) -> Report:
    """Runs everything once; `seconds` is the length of the measurement."""
    with tempfile.TemporaryDirectory(prefix="chamade-demo-") as folder:
        home = Path(folder)
        async with (
            running_gateway(home / "data") as gateway,
            agents.agent_at(gateway, people.TONE_HZ, rate_hz) as agent,
            people.person(home / "microphone.wav", agents.TONE_HZ, scheme=scheme) as person,
        ):
            return await _meet(agent, person, seconds, screenshot)


async def _meet(
    agent: agents.Agent, person: people.Person, seconds: float, screenshot: Path | None
) -> Report:
    link = await agent.join()
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(agent.talk(stop))
        await person.enter(link, "Ann")
        async with asyncio.timeout(20):
            await agent.heard_somebody.wait()
        await person.write("Hello Ada, can you hear me?")
        await person.read("I hear you well")
        await asyncio.sleep(SETTLE_S)
        report = await _measure(agent, person, seconds, screenshot)
        stop.set()
    await agent.leave()
    return report


async def _measure(
    agent: agents.Agent, person: people.Person, seconds: float, screenshot: Path | None
) -> Report:
    jumps = agent.ear.jumps
    marks = (len(agent.ear.clicks), len((await person.clicks())["heard"]))
    await person.begin_listening()
    await asyncio.sleep(seconds)
    clicks = await person.clicks()
    jumps = agent.ear.jumps - jumps
    await person.listen()
    if screenshot is not None:
        await person.page.screenshot(path=screenshot)
    return Report(
        seconds=seconds,
        agent_rate_hz=agent.ear.rate_hz,
        by_agent=Heard(
            *agent.ear.tone,
            signal.latency(clicks["said"], agent.ear.clicks[marks[0] :]),
            jumps,
        ),
        by_person=Heard(
            *person.ear.tone,
            signal.latency(agent.clicks, clicks["heard"][marks[1] :]),
            person.ear.jumps,
        ),
        page=await person.stats(),
        chat=agent.chat,
        console=list(person.console),
        state=await agent.use("chamade_call_status", call_id=agent.call["call_id"], since=0),
    )
