"""What the tests of a change of sessions share: providers that go, and what a session was given and asked for."""

from __future__ import annotations

from typing import Any

from virtual_call import VirtualCall, silence, tone

from voxpipe.config import Config
from voxpipe.testing.provider_evidence import ProviderSession
from voxpipe.testing.scenario import Scenario, Step, Trigger, Vanish

RESUME = Config().session.resume_instructions
GONE = Scenario("gone", "drops the connection 5 s after it was configured", (Step(Trigger.READY, 5.0, Vanish()),))
ONE_TURN = tone(1000) + silence(4000)


def given(session: ProviderSession) -> list[tuple[str, str]]:
    """The items a session was given by us, in order: who said it, and what."""
    items = [event["item"] for event in session.understood if event["type"] == "conversation.item.create"]
    return [
        (item["role"], item["content"][0]["text"])
        if item["type"] == "message"
        else (item["type"], item.get("output", item.get("arguments")))
        for item in items
    ]


def asked(session: ProviderSession) -> list[Any]:
    """The instructions of the responses that a session was asked for."""
    bodies = [message.body for message in session.messages if message.type == "response.create"]
    return [body.get("response", {}).get("instructions") for body in bodies]


def no_complaints(call: VirtualCall) -> None:
    """No session had anything to object to."""
    assert [complaint for complaint in call.provider.complaints if not complaint.harmless] == []


def renewed_after(seconds: float) -> dict[str, float]:
    """The provider's table with which a session is to be replaced after so long."""
    return {"renew_before_s": 3000.0 - seconds, "session_limit_s": 3000.0}
