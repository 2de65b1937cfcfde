"""The public errors: their exact texts, with expected and actual, and the tree they stand in."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from voxpipe import errors
from voxpipe.audio import SLIN8, AudioFormat, Encoding, FormatPair
from voxpipe.errors import (
    AckTimeout,
    AudioError,
    CommandRefused,
    ConfigError,
    FormatMismatch,
    LocalProtocolError,
    ProtocolError,
    RecordError,
    RemoteProtocolError,
    SessionError,
    SessionLost,
    VoxpipeError,
)
from voxpipe.websocket import WebSocketClosed, WebSocketRefused

TEXTS: list[tuple[VoxpipeError, str]] = [
    (ConfigError("gateway.listen", "expected HOST:PORT, got '9'"), "gateway.listen: expected HOST:PORT, got '9'"),
    (ConfigError("", "expected a table, got 5"), "expected a table, got 5"),
    (
        FormatMismatch(("slin24", "slin24"), ("slin24", "ulaw8")),
        "the provider confirmed other formats than the requested ones: "
        "expected uplink slin24 and downlink slin24, got uplink slin24 and downlink ulaw8",
    ),
    (
        CommandRefused("ConfigureSession", "unknown_parameter", "Unknown parameter: 'x'."),
        "expected the provider to accept ConfigureSession, got refusal unknown_parameter: Unknown parameter: 'x'.",
    ),
    (
        AckTimeout("ConfigureSession", "SessionUpdated", 2.0),
        "expected SessionUpdated in answer to ConfigureSession within 2 s, got nothing",
    ),
    (
        AckTimeout("ConfigureSession", "SessionUpdated", 0.25),
        "expected SessionUpdated in answer to ConfigureSession within 0.25 s, got nothing",
    ),
    (SessionLost("expected the session to go on, got it closed"), "expected the session to go on, got it closed"),
    (RecordError(7, "expected JSON: unexpected end"), "line 7: expected JSON: unexpected end"),
    (RemoteProtocolError("expected 320 bytes, got 160", peer="127.0.0.1"), "expected 320 bytes, got 160"),
    (WebSocketClosed(1006, "connection lost"), "the WebSocket was closed with code 1006: connection lost"),
    (WebSocketClosed(1000, ""), "the WebSocket was closed with code 1000"),
    (WebSocketRefused("h:80 answered HTTP 401 instead of 101", status=401), "h:80 answered HTTP 401 instead of 101"),
]


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=[type(error).__name__ for error, _ in TEXTS])
def test_the_text_of_an_error(error: VoxpipeError, text: str) -> None:
    """Operators read these, and scripts search for them: they change with a reason only."""
    assert str(error) == text


RAISED: list[tuple[Callable[[], object], type[VoxpipeError], str]] = [
    (
        lambda: AudioFormat(Encoding.ULAW, 16_000),
        AudioError,
        "expected a rate of 8000 Hz for ulaw, got 16000",
    ),
    (
        lambda: AudioFormat(Encoding.SLIN, 11_025),
        AudioError,
        "expected a rate of 8000 or 12000 or 16000 or 24000 or 32000 or 44100 or 48000 or 96000 or 192000 Hz for slin, "
        "got 11025",
    ),
    (
        lambda: FormatPair.parse("pcm24/opus"),
        AudioError,
        "expected a format such as alaw8, slin12, slin16, slin192, slin24, slin32, slin44, slin48, slin8, slin96, "
        "ulaw8, got 'opus'",
    ),
    (
        lambda: SLIN8.samples(161),
        AudioError,
        "expected whole samples of slin8 (2 bytes each), got 161 bytes",
    ),
]


@pytest.mark.parametrize(("act", "kind", "text"), RAISED, ids=[row[2][:40] for row in RAISED])
def test_audio_says_what_it_expected(act: Callable[[], object], kind: type[VoxpipeError], text: str) -> None:
    """The only arithmetic between time, samples and bytes refuses what it cannot count, with the numbers."""
    with pytest.raises(kind) as caught:
        act()
    assert str(caught.value) == text


def test_the_errors_carry_what_they_tell() -> None:
    """A program does not have to read the text."""
    mismatch = FormatMismatch(("a", "b"), ("c", "d"))
    assert (mismatch.requested, mismatch.confirmed) == (("a", "b"), ("c", "d"))
    refused = CommandRefused("ConfigureSession", "code", "message")
    assert (refused.command, refused.code) == ("ConfigureSession", "code")
    late = AckTimeout("ConfigureSession", "SessionUpdated", 2.0)
    assert (late.command, late.waited_s) == ("ConfigureSession", 2.0)
    config = ConfigError("a.b", "because")
    assert (config.path, config.reason) == ("a.b", "because")
    record = RecordError(7, "because")
    assert (record.line_no, record.reason) == (7, "because")
    assert RemoteProtocolError("x", peer="10.0.0.1").peer == "10.0.0.1"
    assert (WebSocketClosed(1001, "going").code, WebSocketClosed(1001, "going").reason) == (1001, "going")
    assert WebSocketRefused("x", status=503).status == 503


TREE = {
    ConfigError: VoxpipeError,
    AudioError: VoxpipeError,
    ProtocolError: VoxpipeError,
    LocalProtocolError: ProtocolError,
    RemoteProtocolError: ProtocolError,
    SessionError: VoxpipeError,
    FormatMismatch: SessionError,
    CommandRefused: SessionError,
    AckTimeout: SessionError,
    SessionLost: SessionError,
    RecordError: VoxpipeError,
    WebSocketClosed: VoxpipeError,
    WebSocketRefused: VoxpipeError,
}


def test_the_tree_is_the_one_that_is_drawn() -> None:
    """Catching VoxpipeError catches all of them, and each stands where the docstring draws it."""
    assert {error: error.__base__ for error in TREE} == TREE
    in_module = {
        kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__
    }
    assert in_module == {kind for kind in TREE if kind.__module__ == errors.__name__} | {VoxpipeError}
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in in_module)


@pytest.mark.parametrize("error", [error for error, _ in TEXTS], ids=[type(error).__name__ for error, _ in TEXTS])
def test_an_error_survives_a_worker_process(error: VoxpipeError) -> None:
    """Pickled and back it says and carries the same: multiprocessing and pytest-xdist hand errors over so."""
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
