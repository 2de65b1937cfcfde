"""Checks of the audio: that it flows, and sounds like what it is said to be."""

from __future__ import annotations

from voxpipe.analysis.call import Call
from voxpipe.analysis.checks_session import rate_of
from voxpipe.analysis.flow import FlowStatistics
from voxpipe.analysis.slo import Slo
from voxpipe.analysis.verdict import WRONG_FORMAT, Judge, Verdict
from voxpipe.audio import NS_PER_MS, PTIME_MS, AudioFormat

GROUP = "audio"
JUDGED_S = 1.0
DRIFT_AFTER_S = 20.0
"""Below this, jitter of the first and the last chunk weighs too much."""
HEARD_S = 2
"""Seconds of speech the detectors need."""


def no_gaps(call: Call, slo: Slo) -> Verdict:
    """The caller's audio has no holes, and no answer waits for its audio."""
    judge = Judge(GROUP, "no gaps")
    flows = [flow for flow in (call.leg_uplink, call.uplink) if flow.seconds]
    if any(abs((rate_of(flow) or 1) - 1) * 100 > slo.rate_percent for flow in flows):
        return judge.unknown("the bytes a second do not fit the format, so durations mean nothing")
    longest = max(flows, key=lambda flow: flow.longest_gap_ms, default=None)
    starved = max(call.accounts.agent.turns, key=lambda turn: turn.starved_ns, default=None)
    starved_ms = starved.starved_ns / NS_PER_MS if starved is not None else 0.0
    if longest is not None and longest.longest_gap_ms > slo.gap_ms:
        words = f"{longest.name}: {longest.gaps} gaps, the longest {longest.longest_gap_ms:.0f} ms"
        advice = "look for packet loss or a stalled sender before the first of them; the gateway sends what it gets"
        return judge.fails(words, [longest.longest_gap_line], advice)
    if starved is not None and starved_ms > slo.gap_ms and call.downlink.seconds is not None:
        words = f"an answer waited {starved_ms:.0f} ms for its audio after all that had come was spoken"
        advice = "the provider or the network stalled: look at the pings, and at the provider's status"
        return judge.fails(words, [starved.line_no, starved.starved_line], advice)
    if longest is None or (longest.seconds or 0) < JUDGED_S:
        return judge.unknown(f"expected {JUDGED_S:g} s of caller audio of known size, got less")
    words = f"the longest is {longest.longest_gap_ms:.0f} ms ({longest.name}), in an answer {starved_ms:.0f} ms"
    return judge.holds(words, [longest.longest_gap_line])


def no_drift(call: Call, slo: Slo) -> Verdict:
    """A second of the caller's audio takes a second."""
    judge = Judge(GROUP, "no drift")
    flow = call.leg_uplink if call.leg_uplink.seconds else call.uplink
    if flow.seconds is None or not flow.real_time_factor or flow.seconds < DRIFT_AFTER_S:
        return judge.unknown(f"expected {DRIFT_AFTER_S:g} s of caller audio of known size, got less")
    span_s = flow.seconds / flow.real_time_factor - flow.gap_total_ms / 1000
    drift_percent = (flow.seconds / span_s - 1) * 100
    words = f"{flow.name}: {flow.seconds:.1f} s of audio in {span_s:.1f} s ({drift_percent:+.2f} %)"
    if abs(drift_percent) > slo.drift_percent:
        advice = "the sender's clock or its rate is wrong: a drift fills a queue or empties it"
        return judge.fails(words, [flow.first_line, flow.last_line], advice)
    return judge.holds(words, [flow.first_line, flow.last_line])


def no_clipping(call: Call, slo: Slo) -> Verdict:
    """Neither side is cut off at full scale."""
    judge = Judge(GROUP, "no clipping")
    shares: dict[str, float] = {}
    for side, flow in _sides(call):
        heard = call.heard[side]
        if heard.seconds and flow.format is not None:
            samples = heard.seconds * AudioFormat.parse(flow.format).rate_hz
            shares[side] = 100 * heard.clipped_samples / samples
    if not shares:
        return judge.unknown("no levels in the log, and no audio to measure them from")
    words = ", ".join(f"{side} {share:.3f} % of the samples" for side, share in shares.items())
    lines = [line for side in shares for line in call.heard[side].clipped_lines]
    if max(shares.values()) > slo.clipped_percent:
        return judge.fails(words, lines, "turn the gain down before the signal is digital")
    return judge.holds(words, lines)


def no_offset(call: Call, slo: Slo) -> Verdict:
    """Neither side has a constant in it."""
    judge = Judge(GROUP, "no DC offset")
    known = {side: heard for side, heard in call.heard.items() if heard.seconds}
    if not known:
        return judge.unknown("no levels in the log, and no audio to measure them from")
    words = ", ".join(f"{side} {heard.dc_offset_lsb:+.1f}" for side, heard in known.items())
    if max(abs(heard.dc_offset_lsb) for heard in known.values()) > slo.dc_offset_lsb:
        lines = [heard.loudest_line for heard in known.values()]
        advice = "an offset is a bad device, or misread bytes (signed for unsigned, a law for linear)"
        return judge.fails(f"mean of the samples: {words}", lines, advice)
    return judge.holds(f"mean of the samples: {words}")


