"""Voice detection and its double-talk guard on speech: ``python benchmarks/voice/measure.py`` (needs espeak-ng).

An agent of espeak-ng speaks for a minute while the caller's line brings back its echo: quieter, later, through a
mild filter, with a little noise, in the leg's format. Counted are false starts of the caller's voice, and how soon a
real caller is heard who speaks over it at the agent's own level; then how soon without an echo, and false starts by
what is not speech. ``--guard-only`` takes everything for speech, so that the guard stands alone.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.signal

from voxpipe.actors.voice import CallerVoice
from voxpipe.audio import SLIN8, SLIN16, AudioFormat
from voxpipe.dsp import ulaw_decode, ulaw_encode
from voxpipe.dsp.speech import SpeechModel, keep_model, take_model
from voxpipe.sansio.voice import VoiceThresholds

Wave = npt.NDArray[np.float64]

AGENTS = (("en-us", 165, 50), ("en-gb+f3", 160, 60), ("en-us+f2", 175, 55))
CALLERS = (("en-us", 165, 30), ("en-gb+f4", 170, 70), ("en-us+m3", 150, 40))
AGENT_SAYS = """Good morning and thank you for calling Miller and Sons. Our shop opens on Monday at nine o'clock and
closes at half past six. If you would like to make an appointment, please tell me which day suits
you best. We have free places on Tuesday afternoon and on Thursday before noon. Deliveries take
between three and five working days, and we send you a message as soon as your parcel has left the
house. For returns please keep the receipt and the original box. You can also bring the goods back
to any of our branches. The branch in Station Road is open on Saturdays as well. Is there anything
else that I can do for you today? I have written down your number and will call you back as soon as
I know more about it. The price is twenty four pounds and ninety nine pence, delivery included. Let
me check that for you, just one moment please. Yes, I can see your order here, it was sent yesterday
evening from our store. It should be with you tomorrow."""
CALLER_SAYS = (
    "Hello, what time do you open on Monday?",
    "Stop, please.",
    "No, wait a moment.",
    "Excuse me, I have another question.",
    "Yes",
    "That is not what I wanted.",
    "Could you say that again?",
    "Actually, make it Thursday.",
    "Hang on",
    "Four, two, seven, nine, one.",
)
LEVEL_DBFS = -20.0
NOISE_DBFS = -65.0
FULL_SCALE = 32_768


class _Everything:
    """A model that takes everything for speech."""

    def probability(self, window: bytes) -> float:
        return 1.0

    def reset(self) -> None:
        return


def speak(voice: str, words_a_minute: int, pitch: int, text: str, rate_hz: int) -> Wave:
    """Have espeak-ng speak; return it from its first sound to its last, at ``LEVEL_DBFS`` while it sounds."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speech.wav"
        said = ["espeak-ng", "-v", voice, "-s", str(words_a_minute), "-p", str(pitch), "-w", str(file), text]
        subprocess.run(said, check=True)
        data = file.read_bytes()[44:]
    samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float64)
    divisor = int(np.gcd(rate_hz, 22_050))
    wave = np.asarray(scipy.signal.resample_poly(samples, rate_hz // divisor, 22_050 // divisor))
    sounding = np.abs(wave) > 0.02 * np.abs(wave).max()
    first, last = np.flatnonzero(sounding)[[0, -1]]
    return at_level(wave[first : last + 1], LEVEL_DBFS, sounding[first : last + 1])


def at_level(wave: Wave, level_dbfs: float, where: npt.NDArray[np.bool_] | slice = slice(None)) -> Wave:
    """Scale to a level, that of the samples named."""
    return wave / np.sqrt((wave[where] ** 2).mean()) * FULL_SCALE * 10 ** (level_dbfs / 20)


def echo_of(wave: Wave, coupling_db: float, delay_ms: int, rate_hz: int) -> Wave:
    """What comes back: through a loudspeaker, a small room and a microphone, of the same power but for the coupling."""
    response = np.zeros(rate_hz * 30 // 1000 + 1)
    for after_ms, gain in ((0, 1.0), (0.9, 0.4), (5, -0.3), (19, 0.2), (30, 0.1)):
        response[round(after_ms * rate_hz / 1000)] = gain
    back = scipy.signal.lfilter([0.6, 0.3, -0.2, 0.1], [1], scipy.signal.fftconvolve(wave, response)[: len(wave)])
    late = np.concatenate([np.zeros(delay_ms * rate_hz // 1000), back])[: len(wave)]
    return np.asarray(late * np.sqrt((wave**2).mean() / (late**2).mean()) * 10 ** (coupling_db / 20))


def noise(samples: int, level_dbfs: float, seed: int = 1) -> Wave:
    """White noise."""
    return at_level(np.random.default_rng(seed).standard_normal(samples), level_dbfs)


def run(downlink: Wave, uplink: Wave, format_: AudioFormat, model: SpeechModel) -> tuple[list[float], list[float]]:
    """Play and hear frame by frame; return when the voice started and stopped, in ms."""
    voice = CallerVoice(format_, format_, VoiceThresholds(), model)
    played, heard = (np.clip(wave, -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes() for wave in (downlink, uplink))
    times: dict[bool, list[float]] = {True: [], False: []}
    for start in range(0, len(heard) - format_.frame_bytes + 1, format_.frame_bytes):
        end = start + format_.frame_bytes
        voice.play(played[start:end])
        for change in voice.hear(heard[start:end]):
            times[change.started].append(format_.duration_ms(end))
    model.reset()
    return times[True], times[False]


def heard_after(
    agent: Wave, echo: Wave, callers: list[Wave], format_: AudioFormat, model: SpeechModel
) -> tuple[tuple[list[float], list[float]], int]:
    """Let each caller speak over the agent, early and late; return how soon each was heard, and how many were not."""
    delays_ms: tuple[list[float], list[float]] = ([], [])
    missed = 0
    for number, caller in enumerate(callers):
        for when, at_ms in enumerate((500 + 37 * number, 9_000 + 1_003 * number)):
            start = at_ms * format_.rate_hz // 1000
            end = start + len(caller)
            both = echo[:end].copy()
            both[start:] += caller
            starts, _ = run(agent[:end], both, format_, model)
            after = [start_ms - at_ms for start_ms in starts if start_ms > at_ms]
            delays_ms[when].extend(after[:1])
            missed += not after
    return delays_ms, missed


def spread(delays_ms: list[float]) -> str:
    """Median, 90th percentile and most."""
    return " / ".join(f"{value:.0f}" for value in np.percentile(delays_ms, [50, 90, 100])) if delays_ms else "-"


def measure_echo(model: SpeechModel, couplings_db: list[float]) -> None:
    """Print the table of the guard."""
    print("| format | echo dB | delay ms | false starts a minute | heard after ms: first second | later | not heard |")
    print("|---|---|---|---|---|---|---|")
    for format_ in (SLIN8, SLIN16):
        agents = [speak(*voice, AGENT_SAYS, format_.rate_hz)[: 60 * format_.rate_hz] for voice in AGENTS]
        callers = [
            speak(*CALLERS[number % len(CALLERS)], text, format_.rate_hz) for number, text in enumerate(CALLER_SAYS)
        ]
        for coupling_db in couplings_db:
            for delay_ms in (20, 120, 300):
                false, early_ms, late_ms, missed = [], [], [], 0
                for agent in agents:
                    echo = echo_of(agent, coupling_db, delay_ms, format_.rate_hz) + noise(len(agent), NOISE_DBFS)
                    false.append(len(run(agent, echo, format_, model)[0]))
                    (early, late), unheard = heard_after(agent, echo, callers, format_, model)
                    early_ms += early
                    late_ms += late
                    missed += unheard
                starts, of = " + ".join(map(str, false)), 2 * len(agents) * len(callers)
                cells = (format_, coupling_db, delay_ms, starts, spread(early_ms), spread(late_ms), f"{missed} of {of}")
                print("|", " | ".join(map(str, cells)), "|", flush=True)


def hard_lines(agent: Wave, coupling_db: float) -> dict[str, Wave]:
    """Echoes, 120 ms late at 8 kHz, that are not what the guard assumes."""
    rate_hz, half = SLIN8.rate_hz, len(agent) // 2
    plain = echo_of(agent, coupling_db, 120, rate_hz)
    sooner, later, moved = (echo_of(agent, coupling_db, delay_ms, rate_hz) for delay_ms in (100, 140, 260))
    which = np.random.default_rng(1).integers(3, size=len(agent) // 4_000 + 1).repeat(4_000)[: len(agent)]
    at = np.arange(len(agent))
    return {
        "mu-law": _through_ulaw(plain),
        "overdriven loudspeaker": echo_of(np.tanh(agent / 4_000) * 6_000, coupling_db, 120, rate_hz),
        "100, 120 or 140 ms, anew each half second": np.choose(which, (sooner, plain, later)),
        "clocks apart, 100 ms in a minute": np.interp(at * (1 - 0.1 * rate_hz / len(agent)), at, plain),
        "noise of -50 dBFS": plain + noise(len(agent), -50),
        "noise of -40 dBFS": plain + noise(len(agent), -40),
        "from 120 to 260 ms in mid-call": np.concatenate([plain[:half], moved[half:]]),
    }


def _through_ulaw(wave: Wave) -> Wave:
    audio = np.clip(wave, -FULL_SCALE, FULL_SCALE - 1).astype("<i2").tobytes()
    return np.frombuffer(ulaw_decode(ulaw_encode(audio)), "<i2").astype(np.float64)


def measure_hard_lines(model: SpeechModel, couplings_db: list[float]) -> None:
    """Print false starts on lines that are not what the guard assumes."""
    agents = [speak(*voice, AGENT_SAYS, SLIN8.rate_hz)[: 60 * SLIN8.rate_hz] for voice in AGENTS]
    false: dict[str, list[int]] = {}
    for coupling_db in couplings_db:
        for agent in agents:
            for name, echo in hard_lines(agent, coupling_db).items():
                heard = echo + noise(len(agent), NOISE_DBFS)
                false.setdefault(name, []).append(len(run(agent, heard, SLIN8, model)[0]))
    print(f"\n| line | false starts in {len(agents)} minutes, at {', '.join(map(str, couplings_db))} dB |\n|---|---|")
    for name, counts in false.items():
        sums = [sum(counts[first : first + len(agents)]) for first in range(0, len(counts), len(agents))]
        print(f"| {name} | {', '.join(map(str, sums))} |")


def measure_quiet_agent(model: SpeechModel) -> None:
    """Print how soon callers are heard, and let go, while the agent is silent."""
    print(
        "\n| noise dB below the caller | heard after ms | stop told after the end, ms | not heard |\n|---|---|---|---|"
    )
    rate_hz = SLIN8.rate_hz
    for below_db in (45, 20, 10, 5):
        starts_ms, stops_ms, missed = [], [], 0
        for number, text in enumerate(CALLER_SAYS):
            for voice in CALLERS:
                caller = speak(*voice, text, rate_hz)
                lead = np.zeros(rate_hz + 31 * number)
                wave = np.concatenate([lead, caller, np.zeros(2 * rate_hz)])
                wave += noise(len(wave), LEVEL_DBFS - below_db, seed=number)
                started, stopped = run(np.zeros(len(wave)), wave, SLIN8, model)
                missed += not started
                starts_ms += [SLIN8.samples_ms(round(ms * 8 - len(lead))) for ms in started[:1]]
                stops_ms += [ms - SLIN8.samples_ms(len(lead) + len(caller)) for ms in stopped[-1:]]
        print(f"| {below_db} | {spread(starts_ms)} | {spread(stops_ms)} | {missed} of {len(starts_ms) + missed} |")


def measure_others(model: SpeechModel) -> None:
    """Print false starts in a minute of what is not speech."""
    rate_hz = SLIN8.rate_hz
    times = np.arange(60 * rate_hz) / rate_hz
    keys = np.sin(2 * np.pi * 770 * times) + np.sin(2 * np.pi * 1_336 * times)
    notes_hz = 261.6 * 2 ** (np.array([0, 4, 7, 12, 9, 5])[(times * 4).astype(int) % 6] / 12)
    music = sum(np.sin(2 * np.pi * notes_hz * harmonic * times) / harmonic for harmonic in range(1, 6))
    signals = {
        "white noise": noise(len(times), -30),
        "hum": sum(np.sin(2 * np.pi * 50 * harmonic * times) / harmonic for harmonic in (1, 2, 3, 5)),
        "DTMF": keys * (times % 1 < 0.15),
        "ringing tone": np.sin(2 * np.pi * 425 * times) * (times % 5 < 1),
        "music-like tones": music * np.exp(-4 * (times % 0.25)),
        "clicks": noise(len(times), 0) * np.exp(-(times % 0.5) * 1_000),
    }
    print("\n| a minute of | false starts |\n|---|---|")
    for name, wave in signals.items():
        uplink = at_level(wave, -25) + noise(len(wave), NOISE_DBFS)
        print(f"| {name} | {len(run(np.zeros(len(wave)), uplink, SLIN8, model)[0])} |")


def measure_cost(model: SpeechModel) -> None:
    """Print what a second of a call costs."""
    wave = noise(30 * SLIN8.rate_hz, -30)
    began_s = time.process_time()
    run(wave, wave, SLIN8, model)
    print(
        f"\n{(time.process_time() - began_s) / 30 * 1e3:.1f} ms of processor time a second of a call, both directions"
    )


def main() -> None:
    """Measure all, or the guard alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--guard-only", action="store_true")
    parser.add_argument("--couplings", type=float, nargs="+", default=[-20.0, -30.0, -10.0])
    arguments = parser.parse_args()
    if arguments.guard_only:
        measure_echo(_Everything(), arguments.couplings)
        measure_hard_lines(_Everything(), arguments.couplings)
        return
    model = take_model()
    measure_echo(model, arguments.couplings)
    measure_hard_lines(model, arguments.couplings)
    measure_quiet_agent(model)
    measure_others(model)
    measure_cost(model)
    keep_model(model)


if __name__ == "__main__":
    main()
