"""How OpenAI spells Realtime: the GA names, and the older beta as a table of differences.

The simulated provider thinks in GA throughout; a ``Spelling`` checks what a client wrote in its own words, brings it to
GA, and brings what the provider says back. Other vendors' are in ``provider_deepgram`` and ``provider_live``. Sources:
the types of the ``openai`` package (``openai.types.realtime``, ``openai.types.beta.realtime``) and the vendor's
migration guide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qs

import attrs
import orjson

from voxpipe.audio import ALAW8, PCM24, ULAW8, AudioFormat, Encoding
from voxpipe.testing import provider_ga as ga
from voxpipe.testing.provider_answer import Answer
from voxpipe.testing.provider_schema import (
    Anything,
    Check,
    Choice,
    ListOf,
    Nullable,
    Number,
    Refusal,
    Table,
    Tagged,
    Text,
    as_id,
    invalid_value,
    missing,
)
from voxpipe.testing.scenario import Close

Json: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]

FORMATS: dict[str, AudioFormat] = {"audio/pcm": PCM24, "audio/pcmu": ULAW8, "audio/pcma": ALAW8}
"""GA format types and what their bytes are."""


BETWEEN_US = ("client_event_id", "range_ms")
"""Keys that GA's events do not have, and others' do."""


def format_object(name: str) -> Json:
    """GA's object for a format name; only PCM has a rate."""
    return {"type": name, "rate": 24000} if name == "audio/pcm" else {"type": name}


def format_of(wire: Json) -> AudioFormat:
    """What the bytes of a format object are; PCM has other rates with other vendors."""
    if wire["type"] == "audio/pcm":
        return AudioFormat(Encoding.SLIN, wire["rate"])
    return FORMATS[wire["type"]]


