"""Killed again and again amid sends and webhooks of platforms: nothing acknowledged is lost, order is kept,
and what came twice is counted."""

import random

from tests.chaos.checks import CATCH_UP_S, all_is_well
from tests.chaos.conftest import Scene
from tests.chaos.scale import KILLS
from tests.chaos.traffic import PEOPLE
from tests.support.waiting import until

MOST_BETWEEN = 60
"""Messages from one kill to the next."""


async def test_nothing_acknowledged_is_lost(chaos: Scene) -> None:
    chance, traffic = random.Random(20261121), chaos.traffic
    async with traffic.going_on() as going_on:
        for _ in range(KILLS):
            goal = traffic.accepted + chance.randint(1, MOST_BETWEEN)
            await until(lambda goal=goal: going_on.done() or traffic.accepted >= goal, bound_s=CATCH_UP_S)
            await chaos.gateway.kill()
            await chaos.gateway.start()
        again = await all_is_well(chaos, going_on)
    assert again["steady"] == 0
    # One message of each conversation was on its way at most.
    assert again["forgetful"] <= KILLS * len(PEOPLE)
    stored = chaos.stored()
    inbound = sum(one.inbound for one in stored)
    told = f"{KILLS} kills, {inbound} messages in, {len(stored) - inbound} out"
    print(f"\n{told}: none lost; arrived once more: {again}")
