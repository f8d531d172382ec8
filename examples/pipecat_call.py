"""A Pipecat pipeline in a call: the transport, and a parrot where recognition, model and voice would be."""

import asyncio
from array import array

from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    EndWorkerFrame,
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.workers.runner import WorkerRunner

from chamade_mcp.client import Audio, CallChat, CallSocket, Client

RATE_HZ = 24_000
AHEAD_S = 0.2
"""Pipecat takes for heard what it has written, so no more than this waits at the gateway."""


class ChamadeInput(BaseInputTransport):
    """What people say as audio frames, what they write as messages, and the call's end as the worker's."""

    def __init__(self, call: CallSocket, params: TransportParams) -> None:
        super().__init__(params)
        self._call = call
        self._hearing: asyncio.Task[None] | None = None

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._hearing = self.create_task(self._hear())

    async def stop(self, frame: EndFrame) -> None:
        await self._hear_no_more()
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        await self._hear_no_more()
        await super().cancel(frame)

    async def _hear(self) -> None:
        async for event in self._call:
            match event:
                case Audio(pcm=pcm, rate_hz=rate_hz):
                    await self.push_audio_frame(InputAudioRawFrame(pcm, rate_hz, 1))
                case CallChat(sender=sender, text=text):
                    await self.push_frame(InputTransportMessageFrame({"sender": sender, "text": text}))
                case _:
                    pass
        self._hearing = None
        await self.push_frame(EndWorkerFrame(), FrameDirection.UPSTREAM)

    async def _hear_no_more(self) -> None:
        if self._hearing is not None:
            await self.cancel_task(self._hearing)
            self._hearing = None


class ChamadeOutput(BaseOutputTransport):
    """Audio into the call, messages into its chat; an interruption takes back what nobody has heard."""

    def __init__(self, call: CallSocket, params: TransportParams) -> None:
        super().__init__(params)
        self._call = call

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        await super().stop(frame)
        await self._call.played()

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        return await self._call.play(frame.audio, ahead_s=AHEAD_S)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            await self._call.clear()

    async def send_message(
        self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame
    ) -> None:
        await self._call.chat(str(frame.message))


class ChamadeTransport(BaseTransport):
    """Put `input()` first and `output()` last in a pipeline. The call's rate is that of both."""

    def __init__(self, call: CallSocket) -> None:
        super().__init__()
        assert call.audio is not None, "this call has no sound"
        rate_hz = call.audio.sample_rate
        params = TransportParams(
            audio_in_enabled=True,
            audio_in_sample_rate=rate_hz,
            audio_out_enabled=True,
            audio_out_sample_rate=rate_hz,
            audio_out_end_silence_secs=0,  # the gateway plays to the end
        )
        self._input, self._output = ChamadeInput(call, params), ChamadeOutput(call, params)

    def input(self) -> ChamadeInput:
        return self._input

    def output(self) -> ChamadeOutput:
        return self._output


class Parrot(FrameProcessor):
    """Says what it heard after half a second of quiet, and stops for whoever speaks. Greets in the chat."""

    LOUD, QUIET_FRAMES = 500, 25

    def __init__(self) -> None:
        super().__init__()
        self._heard = bytearray()
        self._quiet = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            await self._listen(frame)
        elif isinstance(frame, InputTransportMessageFrame):
            await self.push_frame(OutputTransportMessageUrgentFrame(f"Hello {frame.message['sender']}!"))
        else:
            await self.push_frame(frame, direction)

    async def _listen(self, frame: InputAudioRawFrame) -> None:
        if max(array("h", frame.audio)) >= self.LOUD:
            if not self._heard:
                await self.broadcast_interruption()
            self._heard += frame.audio
            self._quiet = 0
        elif self._heard:
            self._quiet += 1
            if self._quiet == self.QUIET_FRAMES:
                said, self._heard = bytes(self._heard), bytearray()
                await self.push_frame(TTSAudioRawFrame(said, frame.sample_rate, 1))


async def main() -> None:
    async with Client() as client:
        call = await client.calls.join("web", agent_name="Parrot")
        print("Meet the parrot:", call.meeting_url, flush=True)
        async with client.call(call, rate_hz=RATE_HZ) as socket:
            transport = ChamadeTransport(socket)
            pipeline = Pipeline([transport.input(), Parrot(), transport.output()])
            rates = PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ)
            runner = WorkerRunner()
            await runner.add_workers(PipelineWorker(pipeline, params=rates))
            await runner.run()  # until the call is over


if __name__ == "__main__":
    asyncio.run(main())
