"""The configuration: attrs models. ``config_file.py`` reads them from TOML, environment and flags.

Every key has its meaning in ``metadata["help"]``, from which ``voxpipe init`` writes the commented file. A key that
does not exist or a value that does not fit is a ``ConfigError`` with the key's path, what was expected and what was
found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from errno import EADDRINUSE
from typing import Any, Literal

import attrs
import cattrs

from voxpipe.audio import AudioFormat, FormatPair
from voxpipe.digits_config import DigitsConfig, is_digit
from voxpipe.errors import ConfigError
from voxpipe.keys import between, key, zero_or
from voxpipe.structuring import first_fault, make_converter
from voxpipe.voice_config import VoiceConfig


def _is_leg_format(value: str) -> None:
    if value != "auto":
        AudioFormat.parse(value)


def _is_format_list(value: Sequence[str]) -> None:
    if not value:
        raise ValueError("expected at least one format, got none")
    for name in value:
        FormatPair.parse(name)


def parse_address(value: str) -> tuple[str, int]:
    """Split ``HOST:PORT`` or ``[IPV6]:PORT``; ``ValueError`` otherwise."""
    host, colon, port = value.rpartition(":")
    if not colon or not host.strip("[]") or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"expected HOST:PORT, got {value!r}")
    return host.strip("[]"), int(port)


def format_address(host: str, port: int) -> str:
    """Join what ``parse_address`` has split."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def unusable_address(path: str, listen: str, error: OSError) -> ConfigError:
    """Say which address cannot be listened on; the system's own words do not."""
    expected = "a free port" if error.errno == EADDRINUSE else "an address of this machine"
    return ConfigError(path, f"expected {expected}, got {listen!r}: {error}")


def _is_address_or_empty(value: str) -> None:
    if value:
        parse_address(value)


@attrs.frozen
class GatewayConfig:
    """What the gateway listens on and how much it takes."""

    listen: str = key("127.0.0.1:9092", "HOST:PORT for Asterisk's AudioSocket connections", check=parse_address)
    max_legs: int = key(100, "calls at a time; a further connection is refused at once", check=between(1, 100_000))
    drain_timeout_s: float = key(
        10.0, "after SIGINT or SIGTERM running answers are played to their end, for so long", check=between(0, 86_400)
    )


@attrs.frozen
class LegConfig:
    """The telephone side of a call."""

    format: str = key(
        "auto",
        "auto (from the first audio message; linear only), slin8 ... slin192, or ulaw8 / alaw8 for the channel driver",
        check=_is_leg_format,
    )
    uuid_timeout_s: float = key(
        5.0, "how long a connection may take to say its UUID, and then its format", check=between(0.1, 600)
    )
    write_timeout_s: float = key(
        5.0, "a frame that cannot be written for so long ends the leg: the peer is gone", check=between(0.1, 600)
    )
    idle_timeout_s: float = key(
        0.0,
        "the agent speaks up when nobody has spoken for so long; needs turn detection, and leaves it to "
        "session.turn_detection.idle_timeout_ms where that is set; 0: never",
        check=zero_or(1, 86_400),
    )
    idle_limit: int = key(
        3,
        "after so many times without a word of the caller the next silence ends the call, as leg.max_call_s does; "
        "0: never",
        check=between(0, 1000),
    )
    idle_instructions: str = key(
        "Nobody has spoken for a while: ask in a few words whether the caller is still there.",
        "what the agent is told when it is to speak up",
    )
    max_call_s: float = key(
        0.0,
        "after so long the running answer is played to its end and the leg hung up; 0: never",
        check=zero_or(1, 1e6),
    )
    warn_before_end_s: float = key(
        0.0, "so long before that the agent is instructed to come to an end; 0: never", check=zero_or(1, 1e6)
    )
    welcome_wav: str = key(
        "", "WAV file to play first, before the agent speaks; the caller may speak over it; empty: none"
    )
    reconnect_wav: str = key("", "WAV file to play while a lost session is replaced; empty: silence")
    failure_wav: str = key("", "WAV file to play before hanging up when the session fails; empty: hang up at once")


