"""The vendor's own message types as an oracle: what constructs them, and leaves no key unknown, is spelled right."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator
from typing import Any

from openai.types.beta.realtime import RealtimeClientEvent as BetaClientEvent
from openai.types.beta.realtime import RealtimeServerEvent as BetaServerEvent
from openai.types.realtime import RealtimeClientEvent as GaClientEvent
from openai.types.realtime import RealtimeServerEvent as GaServerEvent
from pydantic import BaseModel, TypeAdapter

from voxpipe.dialects import get_dialect
from voxpipe.sansio.dialect import Wire
from voxpipe.sansio.realtime import ProviderEvent

UNIONS: dict[tuple[str, str], Any] = {
    ("openai", "client"): GaClientEvent,
    ("openai", "server"): GaServerEvent,
    ("openai-beta", "client"): BetaClientEvent,
    ("openai-beta", "server"): BetaServerEvent,
}
ADAPTERS: dict[tuple[str, str], TypeAdapter[Any]] = {side: TypeAdapter(union) for side, union in UNIONS.items()}


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


def vendor_parse(dialect: str, side: str, message: dict[str, Any]) -> BaseModel:
    """Construct the vendor's type for a message of the ``client`` or the ``server``."""
    parsed = ADAPTERS[dialect, side].validate_python(message)
    assert isinstance(parsed, BaseModel)
    assert getattr(parsed, "type", None) == message["type"]
    return parsed


def vendor_names(dialect: str, side: str) -> set[str]:
    """The type of every message in the vendor's union."""
    members = typing.get_args(typing.get_args(UNIONS[dialect, side])[0])
    return {typing.get_args(member.model_fields["type"].annotation)[0] for member in members}


def ga_session(uplink: Wire, downlink: Wire) -> Wire:
    """A GA session with formats."""
    audio = {"input": {"format": uplink}, "output": {"format": downlink}}
    return {"type": "realtime", "id": "sess_1", "object": "realtime.session", "audio": audio}


def decode(dialect: str, message: Wire) -> ProviderEvent:
    """Decode a message as it would come off the socket."""
    spelling = get_dialect(dialect)
    return spelling.decode(spelling.parse(json.dumps(message)))
