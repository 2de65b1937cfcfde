"""AudioSocket, whole and in pieces."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxpipe.audio import ALAW8, FORMATS, SLIN8, SLIN16, SLIN24, ULAW8, AudioFormat, Encoding
from voxpipe.errors import RemoteProtocolError
from voxpipe.sansio.audiosocket import AUDIO_KINDS, HANGUP, KINDS, Decoder, Framer, downlink_format, encode_audio
from voxpipe.sansio.leg import (
    DigitReceived,
    LegAudioReceived,
    LegErrorReported,
    LegEvent,
    LegFormatConfirmed,
    LegHungUp,
    LegIdentified,
    UnknownKindReceived,
)

CALL = UUID("11112222-3333-4444-5555-666677778888")
HELLO = b"\x01\x00\x10" + CALL.bytes


def message(kind: int, payload: bytes = b"") -> bytes:
    """Frame a payload as Asterisk does."""
    return bytes((kind,)) + len(payload).to_bytes(2, "big") + payload


SLIN8_FRAME = message(0x10, bytes(range(160)) * 2)

WIRES: list[tuple[str, AudioFormat | None, bytes, list[LegEvent]]] = [
    ("uuid", None, b"", []),
    ("hang-up", None, message(0x00), [LegHungUp()]),
    ("digits", None, message(0x03, b"5") + message(0x03, b"#"), [DigitReceived("5"), DigitReceived("#")]),
    ("letters", None, message(0x03, b"A"), [DigitReceived("A")]),
    (
        "slin8 learnt",
        None,
        SLIN8_FRAME,
        [LegFormatConfirmed(SLIN8, SLIN8), LegAudioReceived(bytes(range(160)) * 2)],
    ),
    (
        "slin24 learnt",
        None,
        message(0x13, b"\x01\x02" * 480),
        [LegFormatConfirmed(SLIN24, SLIN24), LegAudioReceived(b"\x01\x02" * 480)],
    ),
    (
        "mu-law configured",
        ULAW8,
        message(0x10, b"\x7f" * 160),
        [LegFormatConfirmed(ULAW8, SLIN8), LegAudioReceived(b"\x7f" * 160)],
    ),
    (
        "A-law configured, 30 ms",
        ALAW8,
        message(0x10, b"\xd5" * 240),
        [LegFormatConfirmed(ALAW8, SLIN8), LegAudioReceived(b"\xd5" * 240)],
    ),
    (
        "slin8 of 30 ms",
        None,
        message(0x10, b"\x00\x01" * 240),
        [LegFormatConfirmed(SLIN8, SLIN8), LegAudioReceived(b"\x00\x01" * 240)],
    ),
    ("error without code", None, message(0xFF), [LegErrorReported(None, ())]),
    (
        "error with two bits",
        None,
        message(0xFF, b"\x05"),
        [LegErrorReported(5, ("hang-up of the calling party", "memory"))],
    ),
    (
        "unknown kinds once each",
        None,
        message(0x02, b"abc") + message(0x42) + message(0x02, b"x") + message(0x03, b"no digit"),
        [UnknownKindReceived(0x02, 3), UnknownKindReceived(0x42, 0), UnknownKindReceived(0x03, 8)],
    ),
    ("nothing after hang-up", None, message(0x00) + SLIN8_FRAME, [LegHungUp()]),
]


@pytest.mark.parametrize(("format_", "wire", "events"), [row[1:] for row in WIRES], ids=[row[0] for row in WIRES])
def test_messages_mean_the_same_however_they_are_split(
    format_: AudioFormat | None, wire: bytes, events: list[LegEvent]
) -> None:
    """A wire read whole, and byte by byte, and with a tail of the next message, gives the same events."""
    expected = [LegIdentified(CALL), *events]
    assert Decoder(format_).receive(HELLO + wire) == expected
    decoder = Decoder(format_)
    assert [event for byte in HELLO + wire for event in decoder.receive(bytes((byte,)))] == expected
    decoder.receive_eof()
    if LegHungUp() not in events:
        tailed = Decoder(format_)
        assert tailed.receive(HELLO + wire + b"\x03\x00") == expected
        assert tailed.receive(b"\x01*") == [DigitReceived("*")]


@given(st.lists(st.integers(1, 400), max_size=30))
def test_any_split_gives_the_same_events(cuts: list[int]) -> None:
    """However the reads fall, the events are those of one read."""
    wire = HELLO + SLIN8_FRAME * 3 + message(0x03, b"7") + SLIN8_FRAME
    whole = Decoder().receive(wire)
    decoder, events, position = Decoder(), [], 0
    for size in [*cuts, len(wire)]:
        events += decoder.receive(wire[position : position + size])
        position += size
    assert events == whole


@given(st.binary(max_size=2000))
def test_a_hostile_peer_gets_events_or_a_protocol_error(data: bytes) -> None:
    """Whatever bytes come, the decoder answers with events or blames the peer; nothing else is raised."""
    decoder = Decoder()
    try:
        decoder.receive(HELLO + data)
        decoder.receive_eof()
    except RemoteProtocolError:
        pass


@pytest.mark.parametrize("kind", AUDIO_KINDS, ids=hex)
def test_every_audio_kind_is_learnt_from_its_first_frame(kind: int) -> None:
    """A frame of each linear kind confirms the format of that kind, for both directions."""
    format_ = AUDIO_KINDS[kind]
    events = Decoder().receive(HELLO + message(kind, b"\x00" * format_.frame_bytes))
    assert events[1] == LegFormatConfirmed(format_, format_)
    assert encode_audio(format_, b"\x00" * format_.frame_bytes) == message(kind, b"\x00" * format_.frame_bytes)


FAULTS: list[tuple[str, AudioFormat | None, bytes, str]] = [
    ("no UUID first", None, SLIN8_FRAME, "expected the UUID (kind 0x01) first, got kind 0x10"),
    ("another protocol", None, b"GET", "expected the UUID (kind 0x01) first, got kind 0x47"),
    ("a length that lies", None, b"\x01\xff\xff", "expected a UUID of 16 bytes, got 65535"),
    ("short UUID", None, message(0x01, b"abc"), "expected a UUID of 16 bytes, got 3"),
    ("two UUIDs", None, HELLO + HELLO, "expected one UUID (kind 0x01) at the start of the leg, got a second one"),
    (
        "G.711 not configured",
        None,
        HELLO + message(0x10, b"\xff" * 160),
        "expected 320 bytes (20 ms of slin8) in the first audio of kind 0x10, got 160, which is 20 ms of G.711: "
        "add c(slin) to the dialplan's AudioSocket/..., or configure leg.format as ulaw8 or alaw8",
    ),
    (
        "G.711 on a slin8 leg",
        SLIN8,
        HELLO + message(0x10, b"\xff" * 160),
        "expected 320 bytes (20 ms of slin8), got 160 (20 ms of G.711)",
    ),
    (
        "G.711 in mid-call",
        None,
        HELLO + SLIN8_FRAME + message(0x10, b"\xff" * 160),
        "expected 320 bytes (20 ms of slin8), got 160 (20 ms of G.711)",
    ),
    (
        "slin8 on a mu-law leg",
        ULAW8,
        HELLO + SLIN8_FRAME,
        "expected 160 bytes (20 ms of ulaw8), got 320 (20 ms of slin8)",
    ),
    (
        "another kind than configured",
        SLIN16,
        HELLO + SLIN8_FRAME,
        "expected audio of kind 0x12 (slin16), got kind 0x10 (slin8)",
    ),
    (
        "the kind changes",
        None,
        HELLO + SLIN8_FRAME + message(0x12, b"\x00" * 640),
        "expected audio of kind 0x10 (slin8), got kind 0x12 (slin16)",
    ),
    ("half a sample", None, HELLO + message(0x12, b"\x00" * 641), "expected 640 bytes (20 ms of slin16), got 641"),
    ("no audio at all", None, HELLO + message(0x10), "expected 320 bytes (20 ms of slin8), got 0"),
]


@pytest.mark.parametrize(("format_", "wire", "text"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_contradiction_is_loud(format_: AudioFormat | None, wire: bytes, text: str) -> None:
    """What contradicts the leg's format or the protocol is an error with expected and actual."""
    with pytest.raises(RemoteProtocolError) as caught:
        Decoder(format_).receive(wire)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (HELLO + b"\x10", "expected whole messages, got the end of the connection after 1 of the 3 bytes of a header"),
        (
            HELLO + b"\x10\x01\x40abc",
            "expected whole messages, got the end of the connection after 3 of 320 bytes of a message of kind 0x10",
        ),
    ],
)
def test_an_end_inside_a_message_is_loud(wire: bytes, text: str) -> None:
    """A connection that ends in the middle of a message says where it was torn."""
    decoder = Decoder()
    decoder.receive(wire)
    with pytest.raises(RemoteProtocolError) as caught:
        decoder.receive_eof()
    assert str(caught.value) == text