@attrs.frozen
class ProviderConfig:
    """Where the speech model is, and in which formats we talk with it."""

    dialect: str = key(
        "", "how the provider spells its messages; voxpipe probe --help lists the dialects; empty: OpenAI Realtime, GA"
    )
    url: str = key("", "ws:// or wss:// URL; empty: the dialect's own")
    model: str = key("", "model; empty: the dialect's default")
    api_key: str = key("", "key; empty: taken from the environment (OPENAI_API_KEY, or the dialect's own)", secret=True)
    formats: tuple[str, ...] = key(
        ("pcm24",),
        'formats in order of preference, each tried on a new session when the one before is refused: "pcm24", "ulaw8", '
        '"alaw8" and what else the dialect has ("slin16"), or "UPLINK/DOWNLINK"',
        check=_is_format_list,
    )
    headers: dict[str, str] = key(
        dict, "further HTTP headers, filled in like query; an empty one is left out", secret=True
    )
    query: dict[str, str] = key(
        dict,
        "further URL query parameters; {api_key}, {model}, {uplink_format}, {uplink_rate}, {downlink_format} and "
        "{downlink_rate} are filled in",
        secret=True,
    )
    ca_file: str = key("", "PEM file of the authorities to trust instead of the system's")
    connect_timeout_s: float = key(10.0, "TCP, TLS and WebSocket handshakes together", check=between(0.1, 600))
    ack_timeout_s: float = key(2.0, "how long the provider may take to acknowledge a command", check=between(0.05, 600))
    session_limit_s: float = key(
        0.0,
        "the session is over after so long: another one takes over, or it is drained; 0: the dialect's own (OpenAI: "
        "3580 s, since it ends a session at 3600 s, the acknowledgement and the drain included)",
        check=zero_or(1, 86_400),
    )
    accept_silent_ack: bool = key(
        False,
        "take an acknowledgement that names no format for one of what was asked for, which the log says; otherwise it "
        "is refused, but for a dialect whose acknowledgements never name any",
    )
    renew_before_s: float = key(
        300.0,
        "so long before session_limit_s another session is opened beside this one, given the conversation, and takes "
        "over in a pause; 0, or no less than that limit: never",
        check=between(0, 86_400),
    )
    reconnect_s: float = key(
        10.0,
        "a session lost in mid-call is replaced within so long, or the call ends; the conversation goes on from its "
        "transcripts; 0: the call ends at once",
        check=between(0, 600),
    )
    drain_timeout_s: float = key(
        10.0, "how long the running answer may go on when a session is drained", check=between(0, 86_400)
    )
    ping_interval_s: float = key(
        10.0, "WebSocket ping; no pong in as long again ends the session", check=between(1, 600)
    )


@attrs.frozen
class TurnDetectionConfig:
    """How the provider tells that the caller's turn has ended."""

    type: Literal["server_vad", "semantic_vad", "none"] = key("server_vad", "server_vad, semantic_vad or none")
    threshold: float = key(0.5, "server_vad: 0 (everything is speech) to 1", check=between(0, 1))
    prefix_padding_ms: int = key(300, "server_vad: audio kept from before the speech", check=between(0, 10_000))
    silence_duration_ms: int = key(500, "server_vad: silence that ends the turn", check=between(0, 60_000))
    idle_timeout_ms: int = key(
        0,
        "server_vad: the agent speaks up after so much silence (5000 to 30000; 0: never)",
        check=zero_or(5000, 30_000),
    )
    eagerness: Literal["auto", "low", "medium", "high"] = key("auto", "semantic_vad: auto, low, medium or high")
    create_response: bool = key(True, "the provider answers by itself when the turn ends")
    interrupt_response: bool = key(True, "the provider cancels its answer by itself when the caller speaks")

    @property
    def answers(self) -> bool:
        """Whether the provider answers the caller's turns by itself."""
        return self.type != "none" and self.create_response

    @property
    def interrupts(self) -> bool:
        """Whether the provider cancels its answer by itself."""
        return self.type != "none" and self.interrupt_response


