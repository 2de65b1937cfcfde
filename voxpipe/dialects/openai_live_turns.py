"""Turns and responses of an OpenAI Live session, which has neither: it is one stream of sound each way.

The agent's sound comes at the pace of speech, silence included, in chunks of about 100 ms. An *answer* begins with the
first chunk in which something is to be heard, and ends when nothing was for ``HANG_MS``; what is between is played in
its order and time. Silence between answers is left out: the phone gets ours, and an answer that came late costs no
delay that would last to the end of the call. The chunk before the first loud one goes with it: it holds the soft
beginning of the word, and is the lead that a late chunk needs (chunks were seen to come up to 160 ms apart).

The caller's words come as fragments with their place in the audio that was sent. A turn begins with the first, and ends
when the agent answers, calls a tool, or a fragment comes after a gap.
"""

from __future__ import annotations

import attrs

from voxpipe.audio import AudioFormat, Encoding
from voxpipe.dsp import alaw_decode, measure_level, ulaw_decode
from voxpipe.sansio.dialect import Decoded, Mark, Reader
from voxpipe.sansio.realtime import (
    AudioCommitted,
    AudioCompleted,
    AudioReceived,
    ErrorReported,
    OutputItemAdded,
    ProviderEvent,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TranscriptCompleted,
    TranscriptionCompleted,
    TranscriptReceived,
)
from voxpipe.sansio.tool_words import ToolCallRequested

AUDIBLE_DBFS = -50.0
"""A window louder than this is to be heard; synthetic voices rest far below, and speak far above."""
WINDOW_MS = 20
HANG_MS = 600.0
GAP_MS = 1_500
ASKED_TO_CLOSE = "close_requested"


@attrs.frozen
class Started(Mark):
    """The session goes by this format, in both directions."""

    format: AudioFormat | str


@attrs.frozen
class Closed(Mark):
    """The session is over."""

    reason: str


@attrs.frozen
class CallerWords(Mark):
    """A fragment of what the caller said, and its place in the audio that was sent."""

    words: str
    start_ms: int | None
    end_ms: int | None


@attrs.frozen
class AgentWords(Mark):
    """A fragment of what the agent says."""

    words: str
    start_ms: int | None
    end_ms: int | None


@attrs.frozen
class Sound(Mark):
    """Some of the agent's sound, be it silence."""

    audio: bytes = attrs.field(repr=False)


