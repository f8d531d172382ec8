// Microphone to 10 ms of s16le at 48,000 Hz at a time (20 would make everybody 10 ms later), and its level every
// 20 ms.

const RATE = 48000;
const FRAME = 480;
const LEVEL_SAMPLES = 960;

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
    this.measured = 0;
    this.live = true;
    // Only where a browser cannot run the microphone at 48 kHz: position between the last two samples.
    this.step = sampleRate / RATE;
    this.at = 0;
    this.previous = 0;
    this.out = null;
    this.port.onmessage = ({ data }) => {
      if (data.port) this.out = data.port;
      else this.live = data.live;
    };
  }

  put(sample) {
    this.energy += sample * sample;
    const value = Math.round(sample * 32767);
    this.frame[this.filled] = value > 32767 ? 32767 : value < -32768 ? -32768 : value;
    this.filled += 1;
    if (this.filled === FRAME) this.ship();
  }

  ship() {
    this.filled = 0;
    this.measured += FRAME;
    if (this.measured >= LEVEL_SAMPLES) {
      this.port.postMessage({ level: Math.sqrt(this.energy / this.measured) });
      this.measured = this.energy = 0;
    }
    if (!this.live || !this.out) return;
    const pcm = this.frame.buffer;
    this.out.postMessage(pcm, [pcm]);
    this.frame = new Int16Array(FRAME);
  }

  process([input]) {
    const samples = input[0];
    if (!samples) return true;
    if (this.step === 1) {
      for (let i = 0; i < samples.length; i += 1) this.put(samples[i]);
      return true;
    }
    for (let i = 0; i < samples.length; i += 1) {
      for (; this.at < 1; this.at += this.step) {
        this.put(this.previous + (samples[i] - this.previous) * this.at);
      }
      this.at -= 1;
      this.previous = samples[i];
    }
    return true;
  }
}

registerProcessor("capture", Capture);
