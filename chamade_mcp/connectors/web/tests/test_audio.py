"""Sound between people and agents: what is heard by whom, how soon, and what is not sent."""

import numpy as np

from chamade_mcp.audio.frame import Samples
from chamade_mcp.audio.port import AudioPort
from chamade_mcp.connectors.web.seat import TAIL_FRAMES
from chamade_mcp.connectors.web.tests.harness import Page, World, eventually
from chamade_mcp.connectors.web.tests.test_leg import OTHER, agent, person
from chamade_mcp.kit.connector import ROOM, Overheard
from chamade_mcp.kit.ticker import Phase
from chamade_mcp.model.ids import CallId

FRAME = 960


def noise(count: int, seed: int = 1) -> Samples:
    return np.random.default_rng(seed).integers(-9000, 9000, count * FRAME).astype(np.int16)


def framed(samples: Samples) -> list[Samples]:
    return [samples[start : start + FRAME] for start in range(0, len(samples), FRAME)]


class Core:
    """The core's part of the beat: speaks one frame per beat and keeps what it hears, with its time."""

    def __init__(self, world: World, port: AudioPort) -> None:
        self.to_say: list[Samples] = []
        self.heard: list[Samples] = []
        self.said_on: list[int] = []
        self.heard_on: list[int] = []
        """The beats' numbers."""
        self._stats = world.ticker.stats
        self._port = port
        ticker = world.ticker
        self.stops = (
            ticker.register(Phase.GATHER, self._speak),
            ticker.register(Phase.DELIVER, self._listen),
        )

    def _speak(self, at: float) -> None:
        if self.to_say:
            self._port.push(self.to_say.pop(0), at)
            self.said_on.append(self._stats.beats)

    def _listen(self, at: float) -> None:
        frame = self._port.pull(FRAME, at)
        if frame is not None:
            self.heard.append(frame)
            self.heard_on.append(self._stats.beats)

    def close(self) -> None:
        for stop in self.stops:
            stop()


async def speak(page: Page, samples: Samples, bytes_at_once: int = FRAME * 2) -> None:
    raw = samples.tobytes()
    for start in range(0, len(raw), bytes_at_once):
        await page.socket.send(raw[start : start + bytes_at_once])


def within_stream(part: Samples, whole: list[Samples]) -> bool:
    """Whether `part` is heard unchanged and without a gap."""
    return part.tobytes() in np.concatenate(whole).tobytes() if whole else False


async def test_an_agent_hears_a_person_sample_for_sample(world: World) -> None:
    token = await world.room()
    async with person(world, token) as ann, agent(world, token) as leg:
        core = Core(world, leg.ports()[ROOM])
        said = noise(10)
        await speak(ann, said, bytes_at_once=1234)
        await eventually(lambda: within_stream(said, core.heard))
        core.close()


async def test_a_person_hears_an_agent_sample_for_sample(world: World) -> None:
    token = await world.room()
    async with person(world, token) as ann, agent(world, token) as leg:
        await ann.expect("joined")
        core = Core(world, leg.ports()[ROOM])
        said = framed(noise(20))
        core.to_say = list(said)
        await ann.frames(20)
        assert [frame.tobytes() for frame in said] == ann.audio[:20]
        core.close()


async def test_a_room_is_crossed_within_one_beat(world: World) -> None:
    token = await world.room()
    async with (
        agent(world, token) as ada,
        agent(world, token, "Bob", call=CallId("call_2"), scope=OTHER) as bob,
    ):
        one, two = Core(world, ada.ports()[ROOM]), Core(world, bob.ports()[ROOM])
        one.to_say = framed(noise(10))
        await eventually(lambda: len(two.heard) == 10)
        assert two.heard_on == one.said_on
        one.close()
        two.close()


async def test_people_and_agents_hear_the_sum_of_the_others(world: World) -> None:
    token = await world.room()
    async with (
        person(world, token, "Ann") as ann,
        person(world, token, "Ben") as ben,
        agent(world, token) as ada,
        agent(world, token, "Bob", call=CallId("call_2"), scope=OTHER) as bob,
    ):
        one, two = Core(world, ada.ports()[ROOM]), Core(world, bob.ports()[ROOM])
        first, second = noise(8, 1), noise(8, 2)
        one.to_say, two.to_say = framed(first), framed(second)
        both = first + second
        await ann.frames(8)
        assert b"".join(ann.audio[:8]) == both.tobytes()
        assert b"".join((await ben.frames(8))[:8]) == both.tobytes()
        assert within_stream(second, one.heard)
        assert within_stream(first, two.heard)
        one.close()
        two.close()


