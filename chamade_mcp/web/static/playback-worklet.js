// Frames from the room to the loudspeaker, through a jitter buffer that is as short as the network allows.
//
// `hold` is how long the first frame of a burst waits, so it is what a later frame may be late by. A frame
// that comes later than that is an underrun: sound goes on a step later (the gap itself has made the delay longer)
// and `hold` grows a step, so that one stall does not make the whole call late, but a bad network does. Without
// underruns it shrinks by a tenth every two seconds. What waits longer than that goes: where it is quiet, and
// whole periods of a voice (as audio/hasten.py does). The room sends nothing while all are silent: an empty
// buffer that stays empty for 200 ms is silence, not loss.

const MS = sampleRate / 1000;
const RING = 1 << 17; // 2.7 s at 48 kHz; a power of two, so that positions wrap with a mask
const MASK = RING - 1;
const MIN_HOLD = 15 * MS; // browsers take sound in bursts of 10 ms
const MAX_HOLD = 200 * MS;
const SLACK = 200 * MS; // beyond `hold`: only a stall makes this much, and old sound helps nobody
const IDLE = 200 * MS;
const WINDOW = 1000 * MS;
const CALM = 2000 * MS;
const STEP = 10 * MS;
const TRIM_OVER = 5 * MS;
const QUIET = 0.002;
const OVERLAP = Math.round(5 * MS); // blended where a period is left out
const SHORTEST = Math.round(2.5 * MS);
const LONGEST = Math.round(15 * MS); // a period of a low voice, or several of a higher one
const GAP = 60 * MS; // between two such places
const ALIKE = 0.9; // the least correlation of what is blended: less is an attack or noise, and would be heard
const COARSE = Math.max(1, Math.floor(sampleRate / 8000));

/** How alike `wave` is to what comes `lag` later: normalised correlation of every `step`th sample. */
function likeness(wave, lag, step) {
  let product = 0;
  let here = 0;
  let there = 0;
  for (let i = 0; i < OVERLAP; i += step) {
    const a = wave[i];
    const b = wave[i + lag];
    product += a * b;
    here += a * a;
    there += b * b;
  }
  return product / (Math.sqrt(here * there) + 1e-9);
}

/** The longest lag up to `longest` after which `wave` goes on as from its beginning; 0 where there is none. */
function periodOf(wave, longest) {
  let best = 0;
  for (let lag = SHORTEST; lag <= longest; lag += COARSE) best = Math.max(best, likeness(wave, lag, COARSE));
  if (best < ALIKE * 0.9) return 0; // samples between those looked at may fit better
  let about = longest - ((longest - SHORTEST) % COARSE);
  // Later periods fit a little worse than the first, and leave out more.
  while (likeness(wave, about, COARSE) < best - 0.02) about -= COARSE;
  let found = 0;
  best = ALIKE;
  for (let lag = Math.max(SHORTEST, about - COARSE); lag <= Math.min(longest, about + COARSE); lag += 1) {
    const alike = likeness(wave, lag, 1);
    if (alike >= best) [found, best] = [lag, alike];
  }
  return found;
}

class Playback extends AudioWorkletProcessor {
  constructor() {
    super();
    this.ring = new Float32Array(RING);
    this.read = 0;
    this.written = 0;
    this.hold = MIN_HOLD;
    this.playing = false;
    this.startAt = 0;
    this.emptySince = -IDLE;
    this.calmSince = 0;
    this.windowEnd = 0;
    this.lowest = Infinity;
    this.excess = 0;
    this.wave = new Float32Array(OVERLAP + LONGEST);
    this.hastenAt = 0;
    this.underruns = 0;
    this.dropped = 0;
    this.leftOut = 0;
    this.reportAt = 0;
    this.port.onmessage = ({ data: { port } }) => {
      port.onmessage = ({ data }) => this.take(new Int16Array(data));
    };
  }

