"""The limits a call is held against, from the table ``[slo]`` of a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import attrs
import cattrs

from voxpipe.errors import ConfigError
from voxpipe.structuring import first_fault, make_converter

_CONVERTER = make_converter()


def _limit(default: float, help_text: str) -> Any:
    return attrs.field(default=default, metadata={"help": help_text})


@attrs.frozen(kw_only=True)
class Slo:
    """The limits; each holds for one call. Latencies of which no mark is in the log are unknown, and break no limit."""

    ack_ms: float = _limit(2_000.0, "longest time to the acknowledgement of the configuration")
    turn_p95_ms: float = _limit(3_000.0, "p95 from the caller's last word to the first frame played")
    answer_p95_ms: float = _limit(2_500.0, "p95 from speech_stopped to the first frame played, or else received")
    barge_in_ms: float = _limit(200.0, "longest time from speech_started to the agent's silence")
    tool_ms: float = _limit(10_000.0, "longest time a tool's result was waited for")
    dead_air_s: float = _limit(8.0, "longest silence of both sides")
    turn_within_s: float = _limit(
        15.0, "time of sending caller audio within which turn detection must have heard a turn"
    )
    longest_turn_s: float = _limit(60.0, "longest turn of the caller, beyond which its end was probably not heard")
    gap_ms: float = _limit(500.0, "longest gap in the caller's audio, and in an answer's audio beyond what waits")
    drift_percent: float = _limit(2.0, "seconds of caller audio against the clock, gaps aside")
    rate_percent: float = _limit(15.0, "bytes a second against the format's own rate")
    lost_uplink_ms: float = _limit(0.0, "caller audio that was dropped before it was sent")
    refused_bytes: float = _limit(0.0, "bytes of agent audio that were refused, or found no room")
    underruns: float = _limit(0.0, "times an answer ran dry while it was being played")
    slips: float = _limit(5.0, "times the playout's clock had to be set anew")
    clipped_percent: float = _limit(0.1, "samples of either side at full scale")
    dc_offset_lsb: float = _limit(200.0, "mean of either side's samples, in steps of 16 bits")
    level_low_dbfs: float = _limit(-45.0, "lowest level of the caller's loudest second")
    level_high_dbfs: float = _limit(-5.0, "highest level of either side's loudest second")
    missing_transcripts_percent: float = _limit(10.0, "caller's turns without a transcript")
    unanswered_turns: float = _limit(0.0, "caller's turns that no response followed")
    errors: float = _limit(0.0, "errors, harmless ones aside")
    failed_tools: float = _limit(0.0, "tool calls that failed or were never answered")


def load_slo(path: Path | None) -> Slo:
    """Read the limits; without a file, the defaults. ``ConfigError`` names the wrong key."""
    if path is None:
        return Slo()
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(str(path), f"expected a TOML file with a table [slo]: {error}") from error
    if "slo" not in tree:
        raise ConfigError(str(path), f"expected a table [slo], got {', '.join(tree) or 'an empty file'}")
    try:
        return _CONVERTER.structure(tree["slo"], Slo)
    except (cattrs.BaseValidationError, TypeError, ValueError) as error:
        raise ConfigError(*first_fault(error, "slo")) from error


def slo_template() -> str:
    """Write every limit with its meaning and its default as a TOML table."""
    lines = ["[slo]"]
    for field in attrs.fields(Slo):
        lines += [f"# {field.metadata['help']}", f"{field.name} = {field.default:g}"]
    return "\n".join(lines) + "\n"
