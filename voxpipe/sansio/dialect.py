"""A dialect is data: how one provider spells the neutral commands and events. The tables are in ``voxpipe.dialects``.

Reading is liberal: extra keys are never an error, a type without an entry becomes ``UnknownEvent``. A key that an event
cannot do without (the audio of an audio event) must be there: ``RemoteProtocolError`` names its path.

Some providers say less than the neutral words do: they have no responses, or no end of a turn. Then the table makes
*marks* of their messages, and the dialect's ``Reader``, one for each session, makes events of marks: it remembers what
came before, and nothing else. It is pure, so that a log can be read through it again.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import attrs
import orjson
import pybase64

from voxpipe.audio import AudioFormat
from voxpipe.errors import RemoteProtocolError
from voxpipe.sansio.command_words import Command
from voxpipe.sansio.realtime import ProviderEvent, ResponseCreated, UnknownEvent
from voxpipe.sansio.transitions import ACKS

Wire: TypeAlias = dict[str, Any]
"""A message as the provider's JSON has it."""


class Mark:
    """What a message says in the provider's own terms; base of the classes that only the dialect's reader knows."""


Decoded: TypeAlias = ProviderEvent | Mark


class Reader:
    """Makes neutral events of one session's messages. This one is for a provider whose messages are such events.

    ``number`` is that of the session in its call. What a reader names carries it, in ``_apart``, from the second on:
    the call remembers turns and answers by their names, over all of its sessions.
    """

    def __init__(self, number: int = 1) -> None:
        self._apart = "" if number == 1 else f"_of_session_{number}"

    def begin(self) -> list[ProviderEvent]:
        """What happens when the connection opens, where the provider says nothing until it is asked."""
        return []

    def end(self) -> list[ProviderEvent]:
        """What is to be taken for over when the session is lost, since no message will tell."""
        return []

    def read(self, decoded: Decoded) -> list[ProviderEvent]:
        """What a message means after all those before it, in order; nothing where it only adds to a later one."""
        return [] if isinstance(decoded, Mark) else [decoded]


class _Required:
    pass


REQUIRED = _Required()


@attrs.frozen
class Key:
    """Where a field of an event is in the wire message (``a.b.c``), what it becomes, and what it is when missing."""

    path: str
    convert: Callable[[Any], Any] | None = None
    default: Any = REQUIRED
    keys: tuple[str, ...] = attrs.field(init=False)

    @keys.default
    def _split(self) -> tuple[str, ...]:
        return tuple(self.path.split("."))

    def read(self, message: Wire) -> Any:
        """Return the field's value; ``RemoteProtocolError`` when it must be there and is not, or is of no use."""
        value: Any = message
        for key in self.keys:
            value = value.get(key, self) if isinstance(value, dict) else self
            if value is self:
                break
        if value is self or value is None:
            if self.default is REQUIRED:
                raise RemoteProtocolError(f"expected {self.path} in {message.get('type')!r}, got a message without it")
            return self.default
        if self.convert is None:
            return value
        try:
            return self.convert(value)
        except (ValueError, TypeError) as error:
            raise RemoteProtocolError(f"{self.path} in {message.get('type')!r}: {error}") from error


def text(path: str) -> Key:
    """Text that must be there: an id without which the event says nothing."""
    return Key(path, as_text)


def optional_text(path: str) -> Key:
    """Text, or ``None`` where there is none."""
    return Key(path, as_text, default=None)


def optional_number(path: str) -> Key:
    """A number, or ``None`` where there is none."""
    return Key(path, as_number, default=None)


@attrs.frozen
class EventSpelling:
    """The class of an event, and where its fields are."""

    event: Callable[..., Decoded]
    fields: Mapping[str, Key] = attrs.field(factory=dict)


@attrs.frozen
class View:
    """How a log's reader sees a message of a provider that has other words: as which of the reference dialect's.

    ``make`` gets the message and the session that was asked for last, in the reference's words.
    """

    wire_type: str
    make: Callable[[Wire, Wire], Wire] = lambda wire, _asked: wire


def as_text(value: object) -> str:
    """Take text; ``ValueError`` for anything else, which could not serve as an id."""
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {value!r:.80}")
    return value