async def test_each_person_is_heard_apart_while_somebody_wants_it(world: World) -> None:
    token = await world.room()
    async with (
        person(world, token, "Ann") as ann,
        person(world, token, "Ben") as ben,
        agent(world, token) as ada,
        agent(world, token, "Bob", call=CallId("call_2"), scope=OTHER) as bob,
    ):
        core = Core(world, bob.ports()[ROOM])
        heard: dict[str, list[Samples]] = {}
        assert isinstance(ada, Overheard)
        ada.overhear(lambda ref, samples: heard.setdefault(ref, []).append(samples))
        said = {"ann": noise(10, 1), "ben": noise(10, 2), "bob": noise(10, 3)}
        core.to_say = framed(said["bob"])
        await speak(ann, said["ann"])
        await speak(ben, said["ben"])
        await eventually(lambda: len(heard) == 3 and all(len(frames) >= 10 for frames in heard.values()))
        for sound in said.values():
            assert sum(within_stream(sound, frames) for frames in heard.values()) == 1
        ada.overhear(None)
        heard.clear()
        await speak(ann, noise(5))
        await eventually(lambda: len(core.heard) >= 15)
        assert heard == {}
        core.close()


async def test_nobody_hears_themselves_or_a_muted_microphone(world: World) -> None:
    token = await world.room()
    async with person(world, token, "Ann") as ann, agent(world, token) as leg:
        core = Core(world, leg.ports()[ROOM])
        await ann.say("mute", muted=True)
        await ann.expect("changed")
        await speak(ann, noise(5))
        await ann.say("mute", muted=False)
        await ann.expect("changed")
        said = noise(5, 2)
        await speak(ann, said)
        await eventually(lambda: within_stream(said, core.heard))
        assert np.concatenate(core.heard)[: len(said)].tobytes() == said.tobytes()
        await ann.until_ping("chat")
        assert ann.audio == []
        core.close()


async def test_muting_takes_back_what_was_not_heard_yet(world: World) -> None:
    token = await world.room()
    async with person(world, token) as ann, agent(world, token) as leg:
        core = Core(world, leg.ports()[ROOM])
        await speak(ann, noise(18))
        await ann.say("mute", muted=True)
        await ann.say("mute", muted=False)
        said = noise(3, 2)
        await speak(ann, said)
        await eventually(lambda: within_stream(said, core.heard))
        assert len(core.heard) < 18
        core.close()


async def test_silence_is_not_sent_and_a_silent_room_leaves_the_clock(world: World) -> None:
    token = await world.room()
    async with person(world, token, "Ann") as ann, person(world, token, "Ben") as ben:
        assert world.ticker.stats.beats == 0
        said = noise(10)
        await speak(ben, said)
        await ann.frames(10 + TAIL_FRAMES)
        assert said.tobytes() in b"".join(ann.audio)
        assert not any(b"".join(ann.audio[-TAIL_FRAMES:]))
        await eventually(lambda: at_rest(world))
        beats = world.ticker.stats.beats
        assert beats < 150
        await ann.until_ping("chat")
        assert len(ann.audio) <= 10 + 1 + TAIL_FRAMES
        await speak(ben, said)
        ann.audio.clear()
        await ann.frames(10)
        assert world.ticker.stats.beats > beats


def at_rest(world: World) -> bool:
    """No room is registered: only a beat of our own would be."""
    return not any(world.ticker._phases)  # pyright: ignore[reportPrivateUsage]


async def test_levels_follow_the_voice(world: World) -> None:
    token = await world.room()
    async with person(world, token, "Ann") as ann, agent(world, token) as leg:
        joined = (await ann.expect("joined"))["participant"]["id"]
        core = Core(world, leg.ports()[ROOM])
        core.to_say = framed(np.full(FRAME * 25, 16384, np.int16))
        levels = (await ann.expect("levels"))["levels"]
        assert levels == {joined: 0.5}
        while levels:
            levels = (await ann.expect("levels"))["levels"]
            assert not levels or 0 < levels[joined] <= 0.5
        core.close()


async def test_a_slow_store_does_not_hold_up_the_voice(world: World) -> None:
    token = await world.room()
    async with person(world, token) as ann, agent(world, token) as leg:
        core = Core(world, leg.ports()[ROOM])
        world.core.open.clear()
        await ann.say("chat", key="1", text="hi")
        await eventually(lambda: world.core.waiting > 0)
        said = noise(5)
        await speak(ann, said)
        await eventually(lambda: within_stream(said, core.heard))
        assert world.core.waiting > 0
        world.core.open.set()
        await ann.expect("ack")
        core.close()


async def test_audio_in_a_private_chat_is_refused(world: World) -> None:
    token, _ = await world.chat()
    async with person(world, token) as page:
        await speak(page, noise(1))
        assert (await page.expect("error"))["code"] == "INVALID_MESSAGE"
