"""What the tests of a change of sessions share: providers that go, and what a session was given and asked for."""

from __future__ import annotations

from typing import Any

from virtual_call import VirtualCall, silence, tone

from voxpipe.config import Config
from voxpipe.dialects import deepgram, openai_live
from voxpipe.testing.provider_evidence import ClientMessage, ProviderSession
from voxpipe.testing.scenario import Scenario, Step, Trigger, Vanish

RESUME = Config().session.resume_instructions
GONE = Scenario("gone", "drops the connection 5 s after it was configured", (Step(Trigger.READY, 5.0, Vanish()),))
ADD, ASK = "conversation.item.create", "response.create"
HEADINGS = (deepgram.RECALLED, openai_live.RECALLED)
ROLES = {"caller": "user", "agent": "assistant"}
ONE_TURN = tone(1000) + silence(4000)


def given(session: ProviderSession) -> list[tuple[str, str]]:
    """What a session was given by us, in order, as items or in words: who said it, and what."""
    told: list[tuple[str, str]] = []
    recalled: list[str] = []
    for message in session.messages:
        lines = _recalled(message.body)
        told += [said for line in lines[len(recalled) :] for said in _said(line)]
        recalled = lines if message.type == "UpdatePrompt" else []  # which says all of it again
        told += [] if _asks(message) else [_item(each["item"]) for each in message.meaning if each["type"] == ADD]
    return told


def _recalled(body: dict[str, Any]) -> list[str]:
    text = str(body.get("prompt") or body.get("content") or "")
    return [line for heading in HEADINGS for line in text.partition(f"{heading}\n")[2].splitlines()]


def _said(line: str) -> list[tuple[str, str]]:
    speaker, _, words = line.partition(": ")
    if speaker in ROLES:
        return [(ROLES[speaker], words)]
    call, _, output = line.partition(" returned: ")
    return [("function_call", call[call.index("(") + 1 : -1]), ("function_call_output", output)]


def _item(item: dict[str, Any]) -> tuple[str, str]:
    if item["type"] == "message":
        return item["role"], item["content"][0]["text"]
    return item["type"], item.get("output", item.get("arguments"))


def _asks(message: ClientMessage) -> bool:
    """Whether words are asked for by these very words."""
    items = [each["item"] for each in message.meaning if each["type"] == ADD]
    return len(message.meaning) > 1 and all(item["type"] == "message" for item in items)


def asked(session: ProviderSession) -> list[Any]:
    """What a session was asked to speak by: instructions or words; none where it is to go on from a result."""
    return [request for message in session.messages for request in asked_in(message)]


def asked_in(message: ClientMessage) -> list[Any]:
    """The same of one message."""
    items = [each["item"] for each in message.meaning if each["type"] == ADD]
    requests = [each for each in message.meaning if each["type"] == ASK]
    if items:
        return [items[0]["content"][0]["text"] for _ in requests if _asks(message)]
    return [each.get("words", each.get("response", {}).get("instructions")) for each in requests]


def no_complaints(call: VirtualCall) -> None:
    """No session had anything to object to."""
    assert [complaint for complaint in call.provider.complaints if not complaint.harmless] == []


def renewed_after(seconds: float) -> dict[str, float]:
    """The provider's table with which a session is to be replaced after so long."""
    return {"renew_before_s": 3000.0 - seconds, "session_limit_s": 3000.0}
