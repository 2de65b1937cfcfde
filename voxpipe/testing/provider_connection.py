"""One simulated session on its WebSocket: the line between the pure dialogue and trio."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import attrs
import orjson
import trio

from voxpipe.testing.provider_answer import Answer
from voxpipe.testing.provider_dialogue import WARN, Dialogue
from voxpipe.testing.provider_evidence import AudioSent, Complaint, ProviderNote, ProviderSession
from voxpipe.testing.provider_schema import Refusal
from voxpipe.testing.provider_session import SessionConfiguration
from voxpipe.testing.provider_spelling import Json, Spelling
from voxpipe.testing.scenario import (
    EXPIRED_TEXT,
    Action,
    CallTool,
    Close,
    Reconfigure,
    Say,
    Scenario,
    SendError,
    SendEvent,
    SendText,
    Stall,
    Step,
    Trigger,
    Vanish,
)
from voxpipe.websocket import WebSocket, WebSocketClosed

OUTBOX = 4_096
OUTBOX_ROOM = 64
PENDING = 256
STREAM_MS, STREAM_SPEED = 100.0, 1.05
"""As seen of a provider that streams all the time: chunks of 100 ms, about 95 ms apart."""
HUM = "hum"
APPROACHING = "MAXIMUM_SESSION_LENGTH_APPROACHING"
TOO_SLOW = Close(1008, "The client does not read.")


@attrs.frozen
class Outgoing:
    """One message, its event type, and the audio it carries."""

    message: str | bytes
    type: str = ""
    answer: Answer | None = None
    audio: bytes = b""


class Connection:
    """Runs one session to its end.

    Owns the WebSocket and the outbox; ends when either side closes or is lost. Reading and answering wait while more
    than ``OUTBOX_ROOM`` messages are on their way; what cannot wait (a scenario's events) fills the outbox up to
    ``OUTBOX``, and then the client is cut off with 1008.
    """

    def __init__(
        self,
        websocket: WebSocket,
        stream: trio.abc.Stream,
        spelling: Spelling,
        scenario: Scenario,
        configuration: SessionConfiguration,
        evidence: ProviderSession,
        tell: Callable[[ProviderNote], None],
        start_s: float,
    ) -> None:
        self._websocket = websocket
        self._stream = stream
        self._spelling = spelling
        self._scenario = scenario
        self._evidence = evidence
        self._tell = tell
        self._start_s = start_s
        self._event_ids = itertools.count(1)
        self._fired: set[int] = set()
        self._pending = 0
        self._over = False
        self._patience = trio.CancelScope()
        self._speaking: dict[str, trio.CancelScope] = {}
        self._sounding: set[str] = set()
        self._sent_one = trio.Event()
        self._heard_one = trio.Event()
        self._send, self._outbox = trio.open_memory_channel[Outgoing | Stall | Vanish | Close](OUTBOX)
        self._dialogue = Dialogue(spelling, scenario, configuration, evidence, self)

    async def run(self, refused: tuple[Refusal, Close] | None = None) -> None:
        """Hold the session; with ``refused`` only say why, and close."""
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._send_outbox)
            if refused is not None:
                self._dialogue.refuse(refused[0], None)
                self._send.send_nowait(refused[1])
            else:
                if self._scenario.greets:
                    self._dialogue.greet()
                self.happened(Trigger.OPENED)
                self._nursery.start_soon(self._expire)
                if self._spelling.continuous:
                    self._nursery.start_soon(self._hum)
                self._be_patient()
                self._nursery.start_soon(self._lose_patience)
            await self._read()

    def now_s(self) -> float:
        """See ``Line``."""
        return trio.current_time() - self._start_s

    def emit(self, event: Json, answer: Answer | None = None, audio: bytes = b"") -> None:
        """See ``Line``."""
        for spelled in self._spelling.write(event, answer, round(self.now_s() * 1000)):
            if isinstance(spelled, bytes):
                self._queue(Outgoing(spelled, self._spelling.audio_type, answer, audio))
                continue
            number = next(self._event_ids)
            has_id = self._spelling.has_ids and spelled["type"] not in self._spelling.nameless
            ids = {"event_id": f"event_vp{self._evidence.number:04d}x{number:06d}"} if has_id else {}
            whole = {**ids, **spelled, **dict(self._scenario.extra_keys)}
            self._queue(Outgoing(orjson.dumps(whole).decode(), spelled["type"], answer, audio))
        if event["type"] == "error" and self._spelling.closes is not None:
            self._queue(self._spelling.closes)
            self._over = True

    def later(self, delay_s: float, do: Callable[[], None]) -> None:
        """See ``Line``; with too much pending it is done at once."""
        if delay_s <= 0 or self._pending >= PENDING:
            do()
        else:
            self._pending += 1
            self._nursery.start_soon(self._wait_and_do, delay_s, do)

    def speak(self, answer: Answer) -> None:
        """See ``Line``."""
        self._speaking[answer.id] = trio.CancelScope()
        self._nursery.start_soon(self._speak, answer, self._speaking[answer.id])

    def hush(self, answer: Answer) -> None:
        """See ``Line``."""
        self._sounding.discard(answer.id)
        if scope := self._speaking.pop(answer.id, None):
            scope.cancel()

    def happened(self, trigger: Trigger) -> None:
        """See ``Line``; steps without a delay are played before anything else is done."""
        due: list[Step] = []
        for index, step in enumerate(self._scenario.steps):
            if step.after is trigger and not (step.once and index in self._fired):
                self._fired.add(index)
                due.append(step)
        for step in due:
            if step.delay_s <= 0:
                self._perform(step.do)
        later = sorted((step for step in due if step.delay_s > 0), key=lambda step: step.delay_s)
        if later:
            self._nursery.start_soon(self._play, later)

    def close(self) -> None:
        """See ``Line``."""
        self._queue(Close(1000))

    def note(self, kind: str, text: str, complaint: Complaint | None = None) -> None:
        """See ``Line``."""
        self._tell(ProviderNote(self.now_s(), self._evidence, kind, text, complaint))

    async def _read(self) -> None:
        try:
            while True:
                message = await self._websocket.get_message()
                self._be_patient()
                await self._room()
                if not self._over:
                    self._dialogue.receive(message)
                self._heard_one.set()
                self._heard_one = trio.Event()
        except WebSocketClosed as closed:
            self._end(closed.code, closed.reason)

    async def _send_outbox(self) -> None:
        try:
            async for out in self._outbox:
                if isinstance(out, Stall):
                    await trio.sleep(out.for_s)
                elif isinstance(out, Close):
                    # Kept first: the reader sees the client's answer to our close while we wait for it here.
                    self._evidence.closed = self._evidence.closed or (out.code, out.reason)
                    await self._websocket.aclose(out.code, out.reason)
                    self._end(out.code, out.reason)
                elif isinstance(out, Vanish):
                    await trio.aclose_forcefully(self._stream)
                    self._end(1006, "vanished")
                else:
                    await self._send_one(out)
                self._sent_one.set()
                self._sent_one = trio.Event()
        except WebSocketClosed as closed:
            self._end(closed.code, closed.reason)

    async def _send_one(self, out: Outgoing) -> None:
        if out.answer is not None and out.audio:
            chunk = AudioSent(self.now_s(), out.answer.id, out.answer.item.id, len(out.audio))
            self._evidence.spoke(chunk, out.audio)
        self._evidence.sent[out.type] += 1
        await self._websocket.send_message(out.message)

    async def _speak(self, answer: Answer, scope: trio.CancelScope) -> None:
        pace, speaker = self._scenario.pace, self._dialogue.speaker
        if self._spelling.continuous:
            pace = attrs.evolve(pace, speed=STREAM_SPEED, chunk_ms=(STREAM_MS,))
        with scope:
            await trio.sleep(pace.latency_s)
            self._sounding.add(answer.id)
            began_s = trio.current_time()
            if not answer.wordless:
                speaker.begin(answer)
            for size_bytes in () if answer.wordless else answer.chunk_sizes(pace):
                sent_s = answer.manner.format.duration_ms(answer.sent_bytes) / 1000
                await trio.sleep_until(began_s + sent_s / pace.speed)
                await self._room()
                began_s += await self._hear_clock()
                before = answer.sent_bytes
                speaker.chunk(answer, size_bytes)
                if before == 0 < answer.sent_bytes:
                    self.happened(Trigger.FIRST_AUDIO)
                if 2 * before < len(answer.audio) <= 2 * answer.sent_bytes:
                    self.happened(Trigger.MID_ANSWER)
            self._sounding.discard(answer.id)
            while answer.calls:
                call = answer.calls.pop(0)
                speaker.call(answer, call)
                await trio.sleep(call.hold_s)
            self._speaking.pop(answer.id, None)
            speaker.finish(answer)

    async def _hear_clock(self) -> float:
        """Where the client's audio is the clock, wait while it stands still; return for how long."""
        began_s = trio.current_time()
        ready = self._evidence.ready_s is not None
        while self._spelling.continuous and ready and not self._evidence.hears(self.now_s()):
            await self._heard_one.wait()
        return trio.current_time() - began_s

    async def _hum(self) -> None:
        """Send silence where nothing is said."""
        while True:
            await trio.sleep(STREAM_MS / 1000)
            if self._evidence.ready_s is not None and not self._sounding and self._evidence.hears(self.now_s()):
                self.emit({"type": HUM, "bytes": self._dialogue.speaker.silence(STREAM_MS)})

    async def _play(self, steps: list[Step]) -> None:
        began_s = trio.current_time()
        for step in steps:
            await trio.sleep_until(began_s + step.delay_s)
            self._perform(step.do)

    def _perform(self, action: Action) -> None:
        if isinstance(action, Say):
            self._dialogue.speaker.say(action.clip)
        elif isinstance(action, CallTool):
            self._dialogue.speaker.ask(action.name, action.arguments, action.hold_s)
        elif isinstance(action, Reconfigure):
            self._dialogue.reconfigure(action.uplink_instead, action.downlink_instead)
        elif isinstance(action, SendEvent):
            self.emit(action.event)
        elif isinstance(action, SendError):
            detail = {"code": action.code, "message": action.message, "param": None, "event_id": None}
            self.emit({"type": "error", "error": {"type": action.kind, **detail}})
        elif isinstance(action, SendText):
            self._queue(Outgoing(action.text))
        else:
            self._queue(action)

    async def _expire(self) -> None:
        limit_s, warns_s = self._scenario.session_limit_s or self._spelling.limit_s, self._spelling.warns_s
        if warns_s is not None and warns_s < limit_s:
            await trio.sleep(limit_s - warns_s)
            limit_s = warns_s
            self.emit({"type": WARN, "code": APPROACHING, "message": "The session comes to its end soon."})
        await trio.sleep(limit_s)
        self._perform(SendError("session_expired", EXPIRED_TEXT))
        self._perform(Close(1001, EXPIRED_TEXT))

    async def _lose_patience(self) -> None:
        with self._patience:
            await trio.sleep_forever()
        refusal = Refusal("CLIENT_MESSAGE_TIMEOUT", "We waited too long for a websocket message.")
        self._dialogue.refuse(refusal, None)

    def _be_patient(self) -> None:
        if self._spelling.patience_s is not None:
            self._patience.deadline = trio.current_time() + self._spelling.patience_s

    async def _wait_and_do(self, delay_s: float, do: Callable[[], None]) -> None:
        await trio.sleep(delay_s)
        self._pending -= 1
        do()

    async def _room(self) -> None:
        while self._outbox.statistics().current_buffer_used > OUTBOX_ROOM:
            await self._sent_one.wait()

    def _queue(self, out: Outgoing | Stall | Vanish | Close) -> None:
        try:
            self._send.send_nowait(out)
        except trio.WouldBlock:
            self._end(TOO_SLOW.code, TOO_SLOW.reason)

    def _end(self, code: int, reason: str) -> None:
        if self._evidence.closed is None:
            self._evidence.closed = (code, reason)
        self._dialogue.end()
        self._nursery.cancel_scope.cancel()
