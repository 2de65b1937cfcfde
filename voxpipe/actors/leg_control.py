"""What a program may do to a call that runs: the handle that ``Surroundings.on_start`` is given."""

from __future__ import annotations

from uuid import UUID

from voxpipe.actors.conversation import Conversation
from voxpipe.actors.record_stream import RECORDS_CAPACITY, RecordStream
from voxpipe.actors.sink import CallLog
from voxpipe.sansio.realtime import InstructionsRequested, SpeechRequested

SAY = "Say exactly these words, in their own language, and nothing before or after them: "


class LegControl:
    """One call, from its start to its end; usable from any task of the same Trio run.

    Each method that waits raises ``SessionError`` when the session is over before it was done, ``AckTimeout`` when the
    provider did not answer, and ``CommandRefused`` when it refused.
    """

    def __init__(self, uuid: UUID, conversation: Conversation, log: CallLog) -> None:
        self.uuid = uuid
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

        Returns when the provider has begun the answer. It is a wish: the words go through the model.
        """
        await self._conversation.request(lambda ticket: SpeechRequested(SAY + text, ticket))

    async def instruct(self, text: str) -> None:
        """Replace the agent's instructions, for all answers to come; returns when the provider has confirmed them.

        A confirmation of other instructions is a ``CommandRefused`` too, with the code ``not_confirmed``.
        """
        await self._conversation.request(lambda ticket: InstructionsRequested(text, ticket))

    async def hang_up(self) -> None:
        """Have the running answer played to its end, then hang up; returns when the session is over."""
        self._conversation.drain("hang-up requested")
        await self._conversation.ended.get()
