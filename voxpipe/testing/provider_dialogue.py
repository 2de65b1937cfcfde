"""One simulated session: what each message of a client does, and what is answered. No I/O: the line is given.

Strict where the real server is: a bad ``session.update`` is refused whole, one response at a time writes to the
conversation, a truncation past the audio is refused. What a client does wrong is answered as the real server answers
and kept as a ``Complaint``.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import pybase64

from voxpipe.errors import AudioError
from voxpipe.testing.parrot import Parrot, TurnBegan, TurnEnded
from voxpipe.testing.provider_conversation import Conversation, Item
from voxpipe.testing.provider_evidence import KEPT_BODY_BYTES, ClientMessage, Complaint, ProviderSession, TurnHeard
from voxpipe.testing.provider_schema import Refusal, as_id
from voxpipe.testing.provider_session import SessionConfiguration
from voxpipe.testing.provider_speaker import Line, Speaker, transcript
from voxpipe.testing.provider_spelling import Json, Spelling
from voxpipe.testing.scenario import Acknowledge, Refuse, Scenario, Trigger

APPEND_LIMIT_BYTES = 15 * 1024 * 1024
COMMIT_LEAST_MS = 100
RESPOND, SPEAK, CHANGE, LEAVE, ALIVE, END_TURN, WARN = "respond", "speak", "change", "leave", "alive", "end", "warn"
"""What other vendors' clients say beyond GA: answer, speak these words, change, I leave, I am there, the turn is over;
and what the server only warns of."""
CROSSING = frozenset({"response_cancel_not_active", "conversation_already_has_active_response"})
"""Errors that a correct client meets when its message crosses one of ours."""


class Dialogue:
    """The server's half of one session."""

    def __init__(
        self,
        spelling: Spelling,
        scenario: Scenario,
        configuration: SessionConfiguration,
        evidence: ProviderSession,
        line: Line,
    ) -> None:
        self._spelling = spelling
        self._scenario = scenario
        self._configuration = configuration
        self._evidence = evidence
        self._line = line
        self._ids = itertools.count(1)
        self._conversation = Conversation(self._id("conv"))
        self._parrot = Parrot(configuration.uplink, configuration.hearing)
        self._turn_item_id = ""
        self._unanswered: TurnEnded | None = None
        self._transcripts = iter(scenario.transcripts)
        self._early = self._asked = self._left = False
        self.speaker = Speaker(line, configuration, self._conversation, evidence, self._id)
        self._acts: dict[str, Callable[[Json], Refusal | None]] = {
            "session.update": self._update,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
            "conversation.item.create": self._create_item,
            "conversation.item.retrieve": self._retrieve_item,
            "conversation.item.delete": self._delete_item,
            "conversation.item.truncate": self._truncate_item,
            "response.create": self._create_response,
            "response.cancel": self._cancel_response,
            ALIVE: lambda _event: None,
            RESPOND: self._respond,
            SPEAK: self._speak_words,
            CHANGE: self._change,
            LEAVE: self._leave,
            END_TURN: self._end_by_hand,
            WARN: self._warn,
        }

    def greet(self) -> None:
        """Say that the session exists, with its defaults."""
        self._line.emit({"type": "session.created", "session": self._configuration.body})
        conversation = {"id": self._conversation.id, "object": "realtime.conversation"}
        self._line.emit({"type": "conversation.created", "conversation": conversation})

    def receive(self, message: str | bytes) -> None:
        """Take one WebSocket message of the client."""
        if self._left:
            self.complain("message_after_close", "A message was sent after the client had closed the session.")
            return
        event = self._spelling.parse(message)
        if isinstance(event, Refusal):
            self._evidence.received["?"] += 1
            self.refuse(event, event.event_id)
            return
        refusal = self._spelling.refuse(event, configured=self._asked)
        meaning = [] if refusal else self._spelling.read(event)
        self._keep(event, meaning, len(message))
        for read in meaning:
            refusal = refusal or self._acts[read["type"]](read)
        if refusal is not None:
            self.refuse(refusal, as_id(event))

    def end(self) -> None:
        """The connection is over: complain of the calls that nobody answered."""
        for complaint in self.speaker.tools.forgotten(self._line.now_s()):
            self._evidence.complain(complaint)
            self._line.note("complaint", str(complaint), complaint)

    def refuse(self, refusal: Refusal, event_id: str | None) -> None:
        """Answer ``error``, and complain."""
        detail = {"code": refusal.code, "message": refusal.message, "param": refusal.param, "event_id": event_id}
        self._line.emit({"type": "error", "error": {"type": refusal.kind, **detail}})
        self.complain(refusal.code or refusal.kind, refusal.message, harmless=refusal.code in CROSSING)

    def complain(
        self, code: str, message: str, *, expected: str = "", actual: str = "", harmless: bool = False
    ) -> None:
        """Keep what the client did wrong."""
        complaint = Complaint(self._line.now_s(), code, message, expected, actual, harmless)
        self._evidence.complain(complaint)
        self._line.note("complaint", str(complaint), complaint)

    def reconfigure(self, uplink: tuple[str, ...], downlink: tuple[str, ...]) -> None:
        """Change the formats and say so, unasked."""
        self._configuration.use_instead(uplink, downlink)
        self._confirm()

    def _id(self, kind: str) -> str:
        return f"{kind}_vp{self._evidence.number:04d}x{next(self._ids):05d}"

    def _keep(self, event: Json, meaning: list[Json], size_bytes: int) -> None:
        self._evidence.received[event["type"]] += 1
        if event["type"] != self._spelling.audio_type:
            body = event if size_bytes <= KEPT_BODY_BYTES else {}
            told = tuple(
                {**read, "type": "response.create"} if read["type"] in (RESPOND, SPEAK) else read for read in meaning
            )
            self._evidence.messages.append(
                ClientMessage(self._line.now_s(), event["type"], event.get("event_id"), body, told if body else ())
            )

    def _update(self, event: Json) -> Refusal | None:
        self._line.happened(Trigger.UPDATE_RECEIVED)
        answer = self._scenario.on_update
        if isinstance(answer, Refuse):
            param, event_id = (None, None) if answer.anonymous else (answer.param, event.get("event_id"))
            detail = {"code": answer.code, "message": answer.message, "param": param, "event_id": event_id}
            self._line.emit({"type": "error", "error": {"type": "invalid_request_error", **detail}})
            return None
        if refusal := self._configuration.refuse(event["session"], spoken=self.speaker.spoken):
            return refusal
        self._asked = True
        if isinstance(answer, Acknowledge):
            acknowledge = functools.partial(self._acknowledge, event["session"], answer, event.get("event_id"))
            self._line.later(answer.delay_s, acknowledge)
        return None

    def _acknowledge(self, patch: Json, answer: Acknowledge, event_id: str | None) -> None:
        self._configuration.merge(patch)
        self._configuration.use_instead(answer.uplink_instead, answer.downlink_instead)
        self._confirm(event_id)
        if self._evidence.ready_s is None:
            self._evidence.ready_s = self._line.now_s()
            formats = self._evidence.configuration["audio"] if self._evidence.configuration else {}
            uplink, downlink = (formats[way]["format"]["type"] for way in ("input", "output"))
            self._line.note("configured", f"uplink {uplink}, downlink {downlink}")
            self._line.happened(Trigger.READY)
            if "greeting" in patch:
                self.speaker.say_words(patch["greeting"])

    def _confirm(self, event_id: str | None = None) -> None:
        self._parrot = self._parrot.relisten(self._configuration.uplink, self._configuration.hearing)
        self._evidence.configuration = self._configuration.body
        session = self._configuration.body
        if isinstance(answer := self._scenario.on_update, Acknowledge) and not answer.tells_formats:
            session = {**session, "audio": {side: _formatless(part) for side, part in session["audio"].items()}}
        self._line.emit({"type": "session.updated", "session": session, "client_event_id": event_id})

    def _append(self, event: Json) -> Refusal | None:
        if self._evidence.ready_s is None and not self._early:
            self._early = True
            self.complain("audio_before_ack", "Audio was sent before the session was acknowledged.")
        try:
            given = event["audio"]
            audio = given if isinstance(given, bytes) else pybase64.b64decode(given, validate=True)
        except ValueError:
            text = "Invalid 'audio'. Expected base64-encoded audio bytes but got an invalid value."
            return Refusal("invalid_value", text, "audio")
        if len(audio) > APPEND_LIMIT_BYTES:
            text = f"Invalid 'audio': expected at most {APPEND_LIMIT_BYTES} bytes, got {len(audio)}."
            return Refusal("audio_above_max_length", text, "audio")
        try:
            heard = self._parrot.append(self._configuration.silenced(audio))
        except AudioError as error:
            return Refusal("invalid_audio", f"Invalid 'audio': {error}.", "audio")
        self._evidence.heard(self._line.now_s(), audio)
        for what in heard:
            if isinstance(what, TurnBegan):
                self._begin_turn(what)
            else:
                self._end_turn(what)
        return None

    def _begin_turn(self, began: TurnBegan) -> None:
        self._turn_item_id = self._id("item")
        event = {"type": "input_audio_buffer.speech_started", "audio_start_ms": began.start_ms}
        self._line.emit({**event, "item_id": self._turn_item_id})
        self._line.happened(Trigger.SPEECH_STARTED)
        if self._configuration.turn_detection.get("interrupt_response"):
            self.speaker.interrupt()

    def _end_turn(self, turn: TurnEnded) -> None:
        event = {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": turn.end_ms}
        self._line.emit({**event, "item_id": self._turn_item_id})
        self._take_turn(turn, self._turn_item_id)
        self._line.happened(Trigger.SPEECH_STOPPED)
        if self._scenario.parrot and self._configuration.turn_detection.get("create_response"):
            self._unanswered = None
            self.speaker.answer(turn)

    def _take_turn(self, turn: TurnEnded, item_id: str) -> None:
        previous = {"previous_item_id": self._conversation.last_id}
        body = {"id": item_id, "object": "realtime.item", "type": "message", "status": "completed", "role": "user"}
        item = Item({**body, "content": [{"type": "input_audio", "transcript": None}]}, self._configuration.uplink)
        item.extend(turn.audio)
        self._conversation.add(item)
        self._conversation.forget_old_audio()
        self._unanswered = turn
        self._evidence.turn(TurnHeard(self._line.now_s(), item_id, turn.start_ms, turn.end_ms, turn.audio))
        self._line.note("turn", f"{turn.start_ms} ms to {turn.end_ms} ms")
        self._line.emit({"type": "input_audio_buffer.committed", **previous, "item_id": item_id})
        for moment in ("added", "done"):
            self._line.emit({"type": f"conversation.item.{moment}", **previous, "item": item.body})
        if self._configuration.transcribes:
            self._line.later(self._spelling.transcribes_after_s, functools.partial(self._transcribe, item, turn))

    def _transcribe(self, item: Item, turn: TurnEnded) -> None:
        text = next(self._transcripts, transcript(turn))
        item.body = {**item.body, "content": [{**item.body["content"][0], "transcript": text}]}
        place = {"item_id": item.id, "content_index": 0}
        kind = "conversation.item.input_audio_transcription"
        usage = {"type": "duration", "seconds": (turn.end_ms - turn.start_ms) / 1000}
        self._line.emit({"type": f"{kind}.delta", **place, "delta": text})
        told = {"transcript": text, "usage": usage, "range_ms": (turn.start_ms, turn.end_ms)}
        self._line.emit({"type": f"{kind}.completed", **place, **told})

    def _commit(self, event: Json) -> Refusal | None:
        waits_ms = self._parrot.buffered_ms
        if waits_ms < COMMIT_LEAST_MS:
            return Refusal(
                "input_audio_buffer_commit_empty",
                "Error committing input audio buffer: buffer too small. "
                f"Expected at least {COMMIT_LEAST_MS}ms of audio, but buffer only has {waits_ms:.2f}ms of audio.",
            )
        item_id = self._turn_item_id if self._parrot.speaking else self._id("item")
        self._take_turn(self._parrot.commit(), item_id)
        return None

    def _clear(self, event: Json) -> Refusal | None:
        self._parrot.clear()
        self._line.emit({"type": "input_audio_buffer.cleared"})
        return None

    def _create_item(self, event: Json) -> Refusal | None:
        contents = [
            {key: value for key, value in content.items() if key != "audio"}
            for content in event["item"].get("content", [])
        ]
        body = {"id": self._id("item"), "object": "realtime.item", "status": "completed", **event["item"]}
        if "content" in body:
            body["content"] = contents
        if body["type"] == "mcp_approval_response":
            # The vendor's type of this item has neither.
            del body["object"], body["status"]
        if body["type"] == "function_call_output" and (refusal := self.speaker.tools.answer(body["call_id"])):
            return refusal
        if body["type"] == "function_call":
            self.speaker.tools.tell(body.get("call_id", ""))
        after = event.get("previous_item_id")
        if refusal := self._conversation.add(Item(body), after):
            return refusal
        previous = {"previous_item_id": self._conversation.before(body["id"])}
        for moment in ("added", "done"):
            self._line.emit({"type": f"conversation.item.{moment}", **previous, "item": body})
        return None

    def _retrieve_item(self, event: Json) -> Refusal | None:
        item = self._conversation.get(event["item_id"], "retrieve")
        if isinstance(item, Refusal):
            return item
        self._line.emit({"type": "conversation.item.retrieved", "item": item.with_audio()})
        return None

    def _delete_item(self, event: Json) -> Refusal | None:
        item = self._conversation.get(event["item_id"], "delete")
        if isinstance(item, Refusal):
            return item
        self._conversation.delete(item.id)
        self._line.emit({"type": "conversation.item.deleted", "item_id": item.id})
        return None

    def _truncate_item(self, event: Json) -> Refusal | None:
        item = self._conversation.get(event["item_id"], "truncate")
        if isinstance(item, Refusal):
            return item
        if event["content_index"] != 0:
            text = f"Error: the item with id '{item.id}' has no content at index {event['content_index']}."
            return Refusal("invalid_value", text, "content_index")
        if refusal := self._conversation.truncate(item, event["audio_end_ms"], self._scenario.undercount_ms):
            return refusal
        place = {key: event[key] for key in ("item_id", "content_index", "audio_end_ms")}
        self._line.emit({"type": "conversation.item.truncated", **place})
        return None

    def _create_response(self, event: Json) -> Refusal | None:
        turn, self._unanswered = self._unanswered, None
        return self.speaker.create(event.get("response") or {}, turn)

    def _cancel_response(self, event: Json) -> Refusal | None:
        return self.speaker.cancel(event.get("response_id"))

    def _respond(self, event: Json) -> Refusal | None:
        if not self.speaker.tools.waiting():
            self.speaker.respond()
        elif event.get("strict"):
            return Refusal("function_call_outputs_required", "Submit the pending function call outputs first.")
        return None

    def _speak_words(self, event: Json) -> Refusal | None:
        if event["behavior"] == "interrupt":
            self.speaker.interrupt()
        if event["behavior"] != "default":
            self.speaker.answer(event["words"])
        elif self._parrot.speaking or not self.speaker.say_words(event["words"]):
            self._line.emit({"type": SPEAK, "refused": "Somebody is speaking."})
        return None

    def _end_by_hand(self, event: Json) -> Refusal | None:
        if not self._configuration.ends_turns_by_hand:
            return self._warn(event)
        if self._parrot.speaking:
            self._end_turn(self._parrot.commit())
        return None

    def _warn(self, event: Json) -> Refusal | None:
        self._line.emit({"type": WARN, "code": event["code"], "message": event["message"]})
        self.complain(event["code"], event["message"])
        return None

    def _change(self, event: Json) -> Refusal | None:
        self._configuration.merge(event["session"])
        self._evidence.configuration = self._configuration.body
        told = {"session": self._configuration.body, "client_event_id": event.get("event_id")}
        self._line.emit({"type": CHANGE, "what": event["what"], **told})
        return None

    def _leave(self, event: Json) -> Refusal | None:
        told = {"session": self._configuration.body, "client_event_id": event.get("event_id")}
        self._line.emit({"type": LEAVE, **told})
        self._line.close()
        self._left = True
        return None


def _formatless(part: Json) -> Json:
    return {key: value for key, value in part.items() if key != "format"}