  take(samples) {
    if (this.written === this.read && !this.playing) this.wake();
    for (let i = 0; i < samples.length; i += 1) {
      this.ring[(this.written + i) & MASK] = samples[i] / 32768;
    }
    this.written += samples.length;
    const over = this.written - this.read - (this.hold + SLACK);
    if (over > 0) {
      const keep = Math.round(this.hold);
      this.dropped += Math.ceil((this.written - this.read - keep) / (20 * MS));
      this.read = this.written - keep;
    }
  }

  /** The first frame after an empty buffer: late, or the start of something new. */
  wake() {
    const gap = currentFrame - this.emptySince;
    if (gap >= IDLE) {
      this.startAt = currentFrame + this.hold;
      return;
    }
    this.underruns += 1;
    this.hold = Math.min(MAX_HOLD, this.hold + Math.min(gap, STEP));
    this.calmSince = currentFrame;
    // A little is waited for: a sender that is slow by a hair would else run dry again with every frame.
    this.startAt = currentFrame + STEP;
  }

  /** Leaves out what is too much: a quantum where it is quiet, or a period of a voice. */
  trim(count) {
    if (this.excess < count) return;
    let sum = 0;
    for (let i = 0; i < count; i += 1) sum += Math.abs(this.ring[(this.read + i) & MASK]);
    if (sum <= QUIET * count) this.leaveOut(count);
    else if (currentFrame >= this.hastenAt) this.hasten(count);
  }

  hasten(count) {
    const longest = Math.min(LONGEST, Math.floor(this.excess));
    if (longest < SHORTEST || this.written - this.read < longest + OVERLAP + count) return;
    this.hastenAt = currentFrame + GAP; // also of a sound without a period: looking for one takes time
    for (let i = 0; i < OVERLAP + longest; i += 1) this.wave[i] = this.ring[(this.read + i) & MASK];
    const lag = periodOf(this.wave, longest);
    if (!lag) return;
    for (let i = 0; i < OVERLAP; i += 1) {
      const rise = i / (OVERLAP - 1);
      this.ring[(this.read + lag + i) & MASK] = this.wave[i] * (1 - rise) + this.wave[lag + i] * rise;
    }
    this.leaveOut(lag);
  }

  leaveOut(count) {
    this.read += count;
    this.excess -= count;
    this.lowest -= count;
    this.leftOut += count;
  }

  watch(available) {
    if (available < this.lowest) this.lowest = available;
    if (currentFrame >= this.windowEnd) {
      this.excess = Math.max(0, this.lowest - this.hold - TRIM_OVER);
      this.lowest = Infinity;
      this.windowEnd = currentFrame + WINDOW;
    }
    if (currentFrame - this.calmSince >= CALM) {
      this.hold = Math.max(MIN_HOLD, this.hold * 0.9);
      this.calmSince = currentFrame;
    }
  }

  report() {
    this.port.postMessage({
      underruns: this.underruns,
      dropped: this.dropped,
      left_out_ms: this.leftOut / MS,
      buffered_ms: (this.written - this.read) / MS,
      hold_ms: this.hold / MS,
    });
    this.reportAt = currentFrame + 100 * MS;
  }

  process(_, [output]) {
    const out = output[0];
    const count = out.length;
    if (currentFrame >= this.reportAt) this.report();
    if (!this.playing) {
      if (this.written === this.read || currentFrame < this.startAt) return true;
      this.playing = true;
      this.lowest = Infinity;
      this.windowEnd = currentFrame + WINDOW;
    }
    this.watch(this.written - this.read);
    if (this.written - this.read >= 2 * count) this.trim(count);
    const ready = Math.min(count, this.written - this.read);
    for (let i = 0; i < ready; i += 1) out[i] = this.ring[(this.read + i) & MASK];
    this.read += ready;
    for (let channel = 1; channel < output.length; channel += 1) output[channel].set(out);
    if (ready < count) {
      this.playing = false;
      this.excess = 0;
      this.emptySince = currentFrame;
    }
    return true;
  }
}

registerProcessor("playback", Playback);