@attrs.frozen
class TranscriptionConfig:
    """Writing down what the caller says; without a model there are no transcripts of the caller."""

    model: str = key("gpt-transcribe", "transcription model; empty: none")
    language: str = key("", "ISO 639-1 code of the caller's language; empty: detected")
    prompt: str = key("", "words to expect")


@attrs.frozen
class SessionConfig:
    """What the agent is told."""

    instructions: str = key("You are a friendly assistant on the telephone. Be brief.", "the agent's instructions")
    greeting: str = key("", "instructions for a first answer before the caller speaks; empty: the caller begins")
    greeting_words: str = key("", "instead: just the words that the agent speaks first; empty: none")
    resume_instructions: str = key(
        "The line was interrupted for a moment: apologise in a few words and go on where the conversation stopped.",
        "instructions for an answer at once when a session was lost that left something unsaid; empty: none",
    )
    voice: str = key("", "voice; empty: the provider's default")
    speed: float = key(0.0, "rate of speech, 0.25 to 1.5; 0: the provider's default", check=zero_or(0.25, 1.5))
    max_output_tokens: int = key(0, "limit of an answer in tokens; 0: none", check=between(0, 4096))
    push_to_talk: str = key(
        "",
        "with turn_detection.type none: the DTMF digit that ends the caller's turn, and silences the agent while it "
        "speaks (what was said before that press is forgotten); empty: none",
        check=is_digit,
    )
    noise_reduction: Literal["none", "near_field", "far_field"] = key("none", "none, near_field or far_field")
    turn_detection: TurnDetectionConfig = key(TurnDetectionConfig, "turn detection")
    transcription: TranscriptionConfig = key(TranscriptionConfig, "transcription of the caller")
    extra: dict[str, Any] = key(
        dict, "further keys of the provider's session object, laid over ours, tables over tables"
    )

    def __attrs_post_init__(self) -> None:
        if self.push_to_talk and self.turn_detection.type != "none":
            raise ConfigError(
                "push_to_talk", f'expected turn_detection.type = "none" with it, got {self.turn_detection.type!r}'
            )
        if self.greeting and self.greeting_words:
            raise ConfigError("greeting_words", "expected none with greeting: the agent speaks first once")


@attrs.frozen
class ContextConfig:
    """The HTTP endpoint that gives a call its context before it comes, and tells how it ended."""

    listen: str = key(
        "",
        "HOST:PORT for the requests of a dialplan; empty: off; an address beyond loopback needs context.token",
        check=_is_address_or_empty,
    )
    token: str = key("", "requests must bring it as Authorization: Bearer; empty: none is asked for", secret=True)
    announced_only: bool = key(False, "only announced calls are taken, each announcement for one call")
    expires_s: float = key(60.0, "how long an announcement waits for its call", check=between(0.1, 86_400))
    max_announced: int = key(
        1000, "announcements that wait for their calls; a further one is refused", check=between(1, 1_000_000)
    )
    outcomes_s: float = key(600.0, "how long it can be asked how a call ended", check=between(0.1, 86_400))
    max_outcomes: int = key(
        1000, "ended calls that can be asked about; then the oldest goes", check=between(1, 1_000_000)
    )
    log_variables: bool = key(False, "caller number and variables in the logs; otherwise they are redacted")


BUILTIN_TOOLS = ("hang_up", "send_to", "wait", "collect_digits")


def _is_tool_list(value: Sequence[str]) -> None:
    for name in value:
        if name not in BUILTIN_TOOLS:
            raise ValueError(f"expected tools of {', '.join(BUILTIN_TOOLS)}, got {name!r}")


