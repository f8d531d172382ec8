"""What an agent is told of who speaks, on the mixer of a call."""

from datetime import datetime, timedelta

import numpy as np

from chamade_mcp.audio.call import CallMixer
from chamade_mcp.audio.frame import FRAME_S, AudioFormat
from chamade_mcp.audio.judges import Judge
from chamade_mcp.audio.port import PortPair
from chamade_mcp.audio.voice import MarkPassed, VoiceNews
from chamade_mcp.audio.wire import Wire
from chamade_mcp.core.speech_reports import SpeechReports
from chamade_mcp.kit.testing import VirtualClock
from chamade_mcp.model.ids import ParticipantRef
from tests.support.judges import LOUD, Lender

WIDE = AudioFormat(48_000)
ANN = ParticipantRef("ann")


class CountingLender(Lender):
    def __init__(self) -> None:
        super().__init__()
        self.prepared = 0

    def prepare(self) -> None:
        self.prepared += 1

    @property
    def out(self) -> list[Judge]:
        return [judge for judge in self.lent if judge not in self.back]


class Call:
    """One agent, and Ann on a leg of her own."""

    def __init__(self) -> None:
        self.lender = CountingLender()
        self.mixer = CallMixer(WIDE, judges=self.lender)
        self.pipe = PortPair(WIDE)
        self.mixer.add_leg(ANN, self.pipe.near)
        self.clock = VirtualClock()
        self.now = self.clock.monotonic()
        self.people = {ANN: "Ann"}
        self.told: list[Wire] = []
        self.heard: list[bytes] = []
        self.news: list[VoiceNews] = []
        self.agent = self.mixer.add_agent(self.heard.append, tell=self.news.append)
        self.reports = SpeechReports(self.agent, self.people, self.clock, self.told.append)

    def beats(self, seconds: float, level: int = 0) -> None:
        sound = np.full(960, level, np.int16)
        sound[::40] *= -1
        for _ in range(round(seconds / FRAME_S)):
            self.now += FRAME_S
            self.clock.jump(FRAME_S)
            self.mixer.gather(self.now)
            if level:
                self.pipe.far.push(sound, self.now)
            self.pipe.far.pull(960, self.now)
            self.mixer.deliver(self.now)

    def say(self, seconds: float) -> None:
        self.agent.push_pcm(np.full(round(seconds * 48_000), 500, np.int16).tobytes(), self.now)


def test_nothing_is_told_and_nothing_judged_unless_asked_for() -> None:
    call = Call()
    call.agent.configure(receive=True)
    call.say(3.0)
    call.beats(1.0, LOUD)
    assert call.told == []
    assert (call.lender.prepared, call.lender.lent) == (0, [])
    assert call.agent.buffered_s > 1.9


def test_who_speaks_from_when_to_when() -> None:
    call = Call()
    call.agent.configure(receive=True)
    call.reports.configure(True, None)
    start = call.clock.now()
    call.beats(1.0)
    call.beats(1.0, LOUD)
    call.beats(1.0)
    started, stopped = call.told
    assert started == started | {"type": "speech_started", "participant": "ann", "name": "Ann"}
    assert stopped == stopped | {"type": "speech_stopped", "participant": "ann", "name": "Ann"}
    for message, due_ms in ((started, 1_000), (stopped, 2_000)):
        at_ms, stamp = message["at_ms"], message["timestamp"]
        assert isinstance(at_ms, int)
        assert isinstance(stamp, str)
        assert abs(at_ms - due_ms) <= 60
        late = datetime.fromisoformat(stamp) - start - timedelta(milliseconds=due_ms)
        assert abs(late) <= timedelta(milliseconds=60)
    heard = np.frombuffer(b"".join(call.heard), np.int16)
    assert isinstance(started["at_ms"], int)
    assert not heard[: (started["at_ms"] - 60) * 48].any()
    assert heard[(started["at_ms"] + 60) * 48 :].any()


def test_the_place_in_separate_sounds_is_on_their_clock() -> None:
    call = Call()
    call.beats(5.0)
    call.agent.configure(receive="participants")
    call.reports.configure(True, None)
    call.beats(1.0)
    call.beats(0.5, LOUD)
    [started] = call.told
    assert isinstance(started["at_ms"], int)
    assert abs(started["at_ms"] - 1_000) <= 60


def test_an_agent_that_gets_no_sound_is_told_no_place() -> None:
    call = Call()
    call.reports.configure(True, None)
    call.beats(0.5, LOUD)
    assert [(one["type"], one["at_ms"]) for one in call.told] == [("speech_started", None)]


def test_a_name_is_known_when_they_have_left() -> None:
    call = Call()
    call.reports.configure(True, None)
    call.beats(0.5, LOUD)
    call.people.clear()
    call.mixer.remove_leg(ANN)
    call.beats(1.0)
    assert [(one["type"], one["name"]) for one in call.told] == [
        ("speech_started", "Ann"),
        ("speech_stopped", "Ann"),
    ]


def test_who_was_not_told_to_have_started_is_not_told_to_have_stopped() -> None:
    call = Call()
    other = call.mixer.add_agent(lambda frame: None)
    SpeechReports(other, call.people, call.clock, lambda wire: None).configure(True, None)
    call.beats(0.5, LOUD)
    call.reports.configure(True, None)
    call.beats(1.0)
    assert call.told == []
    call.beats(0.5, LOUD)
    assert [one["type"] for one in call.told] == ["speech_started"]


def test_barge_in_drops_what_is_not_played_and_tells_how_much_was() -> None:
    call = Call()
    call.reports.configure(None, True)
    call.say(1.0)
    call.beats(1.5)  # an earlier sentence, over
    call.agent.mark("none waits")
    call.say(5.0)
    call.agent.mark("end")
    call.beats(1.0)
    call.beats(1.0, LOUD)
    [told] = call.told
    assert (told["type"], told["participant"], told["name"]) == ("barge_in", "ann", "Ann")
    heard_ms, cleared_ms = told["heard_ms"], told["cleared_ms"]
    assert isinstance(heard_ms, int)
    assert isinstance(cleared_ms, int)
    assert abs(heard_ms - 1_080) <= 60
    assert abs(heard_ms + cleared_ms - 5_000) <= 20
    assert [(one.name, one.played) for one in call.news if isinstance(one, MarkPassed)] == [
        ("none waits", True),
        ("end", False),
    ]
    assert call.agent.buffered_s == 0


def test_an_agent_that_says_nothing_is_not_interrupted() -> None:
    call = Call()
    call.reports.configure(True, True)
    call.beats(0.5, LOUD)
    call.say(1.0)
    call.beats(0.5, LOUD)  # Ann goes on; the agent has chosen to speak all the same
    assert [one["type"] for one in call.told] == ["speech_started"]
    assert call.agent.buffered_s > 0


def test_the_last_who_wanted_to_know_gives_the_judges_back() -> None:
    call = Call()
    other = call.mixer.add_agent(lambda frame: None)
    second = SpeechReports(other, call.people, call.clock, lambda wire: None)
    call.reports.configure(True, None)
    second.configure(None, True)
    assert call.lender.prepared == 1
    call.beats(0.5, LOUD)
    assert call.lender.out
    call.reports.configure(False, None)
    call.beats(0.1, LOUD)
    assert call.lender.out
    call.mixer.remove_agent(other)
    assert call.lender.out == []
    call.beats(2.0, LOUD)
    assert len(call.lender.lent) == 1
