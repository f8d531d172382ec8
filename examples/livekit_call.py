"""A LiveKit agent in a call: its audio input and output, and a parrot where its models would be."""

import asyncio
import time
from array import array
from collections.abc import AsyncIterator

from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice import io

from chamade_mcp.client import Audio, CallSocket, Client

RATE_HZ = 24_000
AHEAD_S = 0.2


class ChamadeAudioInput(io.AudioInput):
    """Everybody else in the call, 20 ms at a time. `over` is set when the call is."""

    def __init__(self, call: CallSocket) -> None:
        super().__init__(label="Chamade")
        self._call = call
        self.over = asyncio.Event()

    async def __anext__(self) -> rtc.AudioFrame:
        async for event in self._call:
            if isinstance(event, Audio):
                return rtc.AudioFrame(event.pcm, event.rate_hz, 1, len(event.pcm) // 2)
        self.over.set()
        raise StopAsyncIteration


class ChamadeAudioOutput(io.AudioOutput):
    """Into the call. What was heard of an interrupted segment is told to the sample."""

    def __init__(self, call: CallSocket) -> None:
        assert call.audio is not None, "this call has no sound"
        super().__init__(
            label="Chamade",
            capabilities=io.AudioOutputCapabilities(pause=False),
            sample_rate=call.audio.sample_rate,
        )
        self._call = call
        self._sent_s: float | None = None
        """Of the segment that is being captured."""
        self._clearing: asyncio.Task[int] | None = None
        self._finishing: asyncio.Task[None] | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self._sent_s is None:
            self._sent_s, self._clearing = 0.0, None
            self.on_playback_started(created_at=time.time())
        if await self._call.play(bytes(frame.data), ahead_s=AHEAD_S):
            self._sent_s += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._sent_s is not None:
            self._finishing = asyncio.create_task(self._finish(self._sent_s))
            self._sent_s = None

    def clear_buffer(self) -> None:
        self._clearing = asyncio.create_task(self._call.clear())

    async def _finish(self, sent_s: float) -> None:
        """Once the segment has been played, or what was left of it taken back."""
        await self._call.played()
        cleared_s = await self._clearing / 1000 if self._clearing else 0.0
        self.on_playback_finished(
            playback_position=max(0.0, sent_s - cleared_s), interrupted=self._clearing is not None
        )


class Parrot(io.AudioInput):
    """Hears what the session hears; says it after half a second of quiet, and stops for whoever speaks."""

    LOUD, QUIET_FRAMES = 500, 25

    def __init__(self, source: io.AudioInput, session: AgentSession) -> None:
        super().__init__(label="Parrot", source=source)
        self._session = session
        self._heard: list[rtc.AudioFrame] = []
        self._quiet = 0

    async def __anext__(self) -> rtc.AudioFrame:
        frame = await super().__anext__()
        if max(array("h", bytes(frame.data))) >= self.LOUD:
            if not self._heard:
                await self._session.interrupt()
            self._heard.append(frame)
            self._quiet = 0
        elif self._heard:
            self._quiet += 1
            if self._quiet == self.QUIET_FRAMES:
                self._session.say("(what was heard)", audio=_each(self._heard))
                self._heard = []
        return frame


async def _each(frames: list[rtc.AudioFrame]) -> AsyncIterator[rtc.AudioFrame]:
    for frame in frames:
        yield frame


def _tell(event: io.PlaybackFinishedEvent) -> None:
    how = "interrupted" if event.interrupted else "to its end"
    print(f"Heard {event.playback_position:.2f} s, {how}", flush=True)


async def main() -> None:
    async with Client() as client:
        call = await client.calls.join("web", agent_name="Parrot")
        async with client.call(call, rate_hz=RATE_HZ) as socket:
            session = AgentSession()  # stt, llm, tts and vad are named here
            ears, mouth = ChamadeAudioInput(socket), ChamadeAudioOutput(socket)
            mouth.on("playback_finished", _tell)
            session.input.audio, session.output.audio = Parrot(ears, session), mouth
            await session.start(Agent(instructions=""))
            print("Meet the parrot:", call.meeting_url, flush=True)
            await ears.over.wait()
            await session.aclose()


if __name__ == "__main__":
    asyncio.run(main())
