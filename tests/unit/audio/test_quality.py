"""What the ear gets, measured: decibels against numpy references and libsamplerate."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from chamade_mcp.audio.call import CallMixer
from chamade_mcp.audio.frame import AudioFormat, Samples
from chamade_mcp.audio.port import PortPair
from chamade_mcp.audio.resample import make_resampler
from chamade_mcp.model.audio import Engine
from chamade_mcp.model.ids import ParticipantRef

RATES = (8_000, 16_000, 24_000, 32_000, 44_100, 48_000)
PAIRS = [(a, b) for a, b in itertools.product(RATES, RATES) if a != b]
DOWN = [pair for pair in PAIRS if pair[0] > pair[1]]
UP = [pair for pair in PAIRS if pair[0] < pair[1]]
ENGINES: tuple[Engine, ...] = ("polyphase", "swresample")
LOUD = 0.9 * 32767


def tone(rate_hz: int, hz: float, seconds: float = 0.3, amplitude: float = LOUD) -> Samples:
    return np.round(amplitude * np.sin(2 * np.pi * hz / rate_hz * np.arange(int(rate_hz * seconds)))).astype(
        np.int16
    )


def converted(engine: Engine, source_hz: int, target_hz: int, samples: Samples) -> NDArray[np.float64]:
    """In 20 ms steps, without the start and the end."""
    resampler = make_resampler(source_hz, target_hz, engine)
    step = source_hz // 50
    out = np.concatenate([resampler.push(samples[at : at + step]) for at in range(0, len(samples), step)])
    edge = target_hz // 20
    return out[edge:-edge].astype(np.float64)


def level_db(samples: NDArray[np.float64], rate_hz: int, hz: float) -> float:
    """The amplitude of one frequency, relative to `LOUD`."""
    window = np.blackman(len(samples))
    turned = samples * window * np.exp(-2j * np.pi * hz / rate_hz * np.arange(len(samples)))
    return float(20 * np.log10(max(abs(turned.sum()) / window.sum() * 2, 1e-9) / LOUD))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
def test_pass_band_is_flat_within_0_2_db_up_to_0_85_nyquist(
    engine: Engine, source_hz: int, target_hz: int
) -> None:
    nyquist = min(source_hz, target_hz) / 2
    for share in (0.05, 0.3, 0.6, 0.8, 0.85):
        out = converted(engine, source_hz, target_hz, tone(source_hz, share * nyquist))
        assert abs(level_db(out, target_hz, share * nyquist)) <= 0.2, share


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("source_hz", "target_hz"), DOWN)
def test_aliases_are_rejected_by_90_db(engine: Engine, source_hz: int, target_hz: int) -> None:
    stop = [share for share in (1.12, 1.25, 1.5, 1.9) if share * target_hz < 0.99 * source_hz]
    for share in stop or [0.999 * source_hz / target_hz]:
        hz = share * target_hz / 2
        out = converted(engine, source_hz, target_hz, tone(source_hz, hz))
        folded = abs((hz + target_hz / 2) % target_hz - target_hz / 2)
        limit = -90 if share >= 1.1 else -35  # 48 to 44.1 kHz has no room for a stop band
        assert level_db(out, target_hz, folded) <= limit, share


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("source_hz", "target_hz"), UP)
def test_images_are_rejected_by_88_db(engine: Engine, source_hz: int, target_hz: int) -> None:
    for share in (0.25, 0.6, 0.75, 0.85):
        hz = share * source_hz / 2
        out = converted(engine, source_hz, target_hz, tone(source_hz, hz))
        for turn, sign in itertools.product(range(1, target_hz // source_hz + 1), (-1, 1)):
            image = turn * source_hz + sign * hz
            folded = abs((image + target_hz / 2) % target_hz - target_hz / 2)
            if folded != hz:
                assert level_db(out, target_hz, folded) <= -88, (share, image)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
def test_a_tone_stays_clean(engine: Engine, source_hz: int, target_hz: int) -> None:
    out = converted(engine, source_hz, target_hz, tone(source_hz, 1_000))
    angle = 2 * np.pi * 1_000 / target_hz * np.arange(len(out))
    basis = np.stack((np.sin(angle), np.cos(angle)), axis=1)
    fit = basis @ np.linalg.lstsq(basis, out, rcond=None)[0]
    assert 10 * np.log10((fit @ fit) / ((out - fit) @ (out - fit))) >= 90


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
def test_the_stated_delay_is_the_measured_one(engine: Engine, source_hz: int, target_hz: int) -> None:
    resampler = make_resampler(source_hz, target_hz, engine)
    moment = 0.1
    pulse_s = 1.5 / min(source_hz, target_hz)
    at = np.arange(source_hz // 5) / source_hz
    pulse = np.round(30_000 * np.exp(-(((at - moment) / pulse_s) ** 2))).astype(np.int16)
    out = resampler.push(pulse).astype(np.float64) ** 2
    centre = float((out * np.arange(len(out))).sum() / out.sum()) / target_hz
    assert centre - moment == pytest.approx(resampler.delay_s, abs=2e-5)
    assert resampler.delay_s <= 0.003


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("source_hz", "target_hz"), PAIRS)
def test_agrees_with_libsamplerate(engine: Engine, source_hz: int, target_hz: int) -> None:
    white = np.random.default_rng(7).normal(0, 8_000, source_hz)
    spectrum = np.fft.rfft(white)
    spectrum[int(0.4 * min(source_hz, target_hz)) :] = 0
    voice = np.round(np.fft.irfft(spectrum)).clip(-32_768, 32_767).astype(np.int16)
    ours = make_resampler(source_hz, target_hz, engine)
    theirs = make_resampler(source_hz, target_hz, "samplerate", "sinc_best")
    a = ours.push(voice)[round(ours.delay_s * target_hz) :].astype(np.float64)
    b = theirs.push(voice)[round(theirs.delay_s * target_hz) :].astype(np.float64)
    middle = slice(target_hz // 10, target_hz // 2)
    difference = a[middle] - b[middle]
    assert 10 * np.log10((difference @ difference) / (b[middle] @ b[middle])) <= -60


@pytest.mark.parametrize("agent_hz", RATES)
@pytest.mark.parametrize("room_hz", [8_000, 16_000, 48_000])
def test_an_agent_never_hears_itself(agent_hz: int, room_hz: int) -> None:
    """Its own tone is 80 dB below the other's, which it hears unharmed."""
    mixer = CallMixer(AudioFormat(room_hz))
    pipe = PortPair(mixer.format)
    mixer.add_leg(ParticipantRef("room"), pipe.near)
    heard: list[bytes] = []
    agent = mixer.add_agent(heard.append, agent_hz)
    agent.configure(receive=True)
    own, other = tone(agent_hz, 700, 0.5), tone(room_hz, 1_900, 0.5, LOUD / 2)
    said: list[Samples] = []
    for beat in range(25):
        at = beat * 0.02
        agent.push_pcm(own[beat * agent_hz // 50 : (beat + 1) * agent_hz // 50].tobytes(), at - 0.01)
        pipe.far.push(other[beat * room_hz // 50 : (beat + 1) * room_hz // 50], at)
        mixer.gather(at)
        played = pipe.far.pull(room_hz // 50, at)
        if played is not None:
            said.append(played)
        mixer.deliver(at)
    ear = np.frombuffer(b"".join(heard), np.int16)[agent_hz // 20 :].astype(np.float64)
    mouth = np.concatenate(said)[room_hz // 20 :].astype(np.float64)
    assert level_db(mouth, room_hz, 700) == pytest.approx(0, abs=0.1)
    assert level_db(ear, agent_hz, 1_900) == pytest.approx(-6, abs=0.1)
    assert level_db(ear, agent_hz, 700) <= -86
