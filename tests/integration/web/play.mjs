// Runs the page's playback worklet under a clock of its own: frames come when the plan on stdin says, and 128
// samples are taken at a time. Prints what was played and the worklet's last report.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { worklet, rate_hz: rate, frames, seconds } = JSON.parse(readFileSync(0, "utf8"));
let Processor;
let report = {};
const ports = { sound: {}, page: { postMessage: (told) => (report = told) } };
Object.assign(globalThis, {
  sampleRate: rate,
  currentFrame: 0,
  AudioWorkletProcessor: class {
    port = ports.page;
  },
  registerProcessor: (_, registered) => (Processor = registered),
});
await import(pathToFileURL(worklet));
const processor = new Processor();
processor.port.onmessage({ data: { port: ports.sound } });
const played = new Int16Array(Math.floor((seconds * rate) / 128) * 128);
for (let at = 0, next = 0; at < played.length; at += 128) {
  globalThis.currentFrame = at;
  for (; next < frames.length && frames[next].at * rate <= at; next += 1) {
    const sound = Buffer.from(frames[next].pcm, "base64");
    ports.sound.onmessage({ data: sound.buffer.slice(sound.byteOffset, sound.byteOffset + sound.length) });
  }
  const output = new Float32Array(128);
  processor.process([], [[output]]);
  for (let i = 0; i < 128; i += 1) played[at + i] = Math.round(output[i] * 32768);
}
process.stdout.write(JSON.stringify({ pcm: Buffer.from(played.buffer).toString("base64"), report }));
