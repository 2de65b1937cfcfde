"""The vendor's own message types as an oracle: what constructs them, and leaves no key unknown, is spelled right."""

from __future__ import annotations

import copy
import json
import typing
from collections.abc import Iterable, Iterator
from typing import Any

import deepgram.agent.v1.types as deepgram_types
from openai.types.beta.realtime import RealtimeClientEvent as BetaClientEvent
from openai.types.beta.realtime import RealtimeServerEvent as BetaServerEvent
from openai.types.live import ClientEvent as LiveClientEvent
from openai.types.live import ServerEvent as LiveServerEvent
from openai.types.realtime import RealtimeClientEvent as GaClientEvent
from openai.types.realtime import RealtimeServerEvent as GaServerEvent
from pydantic import BaseModel, TypeAdapter, ValidationError

from voxpipe.dialects import get_dialect
from voxpipe.sansio.dialect import Decoded, Wire

UNIONS: dict[tuple[str, str], Any] = {
    ("openai", "client"): GaClientEvent,
    ("openai", "server"): GaServerEvent,
    ("openai-beta", "client"): BetaClientEvent,
    ("openai-beta", "server"): BetaServerEvent,
    ("azure-openai", "client"): GaClientEvent,
    ("azure-openai", "server"): GaServerEvent,
    ("openai-live", "client"): LiveClientEvent,
    ("openai-live", "server"): LiveServerEvent,
}
ADAPTERS: dict[tuple[str, str], TypeAdapter[Any]] = {side: TypeAdapter(union) for side, union in UNIONS.items()}


DEEPGRAM_CLIENT = {
    "AgentV1Settings",
    "AgentV1KeepAlive",
    "AgentV1UpdatePrompt",
    "AgentV1UpdateSpeak",
    "AgentV1UpdateListen",
    "AgentV1UpdateThink",
    "AgentV1UpdateThinkLive",
    "AgentV1InjectAgentMessage",
    "AgentV1InjectDynamicAgentMessage",
    "AgentV1InjectUserMessage",
    "AgentV1SendFunctionCallResponse",
    "AgentV1ForceEndTurn",
    "AgentV1CustomToThinkProvider",
}


def _deepgram_classes() -> dict[tuple[str, str], list[type[BaseModel]]]:
    """Deepgram's message classes by side and type: it has no unions, and two classes for some types."""
    sides: dict[tuple[str, str], list[type[BaseModel]]] = {}
    for name in dir(deepgram_types):
        member = getattr(deepgram_types, name)
        if not isinstance(member, type) or not issubclass(member, BaseModel) or "type" not in member.model_fields:
            continue
        (wire_type,) = typing.get_args(member.model_fields["type"].annotation) or (None,)
        side = "client" if name in DEEPGRAM_CLIENT else "server"
        sides.setdefault((side, str(wire_type)), []).append(member)
    return {key: classes for key, classes in sides.items() if key[1] != "deepgram"}


DEEPGRAM_CLASSES = _deepgram_classes()


def unknown_keys(value: object, path: str = "") -> Iterator[str]:
    """Every key that the vendor's types do not know, by path."""
    if isinstance(value, BaseModel):
        for key in value.model_extra or {}:
            yield f"{path}.{key}"
        for key in type(value).model_fields:
            yield from unknown_keys(getattr(value, key), f"{path}.{key}")
    elif isinstance(value, list):
        for element in value:
            yield from unknown_keys(element, f"{path}[]")


def _first_that_fits(classes: list[type[BaseModel]], message: dict[str, Any]) -> BaseModel:
    """Construct the first class whose required fields are there."""
    for number, vendor_class in enumerate(classes, 1):
        try:
            return vendor_class.model_validate(message)
        except ValidationError:
            if number == len(classes):
                raise
    raise AssertionError("expected a class for the type, got none")


def vendor_parse(dialect: str, side: str, message: dict[str, Any]) -> BaseModel:
    """Construct the vendor's type for a message of the ``client`` or the ``server``."""
    if dialect == "deepgram":
        parsed: Any = _first_that_fits(DEEPGRAM_CLASSES[side, message["type"]], message)
    else:
        parsed = ADAPTERS[dialect, side].validate_python(message)
    assert isinstance(parsed, BaseModel)
    assert getattr(parsed, "type", None) == message["type"]
    return parsed


def assert_vendor_knows(dialect: str, messages: Iterable[dict[str, Any]]) -> None:
    """Each message of a server constructs the vendor's type for it, and leaves no key unknown."""
    for message in messages:
        assert list(unknown_keys(vendor_parse(dialect, "server", message))) == [], message


def vendor_names(dialect: str, side: str) -> set[str]:
    """The type of every message in the vendor's union."""
    if dialect == "deepgram":
        return {wire_type for known_side, wire_type in DEEPGRAM_CLASSES if known_side == side}
    members = typing.get_args(typing.get_args(UNIONS[dialect, side])[0])
    return {typing.get_args(member.model_fields["type"].annotation)[0] for member in members}


def ga_session(uplink: Wire, downlink: Wire) -> Wire:
    """A GA session with formats."""
    audio = {"input": {"format": uplink}, "output": {"format": downlink}}
    return {"type": "realtime", "id": "sess_1", "object": "realtime.session", "audio": audio}


def decode(dialect: str, message: Wire) -> Decoded:
    """Decode a message as it would come off the socket."""
    spelling = get_dialect(dialect)
    return spelling.decode(spelling.parse(json.dumps(message)))


def with_value(event: Wire, path: str, value: Any) -> Wire:
    """A copy of a message with this value at a path; None takes the key away."""
    copied = copy.deepcopy(event)
    *parents, last = path.split(".")
    inner: Any = copied
    for key in parents:
        inner = inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return copied
