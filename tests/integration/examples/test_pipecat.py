"""examples/pipecat_call.py with the real Pipecat: what goes into its pipeline and what comes out is heard."""

import asyncio
from pathlib import Path

from tests.support.example import ROOT, running_example
from tests.support.people import person
from tests.support.pip import pip_installed
from tests.support.visitors import frequency, open_house, tone

PACKAGES = ["pipecat-ai==1.14.0", "httpx2", "websockets"]


async def test_the_parrot_repeats_is_interrupted_and_ends_with_the_call(tmp_path: Path) -> None:
    python = pip_installed(ROOT / "build" / "pipecat", PACKAGES)
    async with (
        open_house(tmp_path) as house,
        running_example("pipecat_call.py", house, python=python) as parrot,
    ):
        async with person(await parrot.link()) as ann:
            await ann.write("Anybody there?")
            assert await ann.reads() == "Hello Ann!"
            await ann.say(tone(3.0))
            assert abs(frequency(await ann.hears(25)) - 1000) < 5
            talking = asyncio.create_task(ann.say(tone(0.5, frequency_hz=600)))
            assert await ann.hears_nothing(10) < 110  # of the 125 frames that were left
            await talking
            assert abs(frequency(await ann.hears(15)) - 600) < 5
        async with house.agent() as agent:
            (call,) = (await agent.get("/api/calls")).json()["calls"]
            await agent.delete(f"/api/call/{call['call_id']}")
        await parrot.ended()