@attrs.frozen
class ToolsConfig:
    """What the agent may do besides speaking."""

    builtin: tuple[str, ...] = key(
        (),
        "built-in tools of the agent: hang_up (after its goodbye), send_to (hand the caller on), wait (stay silent), "
        "collect_digits (ask for digits on the keypad)",
        check=_is_tool_list,
    )
    send_to: tuple[str, ...] = key((), "where the tool send_to may hand the caller on to")
    max_calls: int = key(8, "calls of tools at a time; a further one is not made", check=between(1, 1000))
    result_bytes: int = key(
        16_384, "the longest result of a tool; the rest is cut off, and the model told so", check=between(64, 1_000_000)
    )


@attrs.frozen
class LogConfig:
    """The evidence."""

    dir: str = key("logs", "folder of the logs, one file per leg")
    audio: Literal["digest", "inline", "sidecar"] = key(
        "digest",
        "audio in the log: digest (count, duration, hash), inline (base64), sidecar (two WAV files beside the log)",
    )


@attrs.frozen
class LimitsConfig:
    """The bounds of the queues."""

    uplink_ms: int = key(
        1000, "caller audio that waits for the provider; beyond, the oldest is dropped", check=between(20, 60_000)
    )
    downlink_chunks: int = key(
        1000, "provider chunks that wait to be converted; more is a fault", check=between(1, 1_000_000)
    )
    ledger_s: int = key(
        600, "agent audio that waits to be played; beyond, it is refused and recorded", check=between(1, 86_400)
    )
    records: int = key(
        10_000, "records that wait to be written; beyond, they are counted as lost", check=between(1, 10_000_000)
    )


@attrs.frozen
class Config:
    """All of it; each attribute is a table of the TOML file."""

    gateway: GatewayConfig = key(GatewayConfig, "The gateway.")
    leg: LegConfig = key(LegConfig, "The telephone side.")
    provider: ProviderConfig = key(ProviderConfig, "The provider's side.")
    session: SessionConfig = key(SessionConfig, "What the agent is told.")
    voice: VoiceConfig = key(VoiceConfig, "Hearing the caller's voice here.")
    context: ContextConfig = key(ContextConfig, "What calls are announced to.")
    tools: ToolsConfig = key(ToolsConfig, "What the agent may do.")
    digits: DigitsConfig = key(DigitsConfig, "The caller's keypad.")
    log: LogConfig = key(LogConfig, "The evidence.")
    limits: LimitsConfig = key(LimitsConfig, "The bounds of the queues.")

    def __attrs_post_init__(self) -> None:
        if self.voice.detect == "on" and self.session.push_to_talk:
            raise ConfigError("voice.detect", "expected off with session.push_to_talk: one of them ends the turns")
        told = self.session.turn_detection.type != "none" or self.voice.detect == "on"
        if self.leg.idle_timeout_s and not told:
            raise ConfigError(
                "leg.idle_timeout_s",
                "expected 0 with session.turn_detection.type none: nobody tells when the caller speaks",
            )
        if self.leg.warn_before_end_s and self.leg.warn_before_end_s >= self.leg.max_call_s:
            raise ConfigError(
                "leg.warn_before_end_s",
                f"expected less than leg.max_call_s ({self.leg.max_call_s:g}), got {self.leg.warn_before_end_s:g}",
            )


_CONVERTER = make_converter()
TABLES = (
    GatewayConfig,
    LegConfig,
    ProviderConfig,
    SessionConfig,
    VoiceConfig,
    ContextConfig,
    ToolsConfig,
    DigitsConfig,
    LogConfig,
    LimitsConfig,
)
for _model in (TurnDetectionConfig, TranscriptionConfig, *TABLES, Config):
    attrs.resolve_types(_model)


def structure_config(tree: Mapping[str, Any]) -> Config:
    """Make a ``Config`` of plain data; ``ConfigError`` names the first bad key."""
    try:
        return _CONVERTER.structure(tree, Config)
    except cattrs.BaseValidationError as group:
        path, reason = first_fault(group, "")
        raise ConfigError(path, reason) from None
