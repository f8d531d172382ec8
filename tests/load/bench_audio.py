"""What a call's audio costs, as ratios against baselines of the same run: `python tests/load/bench_audio.py`.

A call here is one 48 kHz leg and one agent at 24 kHz, both speaking without a pause and both heard.
A beat is 20 ms. The floor copies the same PCM in and out and does nothing else. LiveKit's classes do the same
conversions and the same mix (livekit_audio.py), in blocks of a beat and in their usual ones of 100 ms.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from chamade_mcp.audio.call import CallMixer
from chamade_mcp.audio.frame import FRAME_S, AudioFormat, Samples
from chamade_mcp.audio.mixer import Mixer
from chamade_mcp.audio.port import PortPair
from chamade_mcp.audio.resample import Engine, make_resampler
from chamade_mcp.model.ids import ParticipantRef
from tests.support.pip import pip_installed

LIVEKIT = ["livekit==1.1.21", "numpy==2.4.6"]
ROOM = AudioFormat(48_000)
AGENT = AudioFormat(24_000)
BEATS = 400

Beat = Callable[[float], None]


def noise(format: AudioFormat) -> Samples:
    return np.random.default_rng(1).integers(-9_000, 9_000, format.frame_samples).astype(np.int16)


class SpeakingCall:
    """Both sides speak on every beat."""

    def __init__(self) -> None:
        self.mixer = CallMixer(ROOM)
        self.pipe = PortPair(ROOM)
        self.mixer.add_leg(ParticipantRef("room"), self.pipe.near)
        self.agent = self.mixer.add_agent(lambda frame: None, AGENT.rate_hz)
        self.agent.configure(receive=True)
        self.said = noise(AGENT).tobytes()
        self.room = noise(ROOM)

    def beat(self, at: float) -> None:
        self.agent.push_pcm(self.said, at - 0.01)
        self.mixer.gather(at)
        self.pipe.far.push(self.room, at)
        self.pipe.far.pull(ROOM.frame_samples, at)
        self.mixer.deliver(at)


class SilentCall(SpeakingCall):
    """Joined and listening, nobody speaks."""

    def beat(self, at: float) -> None:
        self.mixer.gather(at)
        self.pipe.far.pull(ROOM.frame_samples, at)
        self.mixer.deliver(at)


def bare(engine: Engine) -> Beat:
    """The arithmetic alone: convert up, mix with the room, convert the room down."""
    up, down = make_resampler(24_000, 48_000, engine), make_resampler(48_000, 24_000, engine)
    said, room = noise(AGENT).tobytes(), noise(ROOM)

    def beat(at: float) -> None:
        voice = up.push(np.frombuffer(said, np.int16))
        np.add(voice, room, dtype=np.int32).clip(-32_768, 32_767).astype(np.int16)
        down.push(room).tobytes()

    return beat


def floor() -> Beat:
    said, room = noise(AGENT).tobytes(), noise(ROOM)

    def beat(at: float) -> None:
        np.frombuffer(said, np.int16).copy()
        room.copy()
        room.tobytes()

    return beat


def meeting(members: int, speakers: int) -> Beat:
    mixer: Mixer[int] = Mixer(ROOM)
    frame = noise(ROOM)
    for key in range(members):
        says = frame if key < speakers else None
        mixer.add(key, lambda count, at, says=says: says, lambda samples, at: None)

    def beat(at: float) -> None:
        mixer.tick(at)

    return beat


def cost_us(beat: Beat, beats: int = BEATS) -> float:
    """Microseconds a beat, the best of seven runs: what others do on the machine only adds."""
    runs: list[float] = []
    at = 0.0
    for _ in range(7):
        started = time.perf_counter()
        for _ in range(beats):
            at += FRAME_S
            beat(at)
        runs.append((time.perf_counter() - started) / beats * 1e6)
    return min(runs)


def many(calls: list[SpeakingCall]) -> Beat:
    def beat(at: float) -> None:
        for call in calls:
            call.beat(at)

    return beat


def compare_with_livekit(bare_us: float, call_us: float) -> None:
    python = pip_installed(Path(__file__).parents[2] / "build" / "livekit-audio", LIVEKIT)
    command = [python, Path(__file__).with_name("livekit_audio.py")]
    theirs = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    for name, us in theirs.items():
        print(
            f"livekit, {name:27s} {us:8.1f} us a beat; our bare conversion and mix {bare_us / us:.2f} of it, "
            f"a whole call {call_us / us:.2f}"
        )


def main() -> None:
    lowest = cost_us(floor(), 5_000)
    ours, theirs = cost_us(bare("polyphase"), 1_000), cost_us(bare("samplerate"), 200)
    other = cost_us(bare("swresample"), 1_000)
    print(f"floor (copies)                       {lowest:8.1f} us a beat     1.0")
    print(f"convert and mix, polyphase           {ours:8.1f} us a beat  {ours / lowest:6.1f}")
    print(f"convert and mix, swresample          {other:8.1f} us a beat  {other / lowest:6.1f}")
    print(f"convert and mix, sinc_medium         {theirs:8.1f} us a beat  {theirs / lowest:6.1f}")
    print(f"sinc_medium / polyphase              {theirs / ours:8.1f}")
    compare_with_livekit(ours, cost_us(SpeakingCall().beat, 1_000))
    for count in (1, 10, 100):
        speaking = cost_us(many([SpeakingCall() for _ in range(count)]), 400 // count + 20) / count
        silent = cost_us(many([SilentCall() for _ in range(count)]), 400 // count + 20) / count
        print(
            f"{count:4d} calls, a call and beat: {speaking:6.1f} us speaking ({speaking / ours:.2f} of bare"
            f" conversion), {silent:.1f} us silent; a core holds {20_000 / speaking:.0f} speaking"
        )
    for members, speakers in ((3, 1), (10, 1), (10, 3), (100, 5)):
        mixing = cost_us(meeting(members, speakers))
        print(f"meeting of {members:3d}, {speakers} speaking:     {mixing:6.1f} us a beat")


if __name__ == "__main__":
    main()
