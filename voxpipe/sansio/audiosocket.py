"""AudioSocket without the socket: bytes to leg events, audio to bytes.

A message is ``kind`` (1 byte), ``length`` (2 bytes, big-endian) and so many bytes. Samples are little-endian, whatever
the header is. Source of the kinds: Asterisk's ``res_audiosocket.h``, ``app_audiosocket.c`` and ``chan_audiosocket.c``.

The kind alone does not prove the format: the channel driver sends every codec that is not linear as kind 0x10, so that
kind 0x10 with 160 bytes per 20 ms is G.711 and with 320 bytes slin8. Nothing here guesses which of the two laws it is,
and nothing here takes one for the other: a payload which contradicts the leg's format is a ``RemoteProtocolError``.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import attrs

from voxpipe.audio import (
    ALAW8,
    SLIN8,
    SLIN12,
    SLIN16,
    SLIN24,
    SLIN32,
    SLIN44,
    SLIN48,
    SLIN96,
    SLIN192,
    ULAW8,
    AudioFormat,
    Encoding,
)
from voxpipe.errors import RemoteProtocolError
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

KIND_HANGUP: Final = 0x00
KIND_UUID: Final = 0x01
KIND_DTMF: Final = 0x03
KIND_ERROR: Final = 0xFF
AUDIO_KINDS: Final[dict[int, AudioFormat]] = {
    0x10: SLIN8,
    0x11: SLIN12,
    0x12: SLIN16,
    0x13: SLIN24,
    0x14: SLIN32,
    0x15: SLIN44,
    0x16: SLIN48,
    0x17: SLIN96,
    0x18: SLIN192,
}
KINDS: Final[dict[AudioFormat, int]] = {format_: kind for kind, format_ in AUDIO_KINDS.items()} | {
    ULAW8: 0x10,
    ALAW8: 0x10,
}
"""The kind in which Asterisk sends a format."""

HEADER_BYTES: Final = 3
MAX_PAYLOAD_BYTES: Final = 0xFFFF
DIGITS: Final = frozenset(b"0123456789*#ABCD")
ERROR_FLAGS: Final = {0x01: "hang-up of the calling party", 0x02: "frame forwarding", 0x04: "memory"}
HANGUP: Final = b"\x00\x00\x00"
"""The message that ends the call from our side; the dialplan goes on."""


def downlink_format(uplink: AudioFormat) -> AudioFormat:
    """Tell what Asterisk expects from us on a leg that sends ``uplink``: kind 0x10 is always read as slin8."""
    return SLIN8 if uplink.encoding is not Encoding.SLIN else uplink


def encode_audio(format_: AudioFormat, audio: bytes) -> bytes:
    """Make one message of linear audio; at most 65 535 bytes of it, which Asterisk reads as one frame."""
    if format_.encoding is not Encoding.SLIN:
        raise ValueError(f"expected a linear format, got {format_}: kind 0x10 is always read as slin8")
    if not 0 < len(audio) <= MAX_PAYLOAD_BYTES:
        raise ValueError(f"expected 1 to {MAX_PAYLOAD_BYTES} bytes in a message, got {len(audio)}")
    return bytes((KINDS[format_],)) + len(audio).to_bytes(2, "big") + audio


@attrs.frozen
class DecoderStatistics:
    """What a decoder has seen so far."""

    messages: int
    audio_messages: int
    audio_bytes: int
    digits: int
    unknown_messages: int


class Decoder:
    """Turns what arrives on an AudioSocket connection into leg events.

    ``format_`` is the leg's configured format, or ``None`` to learn it from the first audio message. ``receive`` takes
    any split of the bytes. Everything the peer must not do raises ``RemoteProtocolError``, after which the decoder is
    useless.
    """

    def __init__(self, format_: AudioFormat | None = None) -> None:
        self._buffer = bytearray()
        self._expected = format_
        self._uplink: AudioFormat | None = None
        self._audio_kind = -1
        self._identified = False
        self._ended = False
        self._unknown_kinds: set[int] = set()
        self._messages = self._audio_messages = self._audio_bytes = self._digits = self._unknown_messages = 0

    def receive(self, data: bytes | bytearray) -> list[LegEvent]:
        """Take what was read from the connection and return the events of each whole message."""
        self._buffer += data
        events: list[LegEvent] = []
        offset = 0
        available = len(self._buffer)
        while available - offset >= HEADER_BYTES and not self._ended:
            kind = self._buffer[offset]
            length = self._buffer[offset + 1] << 8 | self._buffer[offset + 2]
            end = offset + HEADER_BYTES + length
            if not self._identified:
                self._check_identification(kind, length)  # junk has no honest length to wait for
            if available < end:
                break
            self._message(kind, bytes(self._buffer[offset + HEADER_BYTES : end]), events)
            offset = end
        del self._buffer[:offset]
        return events

    def receive_eof(self) -> None:
        """Take the end of the connection; in the middle of a message it is a ``RemoteProtocolError``."""
        if self._buffer and not self._ended:
            raise RemoteProtocolError(f"expected whole messages, got the end of the connection {self._torn()}")

    def statistics(self) -> DecoderStatistics:
        """Count what has been seen."""
        return DecoderStatistics(
            self._messages, self._audio_messages, self._audio_bytes, self._digits, self._unknown_messages
        )

    def _torn(self) -> str:
        if len(self._buffer) < HEADER_BYTES:
            return f"after {len(self._buffer)} of the {HEADER_BYTES} bytes of a header"
        length = self._buffer[1] << 8 | self._buffer[2]
        return (
            f"after {len(self._buffer) - HEADER_BYTES} of {length} bytes of a message of kind 0x{self._buffer[0]:02x}"
        )

    def _message(self, kind: int, payload: bytes, events: list[LegEvent]) -> None:
        self._messages += 1
        if not self._identified:
            self._identify(payload, events)
        elif kind in AUDIO_KINDS:
            self._audio(kind, payload, events)
        elif kind == KIND_HANGUP:
            self._ended = True
            events.append(LegHungUp())
        elif kind == KIND_DTMF and len(payload) == 1 and payload[0] in DIGITS:
            self._digits += 1
            events.append(DigitReceived(payload.decode("ascii")))
        elif kind == KIND_ERROR:
            code = payload[0] if payload else None
            flags = tuple(name for bit, name in ERROR_FLAGS.items() if code is not None and code & bit)
            events.append(LegErrorReported(code, flags))
        elif kind == KIND_UUID:
            raise RemoteProtocolError("expected one UUID (kind 0x01) at the start of the leg, got a second one")
        else:
            # Older clients used 0x02 and 0x03 for things of their own: skipped, never fatal.
            self._unknown_messages += 1
            if kind not in self._unknown_kinds:
                self._unknown_kinds.add(kind)
                events.append(UnknownKindReceived(kind, len(payload)))

    def _check_identification(self, kind: int, length: int) -> None:
        if kind != KIND_UUID:
            raise RemoteProtocolError(f"expected the UUID (kind 0x01) first, got kind 0x{kind:02x}")
        if length != 16:
            raise RemoteProtocolError(f"expected a UUID of 16 bytes, got {length}")

    def _identify(self, payload: bytes, events: list[LegEvent]) -> None:
        self._identified = True
        events.append(LegIdentified(UUID(bytes=payload)))

    def _audio(self, kind: int, payload: bytes, events: list[LegEvent]) -> None:
        uplink = self._uplink
        if uplink is None:
            uplink = self._uplink = self._first_format(kind, payload)
            self._audio_kind = kind
            events.append(LegFormatConfirmed(uplink, downlink_format(uplink)))
        elif kind != self._audio_kind or len(payload) != uplink.frame_bytes:
            self._check(uplink, kind, payload)
        self._audio_messages += 1
        self._audio_bytes += len(payload)
        events.append(LegAudioReceived(payload))

    def _first_format(self, kind: int, payload: bytes) -> AudioFormat:
        if self._expected is not None:
            self._check(self._expected, kind, payload)
            return self._expected
        if kind == KINDS[ULAW8] and len(payload) == ULAW8.frame_bytes:
            raise RemoteProtocolError(
                f"expected {SLIN8.frame_bytes} bytes (20 ms of slin8) in the first audio of kind 0x10, "
                f"got {len(payload)}, "
                "which is 20 ms of G.711: add c(slin) to the dialplan's AudioSocket/..., or configure leg.format "
                "as ulaw8 or alaw8"
            )
        self._check(AUDIO_KINDS[kind], kind, payload)
        return AUDIO_KINDS[kind]

    def _check(self, uplink: AudioFormat, kind: int, payload: bytes) -> None:
        if kind != KINDS[uplink]:
            raise RemoteProtocolError(
                f"expected audio of kind 0x{KINDS[uplink]:02x} ({uplink}), got kind 0x{kind:02x} ({AUDIO_KINDS[kind]})"
            )
        # At kind 0x10, 160 bytes are 20 ms of G.711 and 320 bytes 20 ms of slin8: each contradicts the other format.
        contradiction = 0
        if kind == KINDS[SLIN8]:
            contradiction = ULAW8.frame_bytes if uplink == SLIN8 else SLIN8.frame_bytes
        if not payload or len(payload) == contradiction or len(payload) % uplink.sample_bytes:
            raise RemoteProtocolError(
                f"expected {uplink.frame_bytes} bytes (20 ms of {uplink}), got {len(payload)}"
                + (" (20 ms of G.711)" if contradiction == len(payload) == ULAW8.frame_bytes else "")
                + (" (20 ms of slin8)" if contradiction == len(payload) == SLIN8.frame_bytes else "")
            )


class Framer:
    """Cuts audio of any length into frames and keeps the remainder."""

    def __init__(self, format_: AudioFormat) -> None:
        self._frame_bytes = format_.frame_bytes
        self._rest = b""

    def cut(self, audio: bytes) -> list[bytes]:
        """Return the whole frames of what is left and ``audio``."""
        size = self._frame_bytes
        if not self._rest and len(audio) == size:
            return [audio]
        audio = self._rest + audio
        whole = len(audio) // size * size
        self._rest = audio[whole:]
        return [audio[start : start + size] for start in range(0, whole, size)]
