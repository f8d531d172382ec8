"""examples/realtime_call.py against a model that behaves as documented, checked by the types of `openai`."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tests.support.example import ROOT, running, running_example
from tests.support.people import person
from tests.support.pip import pip_installed
from tests.support.visitors import frequency, open_house, tone

PACKAGES = ["openai==3.52.0", "websockets"]
MODEL = Path(__file__).with_name("realtime_model.py")
KEY = "sk-of-the-model"


async def test_the_model_speaks_is_interrupted_and_told_what_was_heard(tmp_path: Path) -> None:
    python = pip_installed(ROOT / "build" / "openai", PACKAGES)
    async with (
        open_house(tmp_path) as house,
        running(python, MODEL) as ada,
        running_example(
            "realtime_call.py", house, REALTIME_URL=await ada.line(), REALTIME_API_KEY=KEY
        ) as relay,
    ):
        async with person(await relay.link()) as ann:
            assert await ada.line() == f"KEY Bearer {KEY}"
            await ann.say(tone(0.5))
            assert abs(frequency(await ann.hears(50)) - 1500) < 5
            talking = asyncio.create_task(ann.say(tone(0.5)))
            heard = 50 + await ann.hears_nothing(10)
            assert heard < 500  # of 2,000 frames
            await talking
            told, heard_ms = (await ada.line()).split()
            assert told == "TRUNCATED"
            assert abs(int(heard_ms) - heard * 20) <= 60
            assert abs(frequency(await ann.hears(50)) - 1500) < 5
            await ann.write("In writing, please")
            assert await ada.line() == "TEXT Ann writes: In writing, please"
            assert await ada.line() == "ASKED"
            await ann.write("And briefly")
            assert await ada.line() == "TEXT Ann writes: And briefly"
            assert [await ada.line(), await ada.line()] == ["REFUSED", "ASKED"]
        async with house.agent() as agent:
            (call,) = (await agent.get("/api/calls")).json()["calls"]
            record = (await agent.get(f"/api/call/{call['call_id']}")).json()
            assert "[Ada] A tone" in record["transcript"]
            await agent.delete(f"/api/call/{call['call_id']}")
        await relay.ended()


async def test_a_model_that_goes_away_ends_the_call(tmp_path: Path) -> None:
    python = pip_installed(ROOT / "build" / "openai", PACKAGES)
    async with open_house(tmp_path) as house, AsyncExitStack() as with_model:
        ada = await with_model.enter_async_context(running(python, MODEL))
        where = await ada.line()
        async with running_example("realtime_call.py", house, REALTIME_URL=where) as relay:
            await relay.link()
            await with_model.aclose()
            assert await relay.line() == "The model has gone away"
            await relay.ended()
        async with house.agent() as agent:
            assert (await agent.get("/api/calls")).json()["calls"] == []