@attrs.frozen
class Spelling:
    """One way to write the protocol.

    ``events`` renames server events, None leaves them out; ``without`` names keys which an event does not have;
    ``contents`` renames the content types of assistant items; ``formats`` renames formats (None: GA's objects);
    ``session`` and ``response`` say where a flat key lives in GA. ``headers`` must be there, and ``forbidden`` must
    not; ``path`` is where clients connect. ``closes`` is how the connection ends after an error, if it does.
    ``nameless`` are the events without an id, where the others have one (``has_ids``). ``transcribes_after_s``: what
    the caller said is told so long after it. ``patience_s``: a client that says nothing for so long is given up.
    ``continuous``: sound comes all the time at the pace of speech, silence included, while the client's does.
    ``plain_url``: the URL may have no query. A session ends after ``limit_s``; ``warns_s`` before that it is told so.
    """

    name: str
    client: Mapping[str, Check]
    session_defaults: Json
    events: Mapping[str, str | None] = attrs.field(factory=dict)
    without: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    contents: Mapping[str, str] = attrs.field(factory=dict)
    formats: Mapping[str, str] = attrs.field(factory=dict)
    session: Mapping[str, Path] = attrs.field(factory=dict)
    response: Mapping[str, Path] = attrs.field(factory=dict)
    headers: Mapping[str, str] = attrs.field(factory=dict)
    forbidden: Mapping[str, Refusal] = attrs.field(factory=dict)
    path: str = "/v1/realtime"
    key_header: str = "authorization"
    scheme: str = "Bearer "
    needs_model: bool = True
    has_ids: bool = True
    nameless: frozenset[str] = frozenset()
    audio_type: str = "input_audio_buffer.append"
    closes: Close | None = None
    transcribes_after_s: float = 0.4
    patience_s: float | None = None
    continuous: bool = False
    plain_url: bool = False
    limit_s: float = 3600.0
    warns_s: float | None = None

    def authorizes(self, headers: Mapping[str, str], api_key: str) -> bool:
        """Whether a client's headers carry the key."""
        return headers.get(self.key_header) == f"{self.scheme}{api_key}"

    def refuse_upgrade(self, headers: Mapping[str, str], query: str) -> Refusal | None:
        """Why a connection is refused right after it was opened, or None."""
        if self.plain_url and query:
            return Refusal("unexpected_query", f"Expected no query parameters, got '{query}'.")
        for name, refusal in self.forbidden.items():
            if name in headers:
                return refusal
        for name, value in self.headers.items():
            if headers.get(name) != value:
                return Refusal(f"missing_{name.partition('-')[2]}_header", f"Expected the header '{name}: {value}'.")
        if self.needs_model and "model" not in parse_qs(query):
            return Refusal("missing_model", "You must provide a model parameter.")
        return None

    def parse(self, message: str | bytes) -> Json | Refusal:
        """Read one message of a client, in its own words; a ``Refusal`` for what is none."""
        if isinstance(message, bytes):
            return Refusal("invalid_message", "Expected a text message, got a binary one.")
        try:
            event = orjson.loads(message)
        except orjson.JSONDecodeError as error:
            return Refusal("invalid_json", f"Could not parse your message as JSON: {error}.")
        kind = event.get("type") if isinstance(event, dict) else None
        if not isinstance(kind, str):
            return missing("type")
        if kind not in self.client:
            return attrs.evolve(invalid_value("type", kind, tuple(self.client)), event_id=as_id(event))
        return dict(event)

    def refuse(self, event: Json, *, configured: bool) -> Refusal | None:
        """Why a message of a client is not as it must be, or None; ``configured``: formats were asked for before."""
        return self.client[event["type"]].refuse(event, "")

    def write(self, event: Json, answer: Answer | None = None, now_ms: int = 0) -> list[Json | bytes]:
        """Spell a GA server event, which may be of an answer; nothing when this spelling has no such event."""
        spelled = self._write({key: value for key, value in event.items() if key not in BETWEEN_US})
        return [] if spelled is None else [spelled]

    def read(self, event: Json) -> list[Json]:
        """Bring a client event which has passed its check to GA."""
        return [self._read(event)]

    def _write(self, event: Json) -> Json | None:
        renamed = self.events.get(event["type"], event["type"])
        if renamed is None:
            return None
        without = self.without.get(event["type"], ())
        spelled = {**{key: value for key, value in event.items() if key not in without}, "type": renamed}
        if "session" in event and self.session:
            spelled["session"] = self._flatten(event["session"], self.session, ("id", "object", "expires_at"))
        if "response" in event and self.response:
            same = ("object", "id", "status", "status_details", "conversation_id", "usage", "metadata")
            spelled["response"] = self._flatten(event["response"], self.response, same)
            spelled["response"]["output"] = [self._item(item) for item in event["response"]["output"]]
        if "item" in event:
            spelled["item"] = self._item(event["item"])
        return spelled

    def _read(self, event: Json) -> Json:
        read = dict(event)
        if "session" in event and self.session:
            read["session"] = self._nest(event["session"], self.session)
        if event.get("response") and self.response:
            read["response"] = self._nest(event["response"], {**self.response, **_ASKED_OTHERWISE})
        if "item" in event and self.contents:
            back = {spelled: name for name, spelled in self.contents.items()}
            read["item"] = _rename_contents(event["item"], back)
        return read

    def param(self, path: Path) -> str:
        """The name of a GA format's place in this spelling, for the ``param`` of an error."""
        if not self.formats:
            return f"session.{'.'.join(path)}.type"
        flat = next((key for key, place in self.session.items() if place == path), ".".join(path))
        return f"session.{flat}"

    def _item(self, item: Json) -> Json:
        return _rename_contents(item, self.contents) if self.contents else item

    def _flatten(self, nested: Json, places: Mapping[str, Path], same: Path) -> Json:
        flat = {key: nested[key] for key in same if key in nested}
        for key, place in places.items():
            value: Any = nested
            for part in place:
                value = value.get(part, _ABSENT) if isinstance(value, dict) else _ABSENT
            if value is not _ABSENT:
                flat[key] = self.formats[value["type"]] if place[-1] == "format" else value
        return flat

    def _nest(self, flat: Json, places: Mapping[str, Path]) -> Json:
        back = {spelled: name for name, spelled in self.formats.items()}
        nested: Json = {}
        for key, value in flat.items():
            place = places.get(key, (key,))
            inner = nested
            for part in place[:-1]:
                inner = inner.setdefault(part, {})
            inner[place[-1]] = format_object(back[value]) if place[-1] == "format" and value else value
        return nested


_ABSENT = object()
_ASKED_OTHERWISE: dict[str, Path] = {"max_response_output_tokens": ("max_output_tokens",)}


def _rename_contents(item: Json, names: Mapping[str, str]) -> Json:
    if item.get("role") != "assistant":
        return item
    contents = [{**content, "type": names.get(content["type"], content["type"])} for content in item["content"]]
    return {**item, "content": contents}


GA = Spelling(
    "openai",
    ga.CLIENT_EVENTS,
    ga.SESSION_DEFAULTS,
    forbidden={
        "openai-beta": Refusal(
            "beta_api_shape_disabled",
            "The Realtime Beta API is no longer supported. Please use /v1/realtime for the GA API.",
        )
    },
)
AZURE = attrs.evolve(GA, name="azure-openai", path="/openai/v1/realtime", key_header="api-key", scheme="")

