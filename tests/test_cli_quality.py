"""The command ``quality`` as a process: what it prints, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from command import run

from voxpipe.audio import SLIN8
from voxpipe.dsp import ulaw_decode, ulaw_encode
from voxpipe.testing import load_speech
from voxpipe.testing.caller_run import SPEECH as CALLER
from voxpipe.wav import write_wav


@pytest.fixture
def said(tmp_path: Path) -> Path:
    """Speech at 8 kHz."""
    write_wav(tmp_path / "said.wav", load_speech(CALLER, SLIN8), SLIN8)
    return tmp_path / "said.wav"


@pytest.fixture
def heard(tmp_path: Path) -> Path:
    """The same, once through G.711."""
    write_wav(tmp_path / "heard.wav", ulaw_decode(ulaw_encode(load_speech(CALLER, SLIN8))), SLIN8)
    return tmp_path / "heard.wav"


def test_the_verdict_comes_first(said: Path, heard: Path) -> None:
    """In plain words, with the figures below it; assessed is status 0."""
    done = run("quality", "--reference", said, "--heard", heard)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("G.711 in the path (about 36 dB, ulaw)")
    for words in ("signal to noise", "delay", "drift", "+0.0 dB", "gaps", "none", "clipped", "STOI"):
        assert words in done.stdout, words


@pytest.mark.parametrize(("at_least_db", "status"), [(30, 0), (60, 1)])
def test_a_floor_makes_it_a_gate(said: Path, heard: Path, at_least_db: int, status: int) -> None:
    """Status 1 when signal to noise is less than asked for."""
    assert run("quality", "--reference", said, "--heard", heard, "--at-least-db", at_least_db).returncode == status


def test_other_audio_holds_no_floor(said: Path, tmp_path: Path) -> None:
    """Not the same audio is no measurement, and less than any floor."""
    write_wav(tmp_path / "other.wav", bytes(32_000), SLIN8)
    done = run("quality", "--reference", said, "--heard", tmp_path / "other.wav", "--at-least-db", "1")
    assert done.returncode == 1
    assert done.stdout.startswith("not the same audio")


def test_machines_get_json(said: Path, heard: Path) -> None:
    """Every figure, with its unit in its name."""
    data = json.loads(run("quality", "--reference", said, "--heard", heard, "--json").stdout)
    assert data["path"] == "g711"
    assert 36 < data["snr_db"] < 39
    assert data["gaps"] == data["jumps"] == []


def test_what_is_unusable_is_status_2(said: Path, tmp_path: Path) -> None:
    """A file that is missing, too short, or stereo: one line that says so."""
    write_wav(tmp_path / "short.wav", bytes(160), SLIN8)
    soundfile.write(tmp_path / "stereo.wav", np.zeros((8_000, 2)), 8_000)
    for name, words in (
        ("none.wav", "No such file"),
        ("short.wav", "heard: expected at least 0.5 s of audio"),
        ("stereo.wav", "expected 1 channel, got 2"),
    ):
        done = run("quality", "--reference", said, "--heard", tmp_path / name)
        assert done.returncode == 2
        assert words in done.stderr
        assert "Traceback" not in done.stderr
