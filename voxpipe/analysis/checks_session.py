"""Checks of the session: acknowledged before any audio, with the formats asked for, which the bytes fit."""

from __future__ import annotations

from voxpipe.analysis.call import Call
from voxpipe.analysis.configuration import UNKNOWN, SessionFacts, format_words
from voxpipe.analysis.flow import FlowStatistics
from voxpipe.analysis.slo import Slo
from voxpipe.analysis.verdict import WRONG_FORMAT, Judge, Verdict
from voxpipe.audio import FORMATS, NS_PER_MS, AudioFormat

GROUP = "session"
STEADY = 0.6
"""Share of seconds that must be alike before a rate is judged: a client may send speech only."""


def acknowledged(call: Call, slo: Slo) -> Verdict:
    """The provider confirmed the configuration, and in time."""
    judge = Judge(GROUP, "acknowledged")
    configuration = call.accounts.configuration
    requested, confirmed = configuration.requested, configuration.confirmed
    errors = [trouble for trouble in call.troubles if trouble.kind in ("error", "session.failed")]
    if call.accounts.first_update_line is None and confirmed is None and not errors:
        line = configuration.defaults.line_no if configuration.defaults else None
        return judge.unknown("no session.update in the log: whatever is in force is the provider's own", [line])
    if confirmed is None:
        words = f": {errors[0].code}: {errors[0].message}" if errors else ": the log has no session.updated"
        lines = [call.accounts.first_update_line, *(line for trouble in errors for line in trouble.lines)]
        advice = "mend what the refusal names, or see why the provider is silent; no audio may flow before it answers"
        return judge.fails(f"no configuration was acknowledged{words}", lines, advice)
    if not configuration.ack_ns:
        return judge.unknown("session.updated is in the log, the request for it is not", [confirmed.line_no])
    ack_ms = max(configuration.ack_ns) / NS_PER_MS
    lines = [requested.line_no if requested else None, confirmed.line_no]
    if ack_ms > slo.ack_ms:
        advice = "the caller's first words wait or are lost meanwhile: look at the network and the provider's load"
        return judge.fails(f"acknowledged after {ack_ms:.0f} ms, expected at most {slo.ack_ms:g} ms", lines, advice)
    return judge.holds(f"acknowledged after {ack_ms:.1f} ms", lines)


def nothing_early(call: Call, _slo: Slo) -> Verdict:
    """No audio went either way before the acknowledgement."""
    judge = Judge(GROUP, "no audio before the acknowledgement")
    if call.accounts.first_update_line is None:
        return judge.unknown("no session.update in the log, so there is no before and after")
    early = call.accounts.early_chunks
    lines = [*early["uplink"], *early["downlink"]]
    if early["uplink"]:
        advice = "wait for session.updated with the requested formats before the first append"
        return judge.fails("caller audio was sent before session.updated", lines, advice, WRONG_FORMAT)
    if early["downlink"]:
        advice = "do not play it: it was made under a configuration that nobody confirmed"
        return judge.fails("the provider sent audio before session.updated", lines, advice)
    if call.uplink.first_line is None:
        return judge.holds("no audio in the log before the acknowledgement, and none of the caller after it")
    confirmed = call.accounts.configuration.confirmed
    return judge.holds("the first audio came after it", [_line(confirmed), call.uplink.first_line])


def formats_equal(call: Call, _slo: Slo) -> Verdict:
    """The formats in force are those asked for, and stay so."""
    judge = Judge(GROUP, "formats as requested")
    configuration = call.accounts.configuration
    requested, confirmed = configuration.requested, configuration.confirmed
    if configuration.changes:
        changed = configuration.changes[0]
        advice = "end the session when its formats change: what comes afterwards is noise in the old one"
        return judge.fails(
            f"the provider changed the formats in mid-call, to {_words(changed)}",
            [_line(confirmed), *(change.line_no for change in configuration.changes)],
            advice,
            WRONG_FORMAT,
        )
    if confirmed is None:
        return judge.unknown("no session.updated in the log")
    strange = [format_ for format_ in confirmed.formats if isinstance(format_, str) and format_ != UNKNOWN]
    if strange:
        advice = "ask for a format that both sides know, and check its spelling"
        return judge.fails(f"confirmed {', '.join(strange)}", [confirmed.line_no], advice, WRONG_FORMAT)
    if requested is None:
        return judge.unknown(f"confirmed {_words(confirmed)}; the request is not in the log", [confirmed.line_no])
    lines = [requested.line_no, confirmed.line_no]
    pairs = zip(("uplink", "downlink"), requested.formats, confirmed.formats, strict=True)
    differing = [
        f"{side}: expected {format_words(asked)}, got {format_words(got)}"
        for side, asked, got in pairs
        if UNKNOWN not in (asked, got) and asked != got
    ]
    if differing:
        advice = "check how session.update spells the formats; convert to what was confirmed, or do not go on"
        return judge.fails("; ".join(differing), lines, advice, WRONG_FORMAT)
    if UNKNOWN in confirmed.formats:
        return judge.unknown("session.updated does not tell both formats", lines)
    if UNKNOWN in requested.formats:
        return judge.holds(f"in force is {_words(confirmed)}; nothing else was asked for", lines)
    return judge.holds(f"both are {_words(confirmed)}", lines)


def _line(facts: SessionFacts | None) -> int | None:
    return None if facts is None else facts.line_no


def _words(facts: SessionFacts) -> str:
    return f"uplink {format_words(facts.uplink)}, downlink {format_words(facts.downlink)}"


def rate_fits(call: Call, slo: Slo) -> Verdict:
    """As many bytes flow each second as the format has, on the leg and to the provider."""
    judge = Judge(GROUP, "bytes a second fit the format")
    judged = [flow for flow in (call.leg_uplink, call.uplink) if rate_of(flow) is not None]
    wrong = [flow for flow in judged if abs((rate_of(flow) or 1) - 1) * 100 > slo.rate_percent]
    if wrong:
        flow = wrong[0]
        words = (
            f"{flow.name}: expected {_bytes_per_s(flow.format)} bytes a second of {flow.format}, "
            f"got {flow.bytes_per_s:.0f}{_as_of(flow.bytes_per_s or 0)}"
        )
        advice = "convert the rate and the encoding before sending, or ask for the format that is really sent"
        return judge.fails(words, [flow.first_line, flow.last_line], advice, WRONG_FORMAT)
    if not judged:
        return judge.unknown("too little audio of known size and format at a steady pace")
    words = ", ".join(f"{flow.name} {flow.bytes_per_s:.0f} as {flow.format}" for flow in judged)
    return judge.holds(words, [flow.first_line for flow in judged])


def rate_of(flow: FlowStatistics) -> float | None:
    """Seconds of audio in a typical second; ``None`` where that cannot be told."""
    return flow.rate_factor if flow.steady is not None and flow.steady >= STEADY else None


def _bytes_per_s(name: str | None) -> int:
    format_ = AudioFormat.parse(name or "")
    return format_.rate_hz * format_.sample_bytes


def _as_of(bytes_per_s: float) -> str:
    names = [f.name for f in FORMATS if abs(bytes_per_s - f.rate_hz * f.sample_bytes) <= 0.05 * bytes_per_s]
    return f", as of {' or '.join(names)}" if names else ""


CHECKS = (acknowledged, nothing_early, formats_equal, rate_fits)
