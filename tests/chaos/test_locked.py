"""Somebody else holds the database: what cannot be stored is refused, and nothing is promised."""

import asyncio
import time

import httpx2

from tests.chaos.checks import CATCH_UP_S, all_is_well
from tests.chaos.conftest import Scene
from tests.chaos.scale import LOCKED_S
from tests.support.locked import locked
from tests.support.waiting import until

READ_WITHIN_S = 4.0
"""Below the 5 s for which writing waits."""
GOING_ON = 50
"""Messages before it is locked, and after."""


async def test_nothing_is_promised_while_the_database_is_locked(chaos: Scene) -> None:
    traffic = chaos.traffic
    async with traffic.going_on() as going_on:
        await until(lambda: going_on.done() or traffic.accepted >= GOING_ON, bound_s=CATCH_UP_S)
        with locked(chaos.database):
            frozen = {one.text for one in chaos.stored()}
            await read_for(LOCKED_S, chaos.api)
            promised = {text for one in traffic.everybody for text in one.answers.accepted}
        assert promised <= frozen, "what was answered with 200 or 202 was not stored"
        reached = traffic.accepted + GOING_ON
        await until(lambda: going_on.done() or traffic.accepted >= reached, bound_s=CATCH_UP_S)
        assert await all_is_well(chaos, going_on) == {"steady": 0, "forgetful": 0}
    for side in (traffic.people, traffic.agents):
        refused = [answer for one in side for answer in one.answers.refused.values()]
        assert refused, "nobody was refused, so nothing was tested"
        for answer in refused:
            assert (answer.status_code, answer.json()["code"]) == (503, "DATABASE_BUSY"), answer.text
            assert answer.json()["outcome"] == "not_done"
            assert int(answer.headers["retry-after"]) >= 1


async def read_for(seconds: float, api: httpx2.AsyncClient) -> None:
    """Reading does not wait, nor is it refused."""
    end = time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        for path in ("/api/inbox", "/healthz"):
            assert (await api.get(path)).status_code == 200
        assert time.monotonic() - began < READ_WITHIN_S
        await asyncio.sleep(0.1)
