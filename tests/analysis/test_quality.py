"""What a path did to sound, found with the right numbers: every fault is put in by hand and looked for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from voxpipe.analysis.alignment import interpolate
from voxpipe.analysis.quality import Quality, assess
from voxpipe.audio import SLIN8, SLIN12, SLIN16, SLIN24, SLIN48, ULAW8, AudioFormat
from voxpipe.dsp import Resampler, alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from voxpipe.errors import AudioError
from voxpipe.testing import load_speech
from voxpipe.testing.caller_run import SPEECH as CALLER
from voxpipe.testing.signals import noise, silence, speech_like, sweep, tone

Signal = NDArray[np.float64]
SPEECH = {"recorded": load_speech(CALLER, SLIN8), "synthetic": speech_like(SLIN8, 6)}
EACH = pytest.mark.parametrize("said", SPEECH.values(), ids=SPEECH)


def samples_of(audio: bytes) -> Signal:
    """Read 16-bit samples."""
    return np.frombuffer(audio, "<i2").astype(np.float64)


def pack(samples: Signal) -> bytes:
    """Round to 16 bits, clipped at full scale."""
    return np.clip(np.rint(samples), -32_768, 32_767).astype("<i2").tobytes()


def resample(audio: bytes, source_hz: int, target_hz: int) -> bytes:
    """Resample the whole."""
    resampler = Resampler(source_hz, target_hz)
    return resampler.process(audio) + resampler.flush()


def against(said: bytes, heard: bytes, heard_format: AudioFormat = SLIN8) -> Quality:
    """Assess against a reference at 8 kHz."""
    return assess(said, SLIN8, heard, heard_format)


def delayed(audio: bytes, delay_samples: float, drift_ppm: float = 0.0) -> bytes:
    """Play later, and slower by so many millionths."""
    samples = samples_of(audio)
    times = np.arange(len(samples) + int(delay_samples) + 100)
    return pack(interpolate([samples], times * (1 - drift_ppm * 1e-6) - delay_samples)[0])


@EACH
def test_a_copy_is_a_linear_path(said: bytes) -> None:
    """What was heard is what was said: no delay, no gain, nothing found."""
    quality = against(said, said)
    assert quality.path == "linear"
    assert quality.verdict.startswith("linear path (above 60 dB)")
    assert quality.snr_db is not None
    assert quality.snr_db > 75
    assert quality.delay_samples == pytest.approx(0, abs=1e-4)
    assert quality.drift_ppm == pytest.approx(0, abs=0.01)
    assert quality.level_db == pytest.approx(0, abs=1e-3)
    assert (quality.jumps, quality.gaps, quality.inverted, quality.narrowed) == ((), (), False, False)


@EACH
@pytest.mark.parametrize("law", ["ulaw", "alaw"])
@pytest.mark.parametrize("later_hz", [8_000, 24_000])
def test_g711_is_told_by_its_noise(said: bytes, law: str, later_hz: int) -> None:
    """Once through either law leaves 37 to 38 dB, whatever rate follows; at 8 kHz the law is told by its codes."""
    through = {"ulaw": ulaw_decode(ulaw_encode(said)), "alaw": alaw_decode(alaw_encode(said))}[law]
    if later_hz != 8_000:
        through = resample(through, 8_000, later_hz)
    quality = against(said, through, AudioFormat(SLIN8.encoding, later_hz))
    assert quality.path == "g711"
    assert quality.snr_db is not None
    assert 36 < quality.snr_db < 39
    assert quality.g711_codes == (law if later_hz == 8_000 else None)
    assert quality.noise_slope is not None
    assert quality.noise_slope > 0.7


@EACH
def test_quiet_g711_is_still_g711(said: bytes) -> None:
    """20 dB down, where companding is less, and resampled, so that its codes are gone."""
    quiet = pack(samples_of(said) / 10)
    quality = against(said, resample(ulaw_decode(ulaw_encode(quiet)), 8_000, 24_000), SLIN24)
    assert quality.path == "g711"
    assert quality.level_db == pytest.approx(-20, abs=0.1)


@EACH
def test_noise_as_loud_as_that_of_g711_is_not_taken_for_it(said: bytes) -> None:
    """Noise that was added does not rise with the signal."""
    samples = samples_of(said)
    hiss = np.random.default_rng(3).normal(size=len(samples)) * samples.std() * 10 ** (-36 / 20)
    quality = against(said, pack(samples + hiss))
    assert quality.snr_db == pytest.approx(36, abs=1)
    assert quality.path == "distorted"
    assert "resampled badly or distorted" in quality.verdict


def test_what_is_too_even_to_tell_is_said_to_be() -> None:
    """Of a tone through G.711 nobody can say whether noise was added instead."""
    said = tone(SLIN8, 1_004.7, 3)
    quality = against(said, resample(ulaw_decode(ulaw_encode(said)), 8_000, 24_000), SLIN24)
    assert quality.path == "g711"
    assert "too even to tell" in quality.verdict


SIGNALS = {**SPEECH, "noise": noise(SLIN8, 4), "sweep": sweep(SLIN8, 300, 3_400, 5), "tone": tone(SLIN8, 1_000, 4)}


@pytest.mark.parametrize("said", SIGNALS.values(), ids=SIGNALS)
def test_our_own_resampling_is_linear(said: bytes) -> None:
    """8 to 24 to 8 kHz, for any signal, its ends included."""
    quality = against(said, resample(resample(said, 8_000, 24_000), 24_000, 8_000))
    assert quality.path == "linear"


@pytest.mark.parametrize("rates_hz", [(24_000, 48_000), (24_000, 44_100), (16_000, 24_000), (48_000, 16_000)])
def test_any_rates_are_compared(rates_hz: tuple[int, int]) -> None:
    """Both are brought to one rate; from 16 kHz up the wide band is measured too."""
    reference_hz, heard_hz = rates_hz
    reference, heard = (AudioFormat(SLIN8.encoding, rate_hz) for rate_hz in rates_hz)
    said = load_speech(CALLER, reference)
    quality = assess(said, reference, resample(said, reference_hz, heard_hz), heard)
    assert quality.path == "linear"
    assert quality.wideband_snr_db is not None
    assert quality.wideband_snr_db > 60
    assert not quality.narrowed


def test_a_narrow_leg_in_a_wide_path_is_told() -> None:
    """24 kHz by way of 8 kHz is linear in the telephone band, and has nothing above it."""
    said = load_speech(CALLER, SLIN24)
    quality = assess(said, SLIN24, resample(resample(said, 24_000, 8_000), 8_000, 24_000), SLIN24)
    assert quality.path == "linear"
    assert quality.narrowed
    assert quality.wideband_snr_db is not None
    assert quality.wideband_snr_db < 40


@pytest.mark.parametrize("down_db", [30, 40])
def test_rounding_is_not_held_against_a_quiet_path(down_db: int) -> None:
    """Less than 60 dB, but no more noise than 16 bits make."""
    quality = against(SPEECH["recorded"], pack(samples_of(SPEECH["recorded"]) * 10 ** (-down_db / 20)))
    assert quality.snr_db is not None
    assert quality.snr_db < 60
    assert quality.path == "linear"
    assert "so quiet that rounding" in quality.verdict


def test_frames_that_were_concealed_are_counted() -> None:
    """Four frames overwritten with the one before: the delay does not change, the others are as they were."""
    samples = samples_of(SIGNALS["noise"])
    for begin in range(8_000, 24_000, 4_000):
        samples[begin : begin + 160] = samples[begin - 160 : begin]
    quality = against(SIGNALS["noise"], pack(samples))
    assert quality.damaged_frames == 4
    assert quality.jumps == ()
    assert "4 of 200 frames are much worse than the others" in quality.verdict


def test_bad_resampling_is_told() -> None:
    """Lines drawn between samples instead of a filter."""
    samples = samples_of(SPEECH["recorded"])
    drawn = np.interp(np.arange(0, len(samples) - 1, 1 / 3), np.arange(len(samples)), samples)
    quality = against(SPEECH["recorded"], pack(drawn), SLIN24)
    assert quality.path == "distorted"
    assert quality.snr_db is not None
    assert 15 < quality.snr_db < 30


@pytest.mark.parametrize("said", [SIGNALS[name] for name in ("recorded", "synthetic", "noise", "sweep")])
def test_a_delay_is_found_to_a_hundredth_of_a_sample(said: bytes) -> None:
    """123.4 samples; taken out, the path is linear."""
    quality = against(said, delayed(said, 123.4))
    assert quality.delay_samples == pytest.approx(123.4, abs=0.01)
    assert quality.delay_ms == pytest.approx(15.425, abs=0.001)
    assert quality.path == "linear"


def test_a_delay_is_told_at_the_rate_of_the_recording() -> None:
    """100 samples at 8 kHz are 300 at 24 kHz."""
    said = SPEECH["synthetic"]
    quality = against(said, resample(silence(SLIN8, 0.0125) + said, 8_000, 24_000), SLIN24)
    assert quality.delay_samples == pytest.approx(300, abs=0.02)


@EACH
@pytest.mark.parametrize("drift_ppm", [50.0, -100.0])
def test_drift_is_found_and_taken_out(said: bytes, drift_ppm: float) -> None:
    """Clocks that differ by so many millionths, to within one."""
    quality = against(said, delayed(said, 40, drift_ppm))
    assert quality.drift_ppm == pytest.approx(drift_ppm, abs=0.5)
    assert quality.path == "linear"


def test_drift_over_a_minute_is_no_row_of_jumps() -> None:
    """200 ppm are 12 ms, or 96 samples, by the end."""
    said = b"".join(speech_like(SLIN8, 20, seed=seed) for seed in range(3))
    quality = against(said, delayed(said, 77.7, 200))
    assert quality.drift_ppm == pytest.approx(200, abs=0.5)
    assert quality.jumps == ()
    assert quality.path == "linear"


@EACH
def test_a_jump_amid_drift_is_one_jump(said: bytes) -> None:
    """A lost frame, the clocks 50 ppm apart."""
    late = delayed(said, 0, 50)
    quality = against(said, late[:24_000] + late[24_320:])
    assert [jump.change_ms for jump in quality.jumps] == [pytest.approx(-20, abs=0.02)]
    assert quality.drift_ppm == pytest.approx(50, abs=0.5)


def test_a_hole_is_a_gap() -> None:
    """20 ms of silence in speech; the rest is as linear as it was."""
    samples = samples_of(SPEECH["recorded"])
    samples[12_000:12_160] = 0
    quality = against(SPEECH["recorded"], pack(samples))
    assert [(gap.at_s, gap.duration_ms, gap.digital) for gap in quality.gaps] == [(1.5, 20.0, True)]
    assert quality.jumps == ()
    assert quality.path == "linear"


def test_a_fade_is_a_gap_too() -> None:
    """60 ms at a hundredth of the level is a dropout, though no sample is 0."""
    samples = samples_of(SIGNALS["noise"])
    samples[12_000:12_480] /= 100
    (gap,) = against(SIGNALS["noise"], pack(samples)).gaps
    assert (gap.at_s, gap.duration_ms, gap.digital) == (1.5, 60.0, False)


def test_pauses_of_the_speaker_are_no_gaps() -> None:
    """Silence is a gap only where something was said."""
    said = speech_like(SLIN8, 2) + silence(SLIN8, 1) + speech_like(SLIN8, 2, seed=2)
    assert against(said, said).gaps == ()


@pytest.mark.parametrize(
    ("heard", "change_ms"),
    [
        (lambda x: x[:24_320] + x[24_000:], 20),
        (lambda x: x[:24_000] + x[24_320:], -20),
        (lambda x: x[:24_000] + x[24_008:], -0.5),
    ],
)
@EACH
def test_a_repeated_or_missing_frame_is_a_jump(said: bytes, heard: object, change_ms: float) -> None:
    """20 ms more or less, or half a millisecond, at 1.5 s, and the rest as linear as it was."""
    assert callable(heard)
    quality = against(said, heard(said))
    (jump,) = quality.jumps
    assert jump.change_ms == pytest.approx(change_ms, abs=0.01)
    assert jump.at_s == pytest.approx(1.51, abs=0.02)
    assert quality.path == "linear"


@EACH
def test_a_change_of_level_is_no_noise(said: bytes) -> None:
    """Half as loud is -6.02 dB, and upside down is told as such."""
    quality = against(said, pack(samples_of(said) / -2))
    assert quality.level_db == pytest.approx(-6.02, abs=0.01)
    assert quality.inverted
    assert quality.path == "linear"


def test_an_offset_is_told_and_is_no_noise() -> None:
    """100 LSB more than the reference has."""
    quality = against(SPEECH["synthetic"], pack(samples_of(SPEECH["synthetic"]) + 100))
    assert quality.heard_dc_lsb - quality.reference_dc_lsb == pytest.approx(100, abs=0.5)
    assert quality.path == "linear"


@EACH
def test_clipping_is_counted_and_distorts(said: bytes) -> None:
    """12 dB too loud: as many samples as are at full scale."""
    loud = pack(samples_of(said) * 4)
    clipped = int(np.isin(np.frombuffer(loud, "<i2"), (-32_768, 32_767)).sum())
    quality = against(said, loud)
    assert quality.heard_clipped_samples == clipped > 500
    assert quality.reference_clipped_samples == 0
    assert quality.path == "distorted"


UNRELATED = {
    "other words": load_speech(CALLER, SLIN8)[16_000:32_000],
    "noise": noise(SLIN8, 4),
    "a tone": tone(SLIN8, 440, 4),
    "silence": silence(SLIN8, 4),
    "swapped bytes": np.frombuffer(SPEECH["synthetic"], ">i2").astype("<i2").tobytes(),
}


@pytest.mark.parametrize("heard", UNRELATED.values(), ids=UNRELATED)
def test_what_is_not_the_same_audio_has_no_figures(heard: bytes) -> None:
    """No signal to noise, no delay: nothing that could be mistaken for a measurement."""
    quality = against(SPEECH["synthetic"], heard)
    assert quality.verdict == "not the same audio"
    assert quality.path == "different"
    assert (quality.snr_db, quality.delay_ms, quality.level_db, quality.scores) == (None, None, None, None)


def test_a_wrong_rate_is_not_the_same_audio() -> None:
    """8 kHz read as 12 kHz."""
    assert against(SPEECH["recorded"], SPEECH["recorded"], SLIN12).path == "different"


def test_a_recording_that_begins_late_is_compared_from_there() -> None:
    """What is missing at an end is told, and not held against the path."""
    quality = against(SPEECH["synthetic"], SPEECH["synthetic"][16_000:])
    assert quality.delay_samples == pytest.approx(-8_000, abs=0.01)
    assert quality.unheard_s == pytest.approx(1.0, abs=0.001)
    assert quality.compared_s == pytest.approx(5.0, abs=0.001)
    assert quality.path == "linear"


@pytest.mark.parametrize(
    ("reference", "reference_format", "heard", "words"),
    [
        (silence(SLIN8, 1), SLIN8, noise(SLIN8, 1), "reference: expected sound, got silence"),
        (noise(SLIN8, 0.4), SLIN8, noise(SLIN8, 1), "reference: expected at least 0.5 s of audio, got 0.400 s"),
        (noise(SLIN8, 1), SLIN8, b"", "heard: expected at least 0.5 s of audio, got 0.000 s"),
        (bytes(8_000), ULAW8, noise(SLIN8, 1), "reference: expected linear audio, got ulaw8"),
        (noise(SLIN8, 1), SLIN8, bytes(16_001), "expected whole samples"),
    ],
)
def test_what_cannot_be_assessed_is_refused(
    reference: bytes, reference_format: AudioFormat, heard: bytes, words: str
) -> None:
    """An error that says what was expected and what came."""
    with pytest.raises(AudioError, match=words):
        assess(reference, reference_format, heard, SLIN8)


@pytest.mark.parametrize("format_", [SLIN16, SLIN48])
def test_half_a_second_is_enough(format_: AudioFormat) -> None:
    """The shortest that is taken is aligned as well."""
    said = speech_like(format_, 0.5)
    assert assess(said, format_, said, format_).path == "linear"


def test_scores_are_given_where_their_packages_are() -> None:
    """STOI of speech that cannot be told from itself is 1; a score that is not given has its reason."""
    scores = against(SPEECH["recorded"], SPEECH["recorded"]).scores
    assert scores is not None
    assert scores.stoi == pytest.approx(1, abs=0.001)
    assert (scores.pesq is None) == any("PESQ" in words for words in scores.missing)
    if scores.pesq is not None:
        assert scores.pesq > 4.4


def test_what_is_heard_in_few_frames_is_no_g711() -> None:
    """The loudest frame of each second is a little like the one before it: noise as of G.711, but not in all frames."""
    said = speech_like(SLIN8, 40)
    frames = samples_of(said).reshape(-1, 160)
    heard = frames.copy()
    for second in range(0, len(frames), 50):
        number = second + 1 + int(np.argmax(np.abs(frames[second + 1 : second + 50]).max(axis=1)))
        heard[number] = 0.95 * frames[number] + 0.05 * frames[number - 1]
    quality = against(said, pack(heard.ravel()))
    assert quality.snr_db is not None
    assert 30 < quality.snr_db < 45
    assert quality.path == "distorted"


def test_the_verdict_names_what_its_ratio_leaves_out() -> None:
    """Gaps and jumps are no noise, and a verdict that was silent about them would hide them."""
    said = speech_like(SLIN8, 6)
    samples = samples_of(said)
    samples[20_000:20_480] = 0
    quality = against(said, pack(np.delete(samples, slice(32_000, 32_160))))
    assert quality.verdict.startswith("linear path (above 60 dB)")
    assert quality.verdict.endswith("; besides 1 gap and 1 jump")
