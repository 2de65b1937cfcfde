"""Where a session is asked for: URL, query and headers, with their templates filled in."""

from __future__ import annotations

from typing import Any

import pytest

from voxpipe.actors.access import Access, Door
from voxpipe.audio import SLIN16, ULAW8, FormatPair
from voxpipe.config import structure_config
from voxpipe.dialects import get_dialect
from voxpipe.websocket import dial_tcp

MIXED = FormatPair(ULAW8, SLIN16)


def door(key: str = "sk-1", formats: FormatPair = MIXED, **provider: Any) -> Door:
    """What a configuration makes of a session's formats."""
    config = structure_config({"provider": provider}).provider
    return Access(get_dialect(config.dialect), config, key, dial_tcp, None).door(formats)


def test_the_dialects_own_door_is_taken() -> None:
    """Without a word of the configuration the vendor's URL, query and headers are."""
    assert door().url == "wss://api.openai.com/v1/realtime?model=gpt-realtime-2.1"
    assert door().headers == (("Authorization", "Bearer sk-1"),)
    assert door(dialect="deepgram").headers == (("Authorization", "Token sk-1"),)
    azure = door(dialect="azure-openai", url="wss://r.openai.azure.com/openai/v1/realtime", model="mine")
    assert azure.url == "wss://r.openai.azure.com/openai/v1/realtime?model=mine"
    assert azure.headers == (("api-key", "sk-1"),)


def test_formats_are_filled_into_url_query_and_headers() -> None:
    """A server that wants the formats in its URL gets them as the dialect spells them, the rate in Hz beside."""
    found = door(
        url="ws://here/{uplink_rate}/x?lang=de",
        query={"in": "{uplink_format}", "out": "{downlink_format}", "model": ""},
        headers={"X-Rate": "{downlink_rate}", "X-Model": "{model}"},
        model="m 1",
    )
    assert found.url == "ws://here/8000/x?lang=de&in=audio%2Fpcmu&out=slin16"
    assert found.headers == (("Authorization", "Bearer sk-1"), ("X-Rate", "16000"), ("X-Model", "m 1"))
    assert door(dialect="deepgram", query={"e": "{uplink_format}"}).url.endswith("?e=mulaw")


def test_what_is_empty_is_left_out() -> None:
    """A header is taken away by an empty one, and one that wants a key is left out where there is none."""
    assert door(headers={"Authorization": ""}).headers == ()
    assert door(key="").headers == ()
    assert door(key="", headers={"Authorization": "Basic eDp5"}).headers == (("Authorization", "Basic eDp5"),)


def test_the_log_has_the_names_of_a_query_and_not_its_values() -> None:
    """Only the dialect's own parameters are shown as they are: what else is in a URL may be a secret."""
    shown = door(url="wss://here/x", query={"token": "sesame", "rate": "{uplink_rate}"}).shown
    assert "sesame" not in shown
    assert "model=gpt-realtime-2.1" in shown
    assert "token=" in shown


@pytest.mark.parametrize("name", ["openai", "azure-openai"])
def test_a_key_is_no_part_of_what_is_printed(name: str) -> None:
    """Neither the access nor the door shows a key in its repr."""
    config = structure_config({"provider": {"dialect": name, "url": "wss://h", "query": {"k": "{api_key}"}}}).provider
    access = Access(get_dialect(name), config, "sk-secret", dial_tcp, None)
    assert "sk-secret" not in repr(access) + repr(access.door(MIXED))
