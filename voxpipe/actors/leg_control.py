"""What a program may do to a call that runs: the handle that ``Surroundings.on_start`` is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import trio

from voxpipe.actors.conversation import Conversation
from voxpipe.actors.record_stream import RECORDS_CAPACITY, RecordStream
from voxpipe.actors.sink import CallLog
from voxpipe.sansio.realtime import InstructionsRequested, SpeechRequested, VoiceRequested


class LegControl:
    """One call, from its start to its end; usable from any task of the same Trio run.

    Each method that waits raises ``SessionError`` when the session is over before it was done, ``AckTimeout`` when the
    provider did not answer, and ``CommandRefused`` when it refused.
    """

    def __init__(
        self,
        uuid: UUID,
        conversation: Conversation,
        log: CallLog,
        load: Callable[[str], Awaitable[Callable[[], Awaitable[bool]]]],
    ) -> None:
        self.uuid = uuid
        self._load = load
        self._conversation = conversation
        self._log = log

    def records(self, capacity: int = RECORDS_CAPACITY) -> RecordStream:
        """Return an asynchronous iterator of the log's records, from now to the ``leg.summary``, for one reader.

        Called in ``on_start`` itself it misses nothing that happens. It keeps at most ``capacity`` records for a reader
        who is slow; then the oldest are lost, and a ``records.lost`` in their place tells how many.
        """
        return self._log.streams.open(capacity)

    async def say(self, text: str) -> None:
        """Have the agent speak these words: at once, or after the answer that runs and the caller's turn.

        Returns when the provider has begun the answer. Where the words go through the model, it is a wish.
        """
        await self._conversation.request(lambda ticket: SpeechRequested(None, ticket, text), ("say", text))

    async def play(self, wav: str | Path) -> bool:
        """Play a WAV file, mono of any rate voxpipe converts, behind what waits for the caller.

        Returns when nothing waits any more: ``True`` when it was heard, ``False`` when the caller spoke over it, there
        was no room for it, or the call ended. ``AudioError`` for a file that cannot be played. The agent does not know
        of it.
        """
        play, heard = await self._load(str(wav)), False

        if self._conversation.ended.value is not None:
            return False

        async def until_the_end() -> None:
            await self._conversation.ended.get()
            nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(until_the_end)
            heard = await play()
            nursery.cancel_scope.cancel()
        return heard

    async def instruct(self, text: str) -> None:
        """Replace the agent's instructions, for all answers to come; returns when the provider has confirmed them.

        A confirmation of other instructions is a ``CommandRefused`` too, with the code ``not_confirmed``.
        """
        await self._conversation.request(lambda ticket: InstructionsRequested(text, ticket), ("instruct", text))

    async def change_voice(self, voice: str) -> None:
        """Have the agent speak with another voice from now on; returns when the provider has confirmed it.

        Most providers have no word for it: ``CommandRefused`` with the code ``unsupported``.
        """
        await self._conversation.request(lambda ticket: VoiceRequested(voice, ticket), ("change_voice", voice))

    async def hang_up(self) -> None:
        """Have the running answer played to its end, then hang up; returns when the session is over."""
        if self._conversation.ended.value is None:
            self._log.record("control.hang_up")
        self._conversation.drain("hang-up requested")
        await self._conversation.ended.get()
