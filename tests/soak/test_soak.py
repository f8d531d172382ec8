"""Hours of a busy room. `make soak` gives it more of them than `make test`: SOAK_HOURS says how many."""

import gc
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.soak.peers import Said, Weather, producer, sentences
from tests.soak.world import Agent, Person, Stream, World, check_counts

HOURS = float(os.environ.get("SOAK_HOURS", "0.15"))
RATE_HZ = 8_000

CALM = {
    "slow clock": Weather(-200.0),
    "fast clock": Weather(200.0, chunk_s=0.01),
}
ROUGH = {
    "lossy": Weather(-150.0, jitter_s=0.01, loss_begins=0.004),
    "stalling": Weather(200.0, stall_every_s=20.0, stall_s=0.35),
    "changing devices": Weather(120.0, device_every_s=30.0),
    "everything": Weather(
        -200.0, jitter_s=0.015, loss_begins=0.002, stall_every_s=40.0, device_every_s=60.0, chunk_s=0.06
    ),
}
LIVE_AGENTS = {
    "streaming agent": Weather(200.0, jitter_s=0.005, stall_every_s=30.0, stall_s=0.35),
    "agent of long stalls": Weather(-200.0, stall_every_s=60.0, stall_s=1.5),
}
"""More than 0.4 s at once may as well be a sentence, so it is played whole: that delay stays for a while."""


@dataclass
class Soaked:
    """What is left to look at."""

    world: World
    people: dict[str, Person]
    streaming: dict[str, Agent]
    speaking: Agent
    said: Said
    growth_blocks: int
    growth_kb: int


@pytest.fixture(scope="module")
def soaked() -> Soaked:
    world = World(RATE_HZ)
    people = {name: Person(world, name) for name in {**CALM, **ROUGH}}
    for seed, (name, weather) in enumerate({**CALM, **ROUGH}.items()):
        person = people[name]
        world.live(producer(weather, RATE_HZ, person.stream, person.push, seed))
    streaming = {name: Agent(world, name, 16_000) for name in LIVE_AGENTS}
    for seed, (name, weather) in enumerate(LIVE_AGENTS.items(), 7):
        world.live(producer(weather, 16_000, streaming[name].stream, streaming[name].push, seed))
    speaking, said = Agent(world, "speaking agent", 24_000), Said()
    world.live(sentences(speaking, 24_000, said, 10))
    world.live(sentences(speaking, 22_050, said, 11))
    world.run(HOURS * 3600 / 4)
    blocks, kb = memory()
    world.run(HOURS * 3600 * 3 / 4)
    blocks_after, kb_after = memory()
    return Soaked(world, people, streaming, speaking, said, blocks_after - blocks, kb_after - kb)


def memory() -> tuple[int, int]:
    """Of Python's own objects, and of the process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return sys.getallocatedblocks(), pages * os.sysconf("SC_PAGE_SIZE") // 1024


def seconds(stream: Stream, samples: int) -> float:
    return samples / stream.rate_hz


def test_counts_add_up_for_everybody(soaked: Soaked) -> None:
    for stream in soaked.world.streams:
        check_counts(stream, stream.stats())
        assert stream.given > 0


def test_clocks_that_drift_cost_nothing(soaked: Soaked) -> None:
    for name in CALM:
        stats = soaked.people[name].microphone.stats
        assert (stats.underruns, stats.dropped, stats.trimmed) == (0, 0, 0), name
        assert seconds(soaked.people[name].stream, stats.padded) <= 0.02, "the end of it at most"


@pytest.mark.parametrize("name", [*CALM, *ROUGH])
def test_a_microphones_delay_comes_back_to_normal(soaked: Soaked, name: str) -> None:
    assert soaked.people[name].stream.windows == int(HOURS * 120)
    assert soaked.people[name].stream.delay_s < 0.1


@pytest.mark.parametrize(("name", "most_s"), [("streaming agent", 0.1), ("agent of long stalls", 1.6)])
def test_an_agent_that_streams_has_no_growing_delay(soaked: Soaked, name: str, most_s: float) -> None:
    stream = soaked.streaming[name].stream
    assert stream.delay_s < most_s
    assert stream.stats().dropped == 0
    assert stream.stats().underruns <= stream.harm


@pytest.mark.parametrize("name", list(ROUGH))
def test_a_stream_runs_dry_only_when_it_was_broken_off(soaked: Soaked, name: str) -> None:
    stream = soaked.people[name].stream
    stats = stream.stats()
    assert stats.underruns <= stream.harm
    assert seconds(stream, stats.padded) <= 0.02 * (stream.harm + 1)
    assert stream.harm > HOURS * 40, "rough enough"


def test_sentences_are_played_whole_and_marks_told_once(soaked: Soaked) -> None:
    agent, stats, said = soaked.speaking, soaked.speaking.stream.stats(), soaked.said
    assert stats.dropped == 0
    # After a pause, half a second at once may as well be a live stream that had stalled: a period may go.
    assert stats.trimmed < 0.0005 * stats.pushed
    assert stats.shortened + stats.stretched < said.marks / 50
    assert agent.marks_told + agent.audio.stats.marks == said.marks
    assert said.clears > 0
    assert 0 < agent.marks_cut_off < said.marks


def test_everybody_hears_on_every_beat(soaked: Soaked) -> None:
    for agent in soaked.world.agents:
        assert agent.heard == soaked.world.beats * agent.rate_hz // 50
    for person in soaked.people.values():
        assert person.heard > 0.95 * soaked.world.beats


def test_memory_is_flat(soaked: Soaked) -> None:
    assert soaked.growth_blocks < 5_000
    # Libraries that are first needed late, and what waits just then; a byte lost with each sample were more.
    assert soaked.growth_kb < 16_000


def test_an_hour_of_all_troubles_alone() -> None:
    world = World(RATE_HZ)
    person = Person(world, "everything")
    world.live(producer(ROUGH["everything"], RATE_HZ, person.stream, person.push, 1))
    world.run(max(1.0, HOURS) * 3600)
    stats = person.microphone.stats
    check_counts(person.stream, stats)
    assert person.stream.delay_s < 0.1
    assert stats.underruns <= person.stream.harm
    assert stats.dropped < 0.001 * stats.pushed
    assert stats.pulled > 0.99 * stats.pushed