def test_asterisk_reads_kind_0x10_from_us_as_slin8() -> None:
    """The downlink of a G.711 leg is slin8; that of a linear leg is its own format."""
    assert [downlink_format(format_) for format_ in (ULAW8, ALAW8, SLIN8, SLIN24)] == [SLIN8, SLIN8, SLIN8, SLIN24]
    for format_ in FORMATS:
        assert downlink_format(format_).encoding is Encoding.SLIN
        assert KINDS[downlink_format(format_)] in AUDIO_KINDS


def test_we_cannot_send_what_asterisk_drops_the_call_for() -> None:
    """Empty audio, oversize audio and G.711 are refused before they reach the wire."""
    assert message(0x00) == HANGUP
    with pytest.raises(ValueError, match="expected 1 to 65535 bytes"):
        encode_audio(SLIN8, b"")
    with pytest.raises(ValueError, match="expected 1 to 65535 bytes"):
        encode_audio(SLIN8, bytes(65_536))
    with pytest.raises(ValueError, match="expected a linear format, got ulaw8"):
        encode_audio(ULAW8, bytes(160))


@given(st.lists(st.binary(max_size=1000), max_size=20))
def test_frames_hold_every_byte_in_order(pieces: list[bytes]) -> None:
    """Whole frames come out as soon as they are there, and no byte is lost or moved."""
    framer = Framer(SLIN8)
    audio = b"".join(pieces)
    frames = [frame for piece in pieces for frame in framer.cut(piece)]
    assert all(len(frame) == 320 for frame in frames)
    assert b"".join(frames) == audio[: len(audio) // 320 * 320]


def test_statistics_count_what_came() -> None:
    """The decoder counts messages, audio, digits and what it skipped."""
    decoder = Decoder()
    decoder.receive(HELLO + SLIN8_FRAME * 2 + message(0x03, b"1") + message(0x42) + message(0x42))
    counted = decoder.statistics()
    assert (counted.messages, counted.audio_messages, counted.audio_bytes) == (6, 2, 640)
    assert (counted.digits, counted.unknown_messages) == (1, 2)