def level_right(call: Call, slo: Slo) -> Verdict:
    """The caller is loud enough to be heard, and nobody is too loud."""
    judge = Judge(GROUP, "level")
    known = {side: heard for side, heard in call.heard.items() if heard.seconds}
    if not known:
        return judge.unknown("no levels in the log, and no audio to measure them from")
    words = ", ".join(f"{side} {_level(heard.loudest_dbfs)}" for side, heard in known.items())
    words = f"loudest second: {words}"
    lines = [heard.loudest_line for heard in known.values()]
    caller = known.get("uplink")
    if caller is not None and (caller.loudest_dbfs is None or caller.loudest_dbfs < slo.level_low_dbfs):
        if caller.seconds < slo.turn_within_s and not call.accounts.caller.turns:
            return judge.unknown(f"{words}; a caller who says nothing for {caller.seconds} s is no fault", lines)
        advice = "the caller is muted, far away or attenuated: nobody hears a turn in this; check the gain of the trunk"
        return judge.fails(f"{words}; expected at least {slo.level_low_dbfs:g} dBFS of the caller", lines, advice)
    if max(heard.loudest_dbfs or -100 for heard in known.values()) > slo.level_high_dbfs:
        advice = "expect clipping and false turns: turn the gain down"
        return judge.fails(f"{words}; expected at most {slo.level_high_dbfs:g} dBFS", lines, advice)
    return judge.holds(words, lines)


def _level(level_dbfs: float | None) -> str:
    return "digital silence" if level_dbfs is None else f"{level_dbfs:.1f} dBFS"


def sounds_right(call: Call, _slo: Slo) -> Verdict:
    """Neither side sounds like another format, byte order or rate."""
    judge = Judge(GROUP, "sounds like its format")
    suspicions = [(side, *found) for side, heard in call.heard.items() for found in heard.suspicions]
    if suspicions:
        words = "; ".join(f"{side}: {message}" for side, _, _, message in suspicions[:3])
        advice = "compare the format of the bytes with the confirmed one: encoding, byte order, rate"
        return judge.fails(words, [line for _, _, line, _ in suspicions], advice, WRONG_FORMAT)
    unreadable = {side: heard for side, heard in call.heard.items() if heard.unreadable_chunks}
    if unreadable:
        words = ", ".join(f"{side}: {heard.unreadable_chunks} chunks" for side, heard in unreadable.items())
        lines = [heard.unreadable_line for heard in unreadable.values()]
        advice = "half a sample shifts every later one by a byte: send whole samples, as base64"
        return judge.fails(f"no base64, or no whole samples: {words}", lines, advice, WRONG_FORMAT)
    heard_s = {side: heard.active_seconds for side, heard in call.heard.items() if heard.active_seconds >= HEARD_S}
    if not heard_s:
        return judge.unknown("nobody's speech was listened to: too short, too quiet, or no audio in the log")
    return judge.holds(", ".join(f"{side}: {count} s of speech" for side, count in heard_s.items()))


def nothing_dropped(call: Call, slo: Slo) -> Verdict:
    """All of the caller's audio went out, and all of the agent's was taken."""
    judge = Judge(GROUP, "nothing dropped")
    losses = call.accounts.troubles.losses
    lost_ms = losses["uplink.overrun"].total * PTIME_MS
    turned_away = [losses["audio.refused"], losses["playout.overrun"]]
    refused_bytes = sum(loss.total for loss in turned_away)
    stale = losses["audio.stale"]
    if lost_ms > slo.lost_uplink_ms:
        words = f"{lost_ms} ms of the caller's audio were dropped before they could be sent"
        advice = "the session was not ready in time, or the provider did not take audio as fast as it came"
        return judge.fails(words, losses["uplink.overrun"].lines, advice)
    if refused_bytes > slo.refused_bytes:
        words = f"{refused_bytes} bytes of the agent's audio were refused or found no room"
        advice = "see the reason in each record: before the acknowledgement, or beyond limits.ledger_s"
        return judge.fails(words, [line for loss in turned_away for line in loss.lines], advice)
    if not call.own:
        return judge.unknown("a plain log does not tell of losses")
    return judge.holds(f"{stale.total} bytes were stale after a cut, which is right", stale.lines)


def played_smoothly(call: Call, slo: Slo) -> Verdict:
    """No answer ran dry while it was played, and the clock held."""
    judge = Judge(GROUP, "played smoothly")
    losses = call.accounts.troubles.losses
    underruns, slips = losses["playout.underrun"], losses["playout.slip"]
    words = f"{underruns.total} underruns, {slips.records} slips of {slips.total / NS_PER_MS:.0f} ms together"
    lines = [*underruns.lines, *slips.lines]
    if underruns.total > slo.underruns:
        advice = "the provider sent slower than real time, or stalled: see the gaps"
        return judge.fails(words, lines, advice)
    if slips.records > slo.slips:
        return judge.fails(words, lines, "the gateway was late: the machine is overloaded or was suspended")
    if not call.own:
        return judge.unknown("a plain log does not tell what was played")
    if not call.accounts.leg_downlink.chunks:
        return judge.unknown("nothing was played")
    return judge.holds(words, lines)


def _sides(call: Call) -> tuple[tuple[str, FlowStatistics], ...]:
    # In our own logs the caller is listened to on the leg, in plain ones on the way to the provider.
    return (("uplink", call.leg_uplink if call.own else call.uplink), ("downlink", call.downlink))


CHECKS = (
    no_gaps,
    no_drift,
    no_clipping,
    no_offset,
    level_right,
    sounds_right,
    nothing_dropped,
    played_smoothly,
)
