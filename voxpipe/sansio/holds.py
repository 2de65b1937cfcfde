"""Holds: the agent falls silent at a voice on the leg, and goes on when nothing was said.

A hold stops the playout and nothing else: nothing is dropped, and the provider is not told. It ends in one of two ways.
Either somebody spoke: then it becomes a cut like any other, and what was played by then is the cut point. Or nobody
did, and the playout goes on with the very next sample. Who says so depends on who makes the turns:

- The provider does: its ``SpeechStarted`` cuts. Without one within ``resume_after_s`` the playout goes on.
- The voice does (``turn_detection.type`` none): its end commits the caller's audio, as the key to talk does. While the
  playout is held that item is on trial. A transcript with words in it cuts and has the turn answered; an empty one, or
  none within ``resume_after_s`` of the voice, deletes the item. Where nothing is transcribed, a voice of
  ``min_words_ms`` has said words, and a shorter one is forgotten before it becomes an item.

A response that begins while the playout is held makes a cut of it first: two answers are not spoken after one another.
"""

from __future__ import annotations

from collections.abc import Callable

from voxpipe.audio import NS_PER_MS, NS_PER_S
from voxpipe.config import SessionConfig
from voxpipe.sansio.call_timer import CallTimer
from voxpipe.sansio.command_words import ClearAudio, CommitAudio, DeleteItem
from voxpipe.sansio.commands import Commands
from voxpipe.sansio.effects import Effect, HoldPlayout, Note, ResumePlayout
from voxpipe.sansio.realtime import TranscriptionCompleted, TranscriptionFailed
from voxpipe.sansio.voice_words import VoiceStopped
from voxpipe.voice_config import VoiceConfig

LONGEST_VOICE_NS = 10 * NS_PER_S
"""A voice that goes on for so long has said words; and frames that would tell of its end may have ceased to come."""
NO_WORDS = "no words"


class Holds:
    """The holds of one session, one at a time; ``cut`` makes a cut of it, ``answer`` has the caller's turn answered."""

    def __init__(
        self,
        voice: VoiceConfig,
        config: SessionConfig,
        commands: Commands,
        timer: CallTimer,
        emit: Callable[[Effect], None],
        *,
        cut: Callable[[], None],
        answer: Callable[[], None],
    ) -> None:
        self.makes_turns = voice.detect == "on" and config.turn_detection.type == "none"
        self._resume_ns = round(voice.resume_after_s * NS_PER_S)
        self._min_words_ms = voice.min_words_ms
        self._transcribes = bool(config.transcription.model)
        self._commands = commands
        self._timer = timer
        self._emit = emit
        self._cut = cut
        self._answer = answer
        self._held_ns: int | None = None
        self._voice = False
        self._on_trial: list[str] = []
        self._commits: set[str] = set()
        """Commands whose items will be on trial."""
        self._rejected: set[str] = set()
        """Commands whose items are not wanted any more."""

    @property
    def held(self) -> bool:
        """Whether the playout is held."""
        return self._held_ns is not None

    def start(self, *, agent_heard: bool) -> None:
        """Take note that a voice started."""
        self._voice = True
        if not (self.held or agent_heard):
            return
        if not self._resume_ns:
            self._cut()
            return
        if not self.held:
            self._held_ns = self._commands.now_ns
            self._emit(HoldPlayout())
            self._emit(Note("playout.held", {}))
        self._wait(LONGEST_VOICE_NS if self.makes_turns else self._resume_ns)

    def stop(self, event: VoiceStopped) -> None:
        """Take note that it stopped."""
        self._voice = False
        if not self.makes_turns:
            return
        if not self.held:
            self._commands.send(CommitAudio())
        elif self._transcribes:
            if (command_id := self._commands.send(CommitAudio())) is not None:
                self._commits.add(command_id)
            self._wait(self._resume_ns)
        elif event.voice_ms >= self._min_words_ms:
            self._cut()
            self._commands.send(CommitAudio())
        else:
            self._commands.send(ClearAudio())
            self._resume(NO_WORDS)

    def put_on_trial(self, command_id: str, item_id: str | None) -> bool:
        """Take note of the item that a command made; ``False`` when it is a turn to be answered."""
        if command_id in self._rejected:
            self._rejected.remove(command_id)
            self._delete([item_id] if item_id is not None else [])
            return True
        if command_id not in self._commits:
            return False
        self._commits.remove(command_id)
        if item_id is not None:
            self._on_trial.append(item_id)
        return True

    def hear(self, event: TranscriptionCompleted | TranscriptionFailed) -> None:
        """Take the words of an item, or that there are none."""
        if event.item_id is None or event.item_id not in self._on_trial:
            return
        if isinstance(event, TranscriptionCompleted) and (event.transcript or "").strip():
            ended = not (self._voice or self._commits)
            self._cut()
            if ended:  # otherwise the turn goes on, and what it ends in is answered
                self._answer()
            return
        self._on_trial.remove(event.item_id)
        self._delete([event.item_id])
        if not (self._on_trial or self._commits or self._voice):
            self._resume(NO_WORDS)

    def expire(self) -> None:
        """Take note that what the hold was for has not come in time."""
        if self._voice and self.makes_turns:
            self._cut()
        elif self.held:
            self._resume("no words in time" if self.makes_turns else "the provider heard no speech")

    def become_cut(self) -> None:
        """Take note that all that waits is dropped; items on trial are turns like any other."""
        if self._held_ns is not None:
            self._emit(Note("playout.hold_cut", {"held_ms": self._held_ms}))
        self._end()

    def release(self, because: str) -> None:
        """Let the playout go on, whatever was said: nobody is left to answer it."""
        if self.held:
            self._emit(ResumePlayout())
            self._emit(Note("playout.resumed", {"held_ms": self._held_ms, "because": because}))
        self._end()

    @property
    def _held_ms(self) -> int:
        assert self._held_ns is not None
        return (self._commands.now_ns - self._held_ns) // NS_PER_MS

    def _wait(self, for_ns: int) -> None:
        self._timer.hold_until(self._commands.now_ns + for_ns)

    def _resume(self, because: str) -> None:
        self._delete(self._on_trial)
        self._rejected |= self._commits
        self.release(because)

    def _delete(self, item_ids: list[str]) -> None:
        for item_id in item_ids:
            self._commands.send(DeleteItem(item_id))

    def _end(self) -> None:
        self._held_ns = None
        self._on_trial = []
        self._commits = set()
        self._timer.hold_until(None)
