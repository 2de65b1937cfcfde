"""The last record of a leg: what it came to, from the statistics of the objects that did the work."""

from __future__ import annotations

from typing import Any

import attrs

from voxpipe.audio import NS_PER_S, AudioFormat
from voxpipe.call import Call
from voxpipe.errors import describe_error


def summarise(call: Call, duration_ns: int, records_peak: int) -> dict[str, Any]:
    """Sum a leg up: formats, acknowledgement, audio each way, playout, turns, peaks of the channels, its end."""
    session = call.conversation.statistics()
    confirmed = call.session_formats.value
    leg_formats = call.leg_formats.value
    return {
        "because": call.reason,
        "next": call.next,
        "error": None if call.error is None else describe_error(call.error),
        "duration_s": round(duration_ns / NS_PER_S, 3),
        "formats": {
            "leg": _pair(leg_formats.uplink, leg_formats.downlink) if leg_formats else None,
            "requested": list(call.conversation.requested),
            "confirmed": _pair(confirmed.uplink, confirmed.downlink) if confirmed else None,
        },
        "ack_ms": None if session.ack_ns is None else round(session.ack_ns / 1e6, 3),
        "uplink": _uplink(call),
        "downlink": _downlink(call),
        "playout": _playout(call),
        "suspicions": list(call.log.suspicions),
        "sessions": {"opened": call.conversation.opened, **attrs.asdict(call.conversation.successions)},
        "turns": {"caller": session.caller_turns, "agent": session.responses, "cut": session.cuts},
        "tools": attrs.asdict(call.tools.statistics),
        "digits": attrs.asdict(call.keypad.statistics),
        "session": attrs.asdict(session),
        "channels_peak": {
            "uplink": call.uplink.statistics().peak_buffer_used,
            "appends": call.appends.statistics().peak_buffer_used,
            "commands": call.conversation.commands_peak,
            "downlink": call.downlink.statistics().peak_buffer_used,
            "entries": call.keypad.entries_peak,
            "records": records_peak,
        },
        "records": attrs.asdict(call.log.statistics),
    }


def _pair(uplink: AudioFormat, downlink: AudioFormat) -> dict[str, str]:
    return {"uplink": str(uplink), "downlink": str(downlink)}


def _seconds(format_: AudioFormat | None, size_bytes: int) -> float | None:
    return None if format_ is None else round(format_.duration_ms(size_bytes) / 1000, 3)


def _uplink(call: Call) -> dict[str, Any]:
    received = call.leg.statistics()
    appended = call.conversation.appended
    formats, confirmed = call.leg_formats.value, call.session_formats.value
    return {
        "messages": received.audio_messages,
        "bytes": received.audio_bytes,
        "seconds": _seconds(formats.uplink if formats else None, received.audio_bytes),
        "digits": received.digits,
        "unknown_messages": received.unknown_messages,
        "overrun_frames": call.uplink_counts.overrun_frames,
        "append_chunks": appended.chunks,
        "append_bytes": appended.bytes,
        "append_seconds": _seconds(confirmed.uplink if confirmed else None, appended.bytes),
        "unsent_chunks": appended.unsent_chunks,
    }


def _downlink(call: Call) -> dict[str, Any]:
    session = call.conversation.statistics()
    confirmed = call.session_formats.value
    return {
        "chunks": session.chunks_played,
        "bytes": session.bytes_played,
        "seconds": _seconds(confirmed.downlink if confirmed else None, session.bytes_played),
        "refused_chunks": session.chunks_refused,
        "refused_bytes": session.bytes_refused,
        "stale_chunks": session.chunks_stale,
        "stale_bytes": session.bytes_stale,
    }


def _playout(call: Call) -> dict[str, Any]:
    playout = call.playout.value
    if playout is None:
        return {}
    ledger = attrs.asdict(playout.ledger.statistics())
    clock = attrs.asdict(playout.clock.statistics())
    return {**ledger, "silence_frames": playout.silence_frames, "clock": clock}