def as_number(value: object) -> int:
    """Take a number, to the nearest whole one; ``ValueError`` for anything else, or beyond what JSON keeps exactly."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1 << 53:
        raise ValueError(f"expected a number, got {value!r:.80}")
    return round(value)


def base64_bytes(value: object) -> bytes:
    """Decode base64 strictly; ``ValueError`` otherwise."""
    if not isinstance(value, str):
        raise ValueError(f"expected base64 text, got {type(value).__name__}")
    try:
        return pybase64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError(f"expected base64, got text which is none: {error}") from error


def overlay(wire: Wire, extra: Mapping[str, Any]) -> Wire:
    """Lay further keys over a message, tables over tables: one key within ``audio`` must not cost the formats there."""
    both = {name: overlay(wire[name], value) for name, value in extra.items() if _are_tables(wire.get(name), value)}
    return {**wire, **extra, **both}


def _are_tables(*values: object) -> bool:
    return all(isinstance(value, dict) for value in values)


@attrs.frozen
class Dialect:
    """One provider's spelling.

    ``url``, ``query`` and ``headers`` may hold ``{model}`` and ``{api_key}``. ``commands`` gives the encoder of each
    command the provider understands; ``audio_keys`` names, by wire type, the key that holds audio; ``unknown_keys`` are
    paths in the configuration for which the provider has no word; ``busy_codes`` refuse a response while another runs;
    ``expired_codes`` are those of ``fatal_codes`` after which another session would be of use. ``command_id_key`` is
    where our id stands in a command, if anywhere. Where ``binary_type`` is set, audio goes in binary messages both
    ways, and that is what a log calls them.

    ``acks`` are the acknowledgements that differ from ``ACKS``: ``None`` where the provider gives none. A command that
    ``ResponseCreated`` confirms is answered by the provider unasked; it may take ``answer_s`` longer than others.
    ``silent_ack``: the acknowledgement tells no formats, and confirms those that were asked for. ``tells_speech_end``
    is false where nobody says when the caller's turn is over. ``full_duplex``: the agent listens while it speaks, and
    falls silent by itself. ``session_limit_s`` is how long a session may serve. ``keepalive`` is sent when nothing else
    was for ``keepalive_s``; with ``fills_gaps_s``, so much silence is sent as the caller's audio when none came for as
    long, since the provider takes its time from that. ``one_format``: both directions have the same. ``recall_chars``
    is the longest piece in which it can be told what was said before, if there is one. ``farewell`` asks it to end a
    session, which it says by ``farewell_answer``.

    ``views`` is for those who read a log: messages by type, sent and received. What a ``reader`` made of messages is in
    the log besides, in the reference dialect's words. ``format_names`` are what templates of URLs and headers may use;
    ``url_example`` shows a URL where there is none for all; ``advice`` is what to do about a refusal, by its code.
    """

    name: str
    url: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    default_model: str
    api_key_env: str
    formats: tuple[AudioFormat, ...]
    events: Mapping[str, EventSpelling]
    commands: Mapping[type, Callable[[Any], Wire]]
    audio_type: str
    audio_keys: Mapping[str, str]
    fatal_codes: frozenset[str]
    unknown_keys: frozenset[str] = frozenset()
    busy_codes: frozenset[str] = frozenset()
    expired_codes: frozenset[str] = frozenset()
    command_id_key: str | None = "event_id"
    binary_type: str | None = None
    acks: Mapping[type, type | None] = attrs.field(factory=dict)
    answer_s: float = 0.0
    silent_ack: bool = False
    tells_speech_end: bool = True
    full_duplex: bool = False
    session_limit_s: float = 3580.0
    keepalive: Wire | None = None
    keepalive_s: float = 0.0
    fills_gaps_s: float = 0.0
    one_format: bool = False
    recall_chars: int | None = None
    farewell: Wire | None = None
    farewell_answer: str = ""
    reader: Callable[[int], Reader] = Reader
    views: Mapping[str, View] = attrs.field(factory=dict)
    format_names: Mapping[AudioFormat, str] = attrs.field(factory=dict)
    url_example: str = ""
    advice: Mapping[str, str] = attrs.field(factory=dict)

    def supports(self, command: type) -> bool:
        """Tell whether the provider has a word for a command."""
        return command in self.commands

    def ack_of(self, command: type) -> type | None:
        """Return the event that confirms a command; ``None`` where the provider gives none."""
        return self.acks.get(command, ACKS[command])

    def answers(self, command: type) -> bool:
        """Tell whether the provider answers such a command by itself, with no response asked for."""
        return self.acks.get(command) is ResponseCreated

    def encode(self, command: Command, command_id: str) -> Wire:
        """Spell a command, with our id in it."""
        wire = self.commands[type(command)](command)
        return wire if self.command_id_key is None else {self.command_id_key: command_id, **wire}

    def encode_audio(self, audio: bytes) -> str | bytes:
        """Spell uplink audio, by hand: it goes out fifty times a second."""
        if self.binary_type is not None:
            return audio
        return f'{{"type":"{self.audio_type}","audio":"{pybase64.b64encode_as_string(audio)}"}}'

    def serialize(self, wire: Wire) -> str:
        """Write a command as the text of one message; null stays null."""
        return orjson.dumps(wire).decode()

    def rewrite(self, wire: Wire, audio: bytes | None) -> str | bytes:
        """Write a message that was received as it came, its audio put back: the inverse of ``parse``."""
        if audio is None:
            return self.serialize(wire)
        if wire["type"] == self.binary_type:
            return audio
        return self.serialize({**wire, self.audio_keys[wire["type"]]: pybase64.b64encode_as_string(audio)})

    def parse(self, received: str | bytes) -> Wire:
        """Read the JSON of one message; ``RemoteProtocolError`` if it is none."""
        if isinstance(received, bytes):
            if self.binary_type is None:
                raise RemoteProtocolError(f"expected a text message, got a binary one of {len(received)} bytes")
            return {"type": self.binary_type, self.audio_keys[self.binary_type]: received}
        try:
            message = orjson.loads(received)
        except orjson.JSONDecodeError as error:
            raise RemoteProtocolError(f"expected JSON, got {received[:80]!r}: {error}") from error
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            raise RemoteProtocolError(f"expected a JSON object with a type, got {received[:80]!r}")
        return message

    def decode(self, message: Wire) -> Decoded:
        """Tell what a message says; ``RemoteProtocolError`` when something in it is missing or of no use."""
        spelling = self.events.get(message["type"])
        if spelling is None:
            return UnknownEvent(message["type"])
        return spelling.event(**{name: key.read(message) for name, key in spelling.fields.items()})
