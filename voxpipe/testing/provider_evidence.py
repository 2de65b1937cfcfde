"""What a simulated provider keeps of each session, all of it bounded: the evidence of the tests."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import attrs

KEPT_MESSAGES = 1_000
KEPT_BODY_BYTES = 65_536
KEPT_CHUNKS = 100_000
KEPT_COMPLAINTS = 1_000
CLOCK_STOPS_S = 0.5


@attrs.frozen
class Complaint:
    """Something the client did wrong; harmless when a correct client can do it too, by messages that cross."""

    time_s: float
    code: str
    message: str
    expected: str = ""
    actual: str = ""
    harmless: bool = False

    def __str__(self) -> str:
        detail = f" (expected {self.expected}, got {self.actual})" if self.expected else ""
        return f"{self.code}: {self.message}{detail}"


@attrs.frozen
class ClientMessage:
    """One message of the client other than audio; the body is left out when it is larger than 64 KiB.

    ``meaning`` is what it asks for in GA's words, whatever the client's: several things, or nothing.
    """

    time_s: float
    type: str
    event_id: str | None
    body: dict[str, Any]
    meaning: tuple[dict[str, Any], ...] = ()


@attrs.frozen
class AudioHeard:
    """One ``input_audio_buffer.append``: when it came, and its size after decoding."""

    time_s: float
    size_bytes: int


@attrs.frozen
class AudioSent:
    """One chunk of an answer: when it was handed to the socket, of which response and item, and its size."""

    time_s: float
    response_id: str
    item_id: str
    size_bytes: int


@attrs.frozen
class TurnHeard:
    """One turn of the caller, in milliseconds of appended audio, with its audio in the uplink format."""

    time_s: float
    item_id: str
    start_ms: int
    end_ms: int
    audio: bytes


@attrs.frozen
class AnswerSent:
    """One finished response: its status and reason, and how much of its audio was sent."""

    time_s: float
    response_id: str
    item_id: str | None
    status: str
    reason: str | None
    audio_bytes: int


@attrs.define(eq=False)
class ProviderSession:
    """One connection, seen from the provider. Times are in seconds since the connection was accepted by TCP.

    ``uplink`` and ``downlink`` hold the first ``keep_bytes`` of decoded audio each way; ``uplink_bytes`` and
    ``downlink_bytes`` count all of it.
    """

    number: int
    keep_bytes: int
    path: str = ""
    headers: dict[str, str] = attrs.field(factory=dict)
    messages: deque[ClientMessage] = attrs.field(factory=lambda: deque(maxlen=KEPT_MESSAGES))
    received: Counter[str] = attrs.field(factory=Counter)
    sent: Counter[str] = attrs.field(factory=Counter)
    audio_heard: deque[AudioHeard] = attrs.field(factory=lambda: deque(maxlen=KEPT_CHUNKS))
    audio_sent: deque[AudioSent] = attrs.field(factory=lambda: deque(maxlen=KEPT_CHUNKS))
    turns: deque[TurnHeard] = attrs.field(factory=lambda: deque(maxlen=KEPT_MESSAGES))
    answers: deque[AnswerSent] = attrs.field(factory=lambda: deque(maxlen=KEPT_MESSAGES))
    complaints: list[Complaint] = attrs.field(factory=list)
    complaints_left_out: int = 0
    uplink: bytearray = attrs.field(factory=bytearray)
    uplink_bytes: int = 0
    downlink: bytearray = attrs.field(factory=bytearray)
    downlink_bytes: int = 0
    configuration: dict[str, Any] | None = None
    """The effective session in GA spelling, once it was acknowledged."""
    ready_s: float | None = None
    closed: tuple[int, str] | None = None
    """Close code and reason, whoever closed; 1006 when the connection was lost."""

    @property
    def understood(self) -> list[dict[str, Any]]:
        """What the client asked for besides audio, in GA's words, whatever its own."""
        return [meaning for message in self.messages for meaning in message.meaning]

    @property
    def open(self) -> bool:
        """Whether the connection is still there."""
        return self.closed is None

    def hears(self, time_s: float) -> bool:
        """Whether uplink audio comes, or came of late."""
        return bool(self.audio_heard) and time_s - self.audio_heard[-1].time_s < CLOCK_STOPS_S

    def heard(self, time_s: float, audio: bytes) -> None:
        """Keep a piece of uplink audio."""
        self.audio_heard.append(AudioHeard(time_s, len(audio)))
        self.uplink_bytes += len(audio)
        self.uplink += audio[: max(self.keep_bytes - len(self.uplink), 0)]

    def spoke(self, chunk: AudioSent, audio: bytes) -> None:
        """Keep a chunk of downlink audio."""
        self.audio_sent.append(chunk)
        self.downlink_bytes += len(audio)
        self.downlink += audio[: max(self.keep_bytes - len(self.downlink), 0)]

    def turn(self, turn: TurnHeard) -> None:
        """Keep a turn; its audio counts against ``keep_bytes`` together with that of the turns before it."""
        room_bytes = self.keep_bytes - sum(len(kept.audio) for kept in self.turns)
        self.turns.append(turn if len(turn.audio) <= room_bytes else attrs.evolve(turn, audio=b""))

    def complain(self, complaint: Complaint) -> None:
        """Keep a complaint, or count it when there are too many."""
        if len(self.complaints) < KEPT_COMPLAINTS:
            self.complaints.append(complaint)
        else:
            self.complaints_left_out += 1


@attrs.frozen
class ProviderNote:
    """Something worth telling while it happens: ``kind`` is opened, configured, turn, answer, complaint or closed."""

    time_s: float
    session: ProviderSession
    kind: str
    text: str
    complaint: Complaint | None = None
