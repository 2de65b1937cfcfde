"""What a simulated provider does besides answering its client, as data: ``(after, delay, do)``.

A scenario starts from a server that behaves (it acknowledges, hears turns and speaks them back) and says where this
one departs from it. Everything in it is a frozen value, so that a test, a log and a command line name the same thing.
Scenarios that imitate trouble seen on real servers name what was seen.
"""

from __future__ import annotations

import enum
from typing import Any, TypeAlias

import attrs


class Trigger(enum.Enum):
    """The moment after which a step is due."""

    OPENED = "the socket was accepted"
    UPDATE_RECEIVED = "settings arrived"
    READY = "the first settings were acknowledged"
    SPEECH_STARTED = "the caller began to speak"
    SPEECH_STOPPED = "the caller's turn ended"
    FIRST_AUDIO = "the first chunk of an answer was sent"
    MID_ANSWER = "half of an answer was sent"
    ANSWERED = "an answer was finished"


@attrs.frozen
class Say:
    """Speak without being asked: ``clip`` (16-bit linear, 24 kHz), or the parrot's own greeting."""

    clip: bytes | None = None


@attrs.frozen
class CallTool:
    """Ask the client to call a function, in the answer that runs, after its words, or else in one without words.

    The response goes on for ``hold_s`` after it.
    """

    name: str
    arguments: str = "{}"
    hold_s: float = 0.0


@attrs.frozen
class SendEvent:
    """Send an event as it stands; an ``event_id`` is added when there is none."""

    event: dict[str, Any]


@attrs.frozen
class SendText:
    """Send a text message as it stands, which need not be JSON."""

    text: str


@attrs.frozen
class SendError:
    """Send an ``error`` which answers no command of the client."""

    code: str | None
    message: str
    kind: str = "invalid_request_error"


@attrs.frozen
class Reconfigure:
    """Change the formats under the client, and say so in an acknowledgement nobody asked for.

    Each is a tuple of GA format names; the first one that differs from the present format is taken.
    """

    uplink_instead: tuple[str, ...] = ()
    downlink_instead: tuple[str, ...] = ()


@attrs.frozen
class Stall:
    """Send nothing at all for so long; what was due is sent afterwards."""

    for_s: float


@attrs.frozen
class Vanish:
    """Drop the connection under the WebSocket: the client sees code 1006."""


@attrs.frozen
class Close:
    """Close the WebSocket with a code and a reason."""

    code: int
    reason: str = ""


Action: TypeAlias = Say | CallTool | SendEvent | SendText | SendError | Reconfigure | Stall | Vanish | Close


@attrs.frozen
class Step:
    """``do`` something ``delay_s`` after a trigger; at every such moment, or only at the first."""

    after: Trigger
    delay_s: float
    do: Action
    once: bool = True


@attrs.frozen
class Acknowledge:
    """Acknowledge good settings, after ``delay_s``.

    ``uplink_instead`` and ``downlink_instead`` name GA formats; the first that was *not* asked for is confirmed,
    and used. ``tells_formats``: whether formats are in it at all.
    """

    delay_s: float = 0.0
    tells_formats: bool = True
    uplink_instead: tuple[str, ...] = ()
    downlink_instead: tuple[str, ...] = ()


@attrs.frozen
class Refuse:
    """Answer all settings with this error; an anonymous one names neither parameter nor event."""

    code: str | None
    message: str
    param: str | None = None
    anonymous: bool = False


@attrs.frozen
class Silence:
    """Never answer settings."""


@attrs.frozen
class Pace:
    """How an answer's audio leaves: first chunk after ``latency_s``, then chunks ``speed`` times faster than real time.

    The chunk lengths repeat in order. Seen on a real server: 9 chunks of 372 ms on average at 2.5 times real time; the
    lengths here are no multiples of a 20 ms frame on purpose.
    """

    latency_s: float = 0.3
    speed: float = 4.0
    chunk_ms: tuple[float, ...] = (100.0, 250.125, 398.5, 171.25, 333.375)


@attrs.frozen
class Scenario:
    """One way to behave.

    ``formats`` are the GA formats the server takes at all; ``parrot`` says whether turns are answered; the server's own
    count of an item's audio is ``undercount_ms`` below what it sent; ``transcripts`` are what it makes of the caller's
    turns, one after the other, before it says how long they were; ``extra_keys`` are added to every event;
    ``session_limit_s`` is the longest a session may last, None what the dialect's server lets it.
    """

    name: str
    description: str
    steps: tuple[Step, ...] = ()
    greets: bool = True
    on_update: Acknowledge | Refuse | Silence = Acknowledge()
    formats: tuple[str, ...] = ("audio/pcm", "audio/pcmu", "audio/pcma")
    parrot: bool = True
    pace: Pace = Pace()
    undercount_ms: int = 0
    transcripts: tuple[str, ...] = ()
    extra_keys: tuple[tuple[str, Any], ...] = ()
    session_limit_s: float | None = None


