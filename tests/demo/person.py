"""The person: a real headless Chromium with a WAV file as its microphone, probed at both ends."""

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Page, async_playwright

from tests.demo import signal

RATE_HZ = 48_000
TONE_HZ = 1010.0
MICROPHONE_S = 120.0
"""Chromium repeats the file, with a seam: longer than a measurement takes."""
CHROMIUM = "/usr/bin/chromium"

# Remembers what the page's own graph is made of, so that the probe can be put beside it.
REMEMBER_SOURCES = """
const make = AudioContext.prototype.createMediaStreamSource;
AudioContext.prototype.createMediaStreamSource = function (stream) {
  const source = make.call(this, stream);
  window.demoSource = source;
  return source;
};
"""
# Reports every 128 samples' block with a click at once, and the sound itself in blocks of 960 samples.
PROBE_WORKLET = """
class Probe extends AudioWorkletProcessor {
  constructor() { super(); this.block = new Int16Array(960); this.filled = 0; this.mute = 0; }
  process([input]) {
    const samples = input[0];
    if (!samples) return true;
    for (const sample of samples) {
      if (this.mute > 0) this.mute -= 1;
      else if (Math.abs(sample) > HEARD) { this.port.postMessage({ click: Date.now() }); this.mute = 6000; }
      this.block[this.filled++] = Math.round(sample * 32767);
      if (this.filled === 960) {
        this.port.postMessage({ block: this.block.slice() });
        this.filled = 0;
      }
    }
    return true;
  }
}
registerProcessor("probe", Probe);
""".replace("HEARD", str(signal.CLICK_HEARD))
ATTACH_PROBES = """
async (worklet) => {
  const { context, playbackNode } = window.chamade;
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], { type: "text/javascript" })));
  const ends = { said: window.demoSource, heard: playbackNode };
  window.demoClicks = { said: [], heard: [] };
  window.demoBlocks = [];
  for (const [end, node] of Object.entries(ends)) {
    const probe = new AudioWorkletNode(context, "probe");
    probe.port.onmessage = ({ data }) => {
      if (data.click) window.demoClicks[end].push(data.click / 1000);
      else if (end === "heard" && data.block) window.demoBlocks.push(data.block);
    };
    node.connect(probe).connect(context.destination);
  }
}
"""
TAKE_BLOCKS = """
() => new Promise((resolve) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.split(",", 2)[1]);
  reader.readAsDataURL(new Blob(window.demoBlocks.splice(0)));
})
"""


@dataclass(slots=True)
class Person:
    page: Page
    ear: signal.Ear
    console: list[str]

    async def enter(self, meeting_url: str, name: str) -> None:
        """Opens the link, waits until the microphone is heard, and joins."""
        await self.page.goto(f"{meeting_url}?audio=raw")
        await self.page.get_by_role("textbox", name="Your name").fill(name)
        await self.page.get_by_role("combobox", name="Microphone").wait_for()
        await self.page.get_by_role("button", name="Join", exact=True).click()
        await self.page.get_by_label("People here").get_by_text("AI agent").wait_for()
        await self.page.evaluate(ATTACH_PROBES, PROBE_WORKLET)

    async def write(self, text: str) -> None:
        await self.page.get_by_label("Message everyone").fill(text)
        await self.page.keyboard.press("Enter")

    async def read(self, text: str) -> None:
        """Waits until `text` stands in the chat."""
        await self.page.get_by_label("Messages").get_by_text(text).first.wait_for()

    async def begin_listening(self) -> None:
        """From here on the page keeps what it hears."""
        await self.page.evaluate("() => { window.demoBlocks = []; }")

    async def listen(self) -> None:
        """Takes what the page kept. Only at the end: handing it over takes the page's time."""
        encoded: str = await self.page.evaluate(TAKE_BLOCKS)
        self.ear.hear(np.frombuffer(base64.b64decode(encoded), np.int16), 0.0)

    async def clicks(self) -> dict[str, list[float]]:
        """When its clicks passed the microphone (`said`) and when the agent's came out (`heard`)."""
        return await self.page.evaluate("() => window.demoClicks")

    async def stats(self) -> dict[str, Any]:
        return await self.page.evaluate("() => window.chamade.stats()")


@asynccontextmanager
async def person(
    microphone: Path, agent_tone_hz: float, *, viewport: tuple[int, int] = (1280, 800), scheme: str = "light"
) -> AsyncGenerator[Person]:
    signal.write_wav(microphone, signal.voice(RATE_HZ, MICROPHONE_S, TONE_HZ), RATE_HZ)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--use-fake-device-for-media-stream",
                "--use-fake-ui-for-media-stream",
                f"--use-file-for-fake-audio-capture={microphone}",
                "--autoplay-policy=no-user-gesture-required",
                "--disable-background-networking",
            ],
        )
        page = await browser.new_page(
            viewport={"width": viewport[0], "height": viewport[1]},
            color_scheme="dark" if scheme == "dark" else "light",
            bypass_csp=True,  # only for the probe, which is no part of the page
            permissions=["microphone"],  # with it given, the page listens without asking
        )
        console: list[str] = []
        page.on("console", lambda m: console.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: console.append(str(e)))
        await page.add_init_script(REMEMBER_SOURCES)
        try:
            yield Person(page, signal.Ear(RATE_HZ, agent_tone_hz), console)
        finally:
            await browser.close()
