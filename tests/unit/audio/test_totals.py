"""What became of all sound, those who left included."""

import numpy as np
import pytest

from chamade_mcp.audio.call import CallMixer
from chamade_mcp.audio.frame import AudioFormat
from chamade_mcp.audio.port import PortPair
from chamade_mcp.audio.totals import SoundTotals
from chamade_mcp.model.ids import ParticipantRef

NATIVE = AudioFormat(48_000)
ROOM = ParticipantRef("room")


def test_what_was_said_and_heard_is_counted_beyond_the_call() -> None:
    totals = SoundTotals()
    mixer, pipe = CallMixer(NATIVE, totals=totals), PortPair(NATIVE)
    mixer.add_leg(ROOM, pipe.near)
    agent = mixer.add_agent(lambda pcm: None)
    agent.push_pcm(np.zeros(480 * 10, dtype="<i2").tobytes(), 0.0)
    for beat in range(5):
        mixer.gather(0.02 * beat)
        mixer.deliver(0.02 * beat)
    alive = totals.read()
    assert alive[0]["agent", "pushed"] == pytest.approx(0.1)
    assert alive[0]["agent", "pulled"] + alive[0]["agent", "trimmed"] > 0
    assert alive[0]["heard", "pushed"] > 0
    mixer.remove_agent(agent)
    mixer.remove_leg(ROOM)
    mixer.remove_leg(ROOM)
    mixer.remove_agent(agent)
    assert totals.read() == alive
