"""What the session was asked to be, and what the provider confirmed that it is."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import attrs

from voxpipe.analysis.events import LogEvent, dig, text_at
from voxpipe.analysis.spelling import spelling_of
from voxpipe.audio import LINEAR_RATES_HZ, AudioFormat, Encoding
from voxpipe.errors import RemoteProtocolError
from voxpipe.sansio.dialect import overlay

UNKNOWN = "unknown"
OFF = "off"

Setting = dict[str, Any] | str
"""A table as the log has it, ``off`` for an explicit null, ``unknown`` where the log is silent."""


@attrs.frozen
class SessionFacts:
    """A session's configuration as one message tells it; a format no name is known for is in the provider's words."""

    line_no: int
    t_ns: int
    model: str = UNKNOWN
    voice: str = UNKNOWN
    uplink: AudioFormat | str = UNKNOWN
    downlink: AudioFormat | str = UNKNOWN
    turn_detection: Setting = UNKNOWN
    transcription: Setting = UNKNOWN
    modalities: str = UNKNOWN

    @property
    def formats(self) -> tuple[AudioFormat | str, AudioFormat | str]:
        """Uplink and downlink."""
        return self.uplink, self.downlink

    def to_json(self) -> dict[str, Any]:
        """Write the facts as JSON data."""
        return {
            **{name: getattr(self, name) for name in ("line_no", "model", "voice")},
            "uplink": describe_format(self.uplink),
            "downlink": describe_format(self.downlink),
            **{name: getattr(self, name) for name in ("turn_detection", "transcription", "modalities")},
        }


def describe_format(format_: AudioFormat | str) -> dict[str, Any]:
    """Say what a format is: its name, encoding, byte order and rate."""
    if isinstance(format_, str):
        return {"name": format_, "encoding": UNKNOWN, "byte_order": UNKNOWN, "rate_hz": None}
    linear = format_.encoding is Encoding.SLIN
    return {
        "name": format_.name,
        "encoding": {"slin": "16-bit linear", "ulaw": "G.711 mu-law", "alaw": "G.711 A-law"}[format_.encoding.value],
        "byte_order": "little-endian" if linear else "one byte a sample",
        "rate_hz": format_.rate_hz,
    }


def format_words(format_: AudioFormat | str) -> str:
    """Say in a few words what a format is."""
    if isinstance(format_, str):
        return format_
    facts = describe_format(format_)
    return f"{facts['name']} ({facts['encoding']}, {facts['byte_order']}, {facts['rate_hz']} Hz)"


def read_facts(event: LogEvent, session: dict[str, Any], model: str = UNKNOWN) -> SessionFacts:
    """Read the configuration in a message, GA's or the beta's."""
    flat = "audio" not in session and any(
        key in session for key in ("input_audio_format", "modalities", "input_audio_transcription", "turn_detection")
    )
    data = {"type": event.type, "session": session if flat or "audio" in session else {**session, "audio": {}}}
    return SessionFacts(
        line_no=event.line_no,
        t_ns=event.t_ns,
        model=text_at(session, "model") or model,
        voice=_voice(session),
        uplink=_format(data, "uplink"),
        downlink=_format(data, "downlink"),
        turn_detection=_setting(session, "turn_detection" if flat else "audio.input.turn_detection"),
        transcription=_setting(session, "input_audio_transcription" if flat else "audio.input.transcription"),
        modalities=_modalities(session),
    )


def _format(data: dict[str, Any], side: str) -> AudioFormat | str:
    spelling = spelling_of("session.updated", data)
    assert spelling is not None
    key = spelling.fields[side]
    if dig(data, key.path) is None:
        return UNKNOWN
    try:
        format_: AudioFormat | str = key.read(data)
    except RemoteProtocolError:
        return UNKNOWN
    return _linear(dig(data, key.path)) or format_


def _linear(wire: Any) -> AudioFormat | None:
    """Read a format that only other providers have: PCM of another rate."""
    rate_hz = wire.get("rate") if isinstance(wire, dict) and wire.get("type") == "audio/pcm" else None
    return AudioFormat(Encoding.SLIN, rate_hz) if rate_hz in LINEAR_RATES_HZ else None


def _voice(session: dict[str, Any]) -> str:
    voice = dig(session, "audio.output.voice") or session.get("voice")
    if isinstance(voice, dict):
        voice = voice.get("id")
    return voice if isinstance(voice, str) else UNKNOWN


def _setting(session: dict[str, Any], path: str) -> Setting:
    *tables, name = path.split(".")
    table = dig(session, ".".join(tables)) if tables else session
    if not isinstance(table, dict) or name not in table:
        return UNKNOWN
    value = table[name]
    return OFF if value is None else value if isinstance(value, dict) else UNKNOWN


def _modalities(session: dict[str, Any]) -> str:
    found = session.get("output_modalities", session.get("modalities"))
    return " and ".join(map(str, found)) if isinstance(found, list) and found else UNKNOWN


def _model_of(url: str) -> str | None:
    try:
        return parse_qs(urlsplit(url).query).get("model", [None])[0]
    except ValueError:
        return None


@attrs.define
class SessionWords:
    """What was said about the configuration of one session, message by message."""

    model: str = UNKNOWN
    defaults: SessionFacts | None = None
    requested: SessionFacts | None = None
    confirmed: SessionFacts | None = None
    asked: dict[str, Any] = attrs.field(factory=dict)
    pending_ns: int | None = None

    def create(self, facts: SessionFacts) -> None:
        """Begin anew: another session, in a log that does not number them."""
        self.defaults, self.confirmed, self.requested = facts, None, None
        self.asked, self.pending_ns = {}, None

    def request(self, event: LogEvent, session: dict[str, Any]) -> None:
        """Something was asked for; the rest is as it was."""
        self.asked = overlay(self.asked, session)
        self.requested = read_facts(event, self.asked, self.model)
        self.pending_ns = event.t_ns if self.pending_ns is None else self.pending_ns

    def confirm(self, facts: SessionFacts) -> int | None:
        """The provider said what is in force; return how long that was waited for, if it was."""
        self.confirmed = facts
        waited_ns = None if self.pending_ns is None else facts.t_ns - self.pending_ns
        self.pending_ns = None
        return waited_ns


class Configuration:
    """The configuration of a call: that of the session which serves it, or has served it last.

    A session that is opened beside the one that serves counts from when it took over. Until one was ready the latest
    counts, since it is tried with other formats. A plain log has no numbers: there each new session takes over.
    """

    def __init__(self) -> None:
        self.sessions = 0
        self.changes: list[SessionFacts] = []
        """Confirmations whose formats differ from the one before, in one session."""
        self.ack_ns: list[int] = []
        self._serving = SessionWords()
        self._serving_number = 1
        self._beside: SessionWords | None = None
        self._beside_number = 1
        self._was_ready = False

    @property
    def defaults(self) -> SessionFacts | None:
        """What the provider's ``session.created`` said, before anything was asked for."""
        return self._serving.defaults

    @property
    def requested(self) -> SessionFacts | None:
        """All that was asked for."""
        return self._serving.requested

    @property
    def confirmed(self) -> SessionFacts | None:
        """What the provider confirmed, at last."""
        return self._serving.confirmed

    @property
    def unanswered(self) -> int:
        """How many requests were neither acknowledged nor refused: the last one, or none."""
        return int(self._serving.pending_ns is not None)

    @property
    def uplink(self) -> AudioFormat | None:
        """The format of caller audio at the provider, as far as it is known by now."""
        return self._in_force("uplink")

    @property
    def downlink(self) -> AudioFormat | None:
        """The format of the provider's audio, as far as it is known by now."""
        return self._in_force("downlink")

    @property
    def effective(self) -> SessionFacts | None:
        """What is in force: confirmed, or the provider's defaults where nothing was ever asked for."""
        return self.confirmed or (self.defaults if self.requested is None else None)

    def serves(self, event: LogEvent) -> bool:
        """Whether an event is of the session that serves, or of none."""
        return event.session in (1, self._serving_number)

    def take(self, event: LogEvent) -> bool:
        """Take a message about the session, or the connection that names its model.

        Return whether another session serves from now on.
        """
        one = self._words_of(event.session)
        session = event.data.get("session")
        if event.type in ("connection.opening", "connection.opened"):
            one.model = _model_of(text_at(event.data, "url") or "") or text_at(event.data, "model") or one.model
        elif event.type == "error":
            one.pending_ns = None  # a refusal is an answer
        elif event.type == "session.ready":
            self._was_ready = True
        elif event.type == "session.took_over":
            self._serving, self._serving_number, self._beside = one, event.session, None
            return True
        elif not isinstance(session, dict):
            return False
        elif event.type == "session.created":
            self.sessions += 1
            one.create(read_facts(event, session, one.model))
            return one is self._serving
        elif event.type == "session.update":
            one.request(event, session)
        else:
            self._confirm(one, read_facts(event, session, one.model))
        return False

    def _words_of(self, number: int) -> SessionWords:
        if number <= self._serving_number:
            return self._serving
        if not self._was_ready:
            self._serving, self._serving_number = SessionWords(), number
            return self._serving
        if self._beside is None or number != self._beside_number:
            self._beside, self._beside_number = SessionWords(), number
        return self._beside

    def _confirm(self, one: SessionWords, facts: SessionFacts) -> None:
        if one.confirmed is not None and any(
            before != after and UNKNOWN not in (before, after)
            for before, after in zip(one.confirmed.formats, facts.formats, strict=True)
        ):
            self.changes.append(facts)
        waited_ns = one.confirm(facts)
        if waited_ns is not None:
            self.ack_ns.append(waited_ns)

    def _in_force(self, side: str) -> AudioFormat | None:
        for facts in (self.confirmed, self.requested, self.defaults):
            format_ = getattr(facts, side, None)
            if isinstance(format_, AudioFormat):
                return format_
        return None
