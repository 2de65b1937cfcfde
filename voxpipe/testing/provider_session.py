"""The effective configuration of a simulated session: checked whole, merged by key, confirmed in full. No I/O."""

from __future__ import annotations

import copy
from typing import Any

from voxpipe.audio import AudioFormat
from voxpipe.testing.parrot import Hearing
from voxpipe.testing.provider_answer import Manner
from voxpipe.testing.provider_schema import Refusal, invalid_value
from voxpipe.testing.provider_spelling import FORMATS, Json, Spelling, format_object, format_of
from voxpipe.testing.scenario import Scenario

SEMANTIC_SILENCE_MS = {"low": 1200, "medium": 800, "auto": 800, "high": 400}
"""How long a parrot waits per eagerness: it cannot know whether a sentence is complete."""
_VAD_FLAGS = {"create_response": True, "interrupt_response": True}
_SEMANTIC_DEFAULTS = {"type": "semantic_vad", "eagerness": "auto", **_VAD_FLAGS}


class SessionConfiguration:
    """What ``session.created`` and ``session.updated`` tell, in GA spelling."""

    def __init__(self, spelling: Spelling, scenario: Scenario, session_id: str, model: str, expires_at: int) -> None:
        self._spelling = spelling
        self._scenario = scenario
        self._identity = {"id": session_id, "object": "realtime.session", "model": model, "expires_at": expires_at}
        self._body: Json = copy.deepcopy(spelling.session_defaults)
        if FORMATS.keys() - set(scenario.formats):
            for direction in ("input", "output"):
                self._body["audio"][direction]["format"] = format_object(scenario.formats[0])

    @property
    def body(self) -> Json:
        """The whole session object; yours to keep."""
        return copy.deepcopy({**self._body, **self._identity})

    @property
    def uplink(self) -> AudioFormat:
        """The format of the client's audio."""
        return format_of(self._body["audio"]["input"]["format"])

    @property
    def turn_detection(self) -> Json:
        """The turn detection, empty when there is none."""
        return self._body["audio"]["input"]["turn_detection"] or {}

    @property
    def transcribes(self) -> bool:
        """Whether the client's turns are written down."""
        return bool(self._body["audio"]["input"]["transcription"])

    @property
    def ends_turns_by_hand(self) -> bool:
        """Whether the client may say that a turn is over."""
        return bool(self._body.get("ends_turns_by_hand"))

    def silenced(self, audio: bytes) -> bytes:
        """What is heard of the client's audio: silence while it is muted."""
        if not self._body.get("muted"):
            return audio
        silence = self.uplink.silence
        return (silence * (len(audio) // len(silence) + 1))[: len(audio)]

    @property
    def hearing(self) -> Hearing | None:
        """The turn detection for the parrot's ear."""
        detection = self.turn_detection
        if detection.get("type") == "semantic_vad":
            return Hearing(silence_duration_ms=SEMANTIC_SILENCE_MS[detection["eagerness"]])
        names = ("threshold", "prefix_padding_ms", "silence_duration_ms")
        return Hearing(**{name: detection[name] for name in names}) if detection else None

    def refuse(self, patch: Json, *, spoken: bool) -> Refusal | None:
        """Why a well-formed update cannot be made, or None. ``spoken``: there was assistant audio already."""
        audio = patch.get("audio", {})
        for direction in ("input", "output"):
            if refusal := self._refuse_format(audio.get(direction, {}), ("audio", direction, "format")):
                return refusal
        if self._spelling.needs_model and "model" in patch and patch["model"] != self._identity["model"]:
            text = f"Invalid value: the model of a session cannot change from '{self._identity['model']}'."
            return Refusal("invalid_value", text, "session.model")
        return self.refuse_voice(audio.get("output", {}), spoken=spoken)

    def refuse_voice(self, output: Json, *, spoken: bool) -> Refusal | None:
        """A voice is locked by the first audio."""
        if spoken and "voice" in output and output["voice"] != self._body["audio"]["output"]["voice"]:
            text = "Cannot update a conversation's voice if assistant audio is present."
            return Refusal("cannot_update_voice", text)
        return None

    def _refuse_format(self, direction: Json, path: tuple[str, ...]) -> Refusal | None:
        if "format" not in direction or direction["format"]["type"] in self._scenario.formats:
            return None
        spelled = self._spelling.formats
        name, *names = (spelled.get(name, name) for name in (direction["format"]["type"], *self._scenario.formats))
        return invalid_value(self._spelling.param(path), name, names)

    def merge(self, patch: Json) -> None:
        """Change the keys that are present; null clears."""
        if not self._spelling.needs_model:
            self._identity["model"] = patch.get("model", self._identity["model"])
        audio = patch.get("audio", {})
        for direction in ("input", "output"):
            present = copy.deepcopy(audio.get(direction, {}))
            if present.get("turn_detection"):
                present["turn_detection"] = self._complete(present["turn_detection"])
            self._body["audio"][direction].update(present)
        self._body.update(copy.deepcopy({key: value for key, value in patch.items() if key not in ("audio", "model")}))

    def _complete(self, detection: Json) -> Json:
        defaults = self._spelling.session_defaults["audio"]["input"]["turn_detection"]
        return {**(defaults if detection["type"] == "server_vad" else _SEMANTIC_DEFAULTS), **detection}

    def use_instead(self, uplink: tuple[str, ...], downlink: tuple[str, ...]) -> None:
        """Misbehave: take the first format of each list that differs from the present one."""
        for direction, names in (("input", uplink), ("output", downlink)):
            present = self._body["audio"][direction]["format"]["type"]
            other = next((name for name in names if name != present), None)
            if other is not None:
                self._body["audio"][direction]["format"] = format_object(other)

    def manner(self, asked: Json, conversation_id: str | None) -> Manner:
        """How a response is given: the session's settings under those of ``response.create``."""
        output = {**self._body["audio"]["output"], **asked.get("audio", {}).get("output", {})}
        voice = output["voice"]
        spoken: dict[str, Any] = {
            "format": output["format"],
            "voice": voice["id"] if isinstance(voice, dict) else voice,
        }
        settings = {key: asked.get(key, self._body.get(key)) for key in ("output_modalities", "max_output_tokens")} | {
            "audio": {"output": spoken},
            "metadata": asked.get("metadata"),
        }
        if "temperature" in self._body:
            settings["temperature"] = asked.get("temperature", self._body["temperature"])
        apart = asked.get("conversation") == "none"
        return Manner(settings, format_of(output["format"]), None if apart else conversation_id)