_MODALITIES = ListOf(Choice(("audio", "text")))
_FORMAT = Choice(("pcm16", "g711_ulaw", "g711_alaw"))
_TOKENS = ga.MAX_TOKENS
_FUNCTION = Tagged("type", {"function": ga.FUNCTION_TOOL})
_BETA_VAD = Tagged(
    "type",
    {
        "server_vad": Table({key: check for key, check in ga.SERVER_VAD.keys.items() if key != "idle_timeout_ms"}),
        "semantic_vad": ga.SEMANTIC_VAD,
    },
)
_BETA_TRANSCRIPTION = Table({key: Text() for key in ("model", "language", "prompt")})
_BETA_NOISE = Table({"type": Choice(("near_field", "far_field"))})
_BETA_SHARED: dict[str, Check] = {
    "modalities": _MODALITIES,
    "instructions": Text(),
    "voice": Choice(("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse")),
    "output_audio_format": _FORMAT,
    "tools": ListOf(_FUNCTION),
    "tool_choice": Text(),
    "temperature": Number(0.6, 1.2),
    "max_response_output_tokens": _TOKENS,
}
_BETA_SESSION = Table(
    {
        **_BETA_SHARED,
        "model": Text(),
        "input_audio_format": _FORMAT,
        "input_audio_transcription": Nullable(_BETA_TRANSCRIPTION),
        "input_audio_noise_reduction": Nullable(_BETA_NOISE),
        "turn_detection": Nullable(_BETA_VAD),
        "speed": Number(0.25, 1.5),
        "tracing": Nullable(ga.TRACING),
    }
)
_BETA_RESPONSE = Table(
    {
        **_BETA_SHARED,
        "conversation": Choice(("auto", "none")),
        "metadata": Nullable(ga.METADATA),
        "input": ListOf(Table({"type": Text()} | {key: Anything() for key in ga.ITEM_KEYS}, ("type",))),
    }
)
_BETA_ITEM = Tagged(
    "type",
    {
        "message": Tagged(
            "role",
            {
                "system": ga.message(ga.text_content("input_text")),
                "user": ga.message({**ga.text_content("input_text"), **ga.audio_content("input_audio")}),
                "assistant": ga.message(ga.text_content("text")),
            },
        ),
        "function_call": ga.FUNCTION_CALL,
        "function_call_output": ga.FUNCTION_CALL_OUTPUT,
    },
)

_SESSION_PLACES: dict[str, Path] = {
    "model": ("model",),
    "modalities": ("output_modalities",),
    "instructions": ("instructions",),
    "voice": ("audio", "output", "voice"),
    "speed": ("audio", "output", "speed"),
    "input_audio_format": ("audio", "input", "format"),
    "output_audio_format": ("audio", "output", "format"),
    "input_audio_transcription": ("audio", "input", "transcription"),
    "input_audio_noise_reduction": ("audio", "input", "noise_reduction"),
    "turn_detection": ("audio", "input", "turn_detection"),
    "tools": ("tools",),
    "tool_choice": ("tool_choice",),
    "temperature": ("temperature",),
    "max_response_output_tokens": ("max_output_tokens",),
    "tracing": ("tracing",),
}
_RESPONSE_PLACES: dict[str, Path] = {
    "modalities": ("output_modalities",),
    "voice": ("audio", "output", "voice"),
    "output_audio_format": ("audio", "output", "format"),
    "temperature": ("temperature",),
    "max_output_tokens": ("max_output_tokens",),
}

BETA = Spelling(
    "openai-beta",
    {
        **ga.CLIENT_EVENTS,
        "session.update": ga.event({"session": _BETA_SESSION}, ("session",)),
        "conversation.item.create": ga.event({"item": _BETA_ITEM, "previous_item_id": Nullable(Text())}, ("item",)),
        "response.create": ga.event({"response": Nullable(_BETA_RESPONSE)}),
    },
    ga.BETA_SESSION_DEFAULTS,
    events={
        "conversation.item.added": "conversation.item.created",
        "conversation.item.done": None,
        **{
            f"response.output_{part}.{moment}": f"response.{part}.{moment}"
            for part in ("audio", "audio_transcript", "text")
            for moment in ("delta", "done")
        },
    },
    without={"response.function_call_arguments.done": ("name",)},
    contents={"output_text": "text", "output_audio": "audio"},
    formats={"audio/pcm": "pcm16", "audio/pcmu": "g711_ulaw", "audio/pcma": "g711_alaw"},
    session=_SESSION_PLACES,
    response=_RESPONSE_PLACES,
    headers={"openai-beta": "realtime=v1"},
)
