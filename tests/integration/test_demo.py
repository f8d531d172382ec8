"""The demo as a test: a person in Chromium and an agent over MCP hear and read each other."""

import asyncio

import pytest

from tests.demo import agent, person
from tests.demo.conversation import Report, converse
from tests.demo.signal import TONE_LEVEL

RMS = TONE_LEVEL / 2**0.5
BENT = 0.0012
"""Playout follows the other side's clock by up to 1,000 ppm, and more of it on a busy machine."""


TRIES = 3


@pytest.fixture(scope="module")
def report() -> Report:
    """Of a conversation that the machine had time for; the last of some, should it have none."""
    for _ in range(TRIES - 1):
        report = asyncio.run(converse(6.0))
        if _in_time(report):
            return report
    return asyncio.run(converse(6.0))


def _in_time(report: Report) -> bool:
    few_dropped = report.page["dropped"] <= report.page["frames_received"] * 0.05
    heard = (report.by_agent.latency, report.by_person.latency)
    return few_dropped and all(one.count >= 12 and one.p50 < 200 for one in heard)


def test_they_read_each_other(report: Report) -> None:
    assert report.chat == ["Ann: Hello Ada, can you hear me?"]
    assert report.state["state"] == "active"
    assert report.state["participants"] == ["Ann"]


def test_the_agent_hears_the_person_as_she_sounds(report: Report) -> None:
    assert report.by_agent.tone_hz == pytest.approx(person.TONE_HZ, rel=BENT)
    assert report.by_agent.level == pytest.approx(RMS, rel=0.1)


def test_the_person_hears_the_agent_as_it_sounds(report: Report) -> None:
    assert report.by_person.tone_hz == pytest.approx(agent.TONE_HZ, rel=BENT)
    assert report.by_person.level == pytest.approx(RMS, rel=0.1)


def test_sound_arrives_in_time_to_talk(report: Report) -> None:
    """A bound that holds on a busy machine; `make bench` has the real one."""
    assert _in_time(report), report


def test_the_page_reports_no_error(report: Report) -> None:
    assert report.console == []