class Turns(Reader):
    """Makes turns and responses of one session's messages; see the module's docstring."""

    def __init__(self, number: int = 1) -> None:
        super().__init__(number)
        self._format: AudioFormat | None = None
        self._answers = 0
        self._turns = 0
        self._open = False
        self._quiet_ms = 0.0
        self._rest = b""
        self._before = b""
        self._words: list[str] = []
        self._told = 0
        """How many of these words were told of the open answer."""
        self._caller: str | None = None
        self._caller_words: list[str] = []
        self._caller_end_ms: int | None = None

    def begin(self) -> list[ProviderEvent]:
        """See ``Reader``: the client speaks first."""
        return [SessionCreated(None)]

    def end(self) -> list[ProviderEvent]:
        """See ``Reader``: what the caller has said is known, and nobody has answered it."""
        return self._end_turn()

    def read(self, decoded: Decoded) -> list[ProviderEvent]:
        """See ``Reader``."""
        match decoded:
            case Started(format_):
                self._format = format_ if isinstance(format_, AudioFormat) else None
                return [SessionUpdated(format_, format_)]
            case Closed(reason):
                if reason == ASKED_TO_CLOSE:
                    return []
                return [
                    *self._end_turn(),
                    ErrorReported(f"closed: {reason}", "the session was closed", None, None, fatal=True),
                ]
            case CallerWords():
                return self._hear_caller(decoded)
            case AgentWords(words):
                self._words.append(words)
                return self._tell_words() if self._open else []
            case Sound(audio):
                return self._hear_agent(audio)
            case ToolCallRequested():
                return [*self._end_turn(), decoded]
        return super().read(decoded)

    # --- the caller ---------------------------------------------------------------------------------------------------

    def _hear_caller(self, fragment: CallerWords) -> list[ProviderEvent]:
        events: list[ProviderEvent] = []
        known = fragment.start_ms is not None and self._caller_end_ms is not None
        if known and (fragment.start_ms or 0) - (self._caller_end_ms or 0) > GAP_MS:
            events += self._end_turn()
        if self._caller is None:
            self._turns += 1
            self._caller = f"turn_{self._turns}{self._apart}"
            events.append(SpeechStarted(self._caller, fragment.start_ms))
        self._caller_words.append(fragment.words)
        self._caller_end_ms = fragment.end_ms
        return events

    def _end_turn(self) -> list[ProviderEvent]:
        if self._caller is None:
            return []
        item_id, words, end_ms = self._caller, "".join(self._caller_words).strip(), self._caller_end_ms
        self._caller, self._caller_words, self._caller_end_ms = None, [], None
        return [SpeechStopped(item_id, end_ms), AudioCommitted(item_id), TranscriptionCompleted(item_id, words)]

    # --- the agent ----------------------------------------------------------------------------------------------------

    def _hear_agent(self, audio: bytes) -> list[ProviderEvent]:
        if self._format is None:
            return [AudioReceived(self._response_id, self._item_id, 0, audio)]  # before it was confirmed: to be refused
        audio, self._rest = self._rest + audio, b""
        if odd := len(audio) % self._format.sample_bytes:  # a sample may be parted between two chunks
            audio, self._rest = audio[:-odd], audio[-odd:]
        audible = self._audible(audio)
        events: list[ProviderEvent] = []
        if audible and not self._open:
            events += self._begin()
        if not self._open:
            self._before = audio
            return events
        self._quiet_ms = 0.0 if audible else self._quiet_ms + self._format.duration_ms(len(audio))
        events.append(AudioReceived(self._response_id, self._item_id, 0, audio))
        if self._quiet_ms >= HANG_MS:
            events += self._finish()
        return events

    def _begin(self) -> list[ProviderEvent]:
        self._open, self._quiet_ms = True, 0.0
        self._answers += 1
        before, self._before = self._before, b""
        return [
            *self._end_turn(),
            ResponseCreated(self._response_id),
            OutputItemAdded(self._response_id, self._item_id, "message"),
            *([AudioReceived(self._response_id, self._item_id, 0, before)] if before else []),
            *self._tell_words(),
        ]

    def _finish(self) -> list[ProviderEvent]:
        words = "".join(self._words).strip()
        self._open, self._words, self._told = False, [], 0
        return [
            AudioCompleted(self._response_id, self._item_id, 0),
            *([TranscriptCompleted(self._response_id, self._item_id, words)] if words else []),
            ResponseDone(self._response_id, "completed", None),
        ]

    def _tell_words(self) -> list[ProviderEvent]:
        untold, self._told = self._words[self._told :], len(self._words)
        return [TranscriptReceived(self._response_id, self._item_id, words) for words in untold]

    @property
    def _response_id(self) -> str:
        return f"answer_{self._answers}{self._apart}"

    @property
    def _item_id(self) -> str:
        return f"sound_{self._answers}{self._apart}"

    def _audible(self, audio: bytes) -> bool:
        assert self._format is not None
        size = self._format.bytes_of_ms(WINDOW_MS)
        return any(self._level(audio[at : at + size]) > AUDIBLE_DBFS for at in range(0, len(audio), size))

    def _level(self, window: bytes) -> float:
        assert self._format is not None
        decode = {Encoding.ULAW: ulaw_decode, Encoding.ALAW: alaw_decode}.get(self._format.encoding)
        return measure_level(window if decode is None else decode(window)).rms_dbfs