EXPIRED_TEXT = "Your session hit the maximum duration of 60 minutes."
_EITHER = ("audio/pcmu", "audio/pcm")
_STRANGE = {"type": "session.weather.updated", "outlook": {"tomorrow": "fair"}}

PARROT = Scenario("parrot", "behaves, and speaks each of the caller's turns back")

_ALL = (
    PARROT,
    Scenario("greeting", "speaks first, without being asked", (Step(Trigger.READY, 0.1, Say()),)),
    Scenario(
        "wrong-format",
        "uses mu-law whatever was asked (PCM for mu-law), and says so where acknowledgements do",
        on_update=Acknowledge(downlink_instead=_EITHER),
    ),
    Scenario(
        "silent-ack",
        "acknowledges without a word of the formats, as some compatible servers do",
        on_update=Acknowledge(tells_formats=False),
    ),
    Scenario("no-ack", "never acknowledges the client's settings", on_update=Silence()),
    Scenario(
        "refused",
        "refuses the client's settings, naming its message where errors do",
        on_update=Refuse("unknown_parameter", "Unknown parameter: 'session.audio'.", "session.audio"),
    ),
    Scenario(
        "refused-anonymous",
        "refuses the client's settings, naming neither message nor parameter",
        on_update=Refuse("invalid_value", "The session cannot be updated.", anonymous=True),
    ),
    Scenario(
        "early-audio",
        "speaks before it has acknowledged the client's settings",
        (Step(Trigger.UPDATE_RECEIVED, 0.0, Say()),),
        on_update=Acknowledge(delay_s=1.0),
    ),
    Scenario(
        "slow-ack", "acknowledges settings after 1.5 s, and behaves otherwise", on_update=Acknowledge(delay_s=1.5)
    ),
    Scenario(
        "format-drift",
        "changes the downlink format in the middle of the call, with an acknowledgement nobody asked for",
        (Step(Trigger.READY, 3.0, Reconfigure(downlink_instead=_EITHER)),),
    ),
    Scenario("stall", "stops sending for 4 s in the middle of an answer", (Step(Trigger.MID_ANSWER, 0.0, Stall(4.0)),)),
    Scenario("vanish", "drops the connection in the middle of an answer", (Step(Trigger.MID_ANSWER, 0.0, Vanish()),)),
    Scenario(
        "close-1011",
        "closes with 1011 in the middle of an answer",
        (Step(Trigger.MID_ANSWER, 0.0, Close(1011, "The server had an error.")),),
    ),
    Scenario(
        "expired",
        "ends the session as if its longest time were over, 5 s after it was configured",
        (
            Step(Trigger.READY, 5.0, SendError("session_expired", EXPIRED_TEXT)),
            Step(Trigger.READY, 5.0, Close(1001, EXPIRED_TEXT)),
        ),
    ),
    Scenario("no-created", "accepts the socket and says nothing", greets=False, on_update=Silence(), parrot=False),
    Scenario(
        "error-mid",
        "sends an error that answers nothing, and goes on where errors do not end a session",
        (Step(Trigger.READY, 1.0, SendError(None, "The server had an error.", "server_error")),),
    ),
    Scenario(
        "unknown-events",
        "sends event types and keys nobody has heard of",
        tuple(
            Step(trigger, 0.0, SendEvent(_STRANGE), once=False)
            for trigger in (Trigger.OPENED, Trigger.READY, Trigger.SPEECH_STARTED, Trigger.FIRST_AUDIO)
        ),
        extra_keys=(("x_region", "moon"), ("x_trace", {"hops": [1, 2]})),
    ),
    Scenario(
        "garbage",
        "sends text that is not JSON, and JSON that is no event",
        (
            Step(Trigger.READY, 1.0, SendText("{not json")),
            Step(Trigger.READY, 1.0, SendText("[]")),
            Step(Trigger.READY, 1.0, SendText('{"no": "type"}')),
        ),
    ),
    Scenario("second-format-only", "refuses PCM and A-law, takes mu-law", formats=("audio/pcmu",)),
    Scenario(
        "undercount",
        "counts 85 ms less than it sent, so that truncating at the end (where it can be) is refused",
        undercount_ms=85,
    ),
    Scenario("silent", "hears turns and never answers", parrot=False),
)

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in _ALL}
"""The named scenarios, as ``voxpipe simulate --scenario`` takes them."""
