"""Calls of several sessions: one that stands by is not the one that serves, and what was lost is told."""

from __future__ import annotations

from typing import Any

import pytest
from command import run
from judged import failing, judge, log_of
from succession import GONE, ONE_TURN, renewed_after
from virtual_call import CallMaker, Script, VirtualCall, silence, tone

from voxpipe.analysis.call import read_call
from voxpipe.analysis.checks import check
from voxpipe.analysis.overview import overview_of
from voxpipe.analysis.reader import LogReader
from voxpipe.analysis.timeline import timeline_of
from voxpipe.testing.scenario import Close, Scenario, Step, Trigger


def told(call: VirtualCall, lane: str) -> list[str]:
    """The words of one lane of the timeline."""
    return [line.words for line in timeline_of(LogReader(log_of(call))) if line.lane == lane]


@pytest.mark.parametrize("ends_at_s", [2.5, 10.0])
async def test_a_session_that_stands_by_is_no_fault(
    make_call: CallMaker, autojump_clock: Any, ends_at_s: float
) -> None:
    """Its acknowledgement takes its time while the other goes on, or never comes before the end: nothing fails."""
    audio = ONE_TURN + silence(round(1000 * ends_at_s) - 5000) if ends_at_s > 5 else ONE_TURN[: round(16e3 * ends_at_s)]
    call = await make_call(Script(audio=audio), ("parrot", "slow-ack"), provider=renewed_after(1.8))
    assert failing(judge(log_of(call))) == []


async def test_latencies_are_known_while_another_session_is_opened(make_call: CallMaker, autojump_clock: Any) -> None:
    """A turn that the old session hears to its end has all its parts, though a new one was created in the middle."""
    call = await make_call(Script(audio=tone(2000) + silence(5000)), provider=renewed_after(2.0))
    (turn,) = read_call(log_of(call)).accounts.caller.turns
    created, took_over = call.of("session.created")[1].t_ns, call.of("session.took_over")[0].t_ns
    assert created < (turn.ended_ns or 0) < took_over
    assert turn.marks.missing == ()


@pytest.mark.parametrize("turns", [1, 2])
async def test_a_successor_that_failed_is_an_error_and_no_end(
    make_call: CallMaker, autojump_clock: Any, turns: int
) -> None:
    """It is told once, with its reason; the call ended in peace, even if right after."""
    script = Script(audio=ONE_TURN * turns)
    call = await make_call(script, ("parrot", "refused", "parrot"), provider=renewed_after(5.0 * turns - 0.05))
    found = judge(log_of(call))
    assert set(failing(found)) == {"errors: no errors"}
    assert "1 x session.renewal_failed unknown_parameter" in found["errors: no errors"].evidence
    assert "session 2: session.failed unknown_parameter" in " ".join(told(call, "faults"))
    assert "did not take over, another is tried after 0.1 s" in told(call, "session")


async def test_a_session_that_is_closed_politely_is_lost_too(make_call: CallMaker, autojump_clock: Any) -> None:
    """Code 1000 in mid-call is no error of the connection; that the session was lost is one."""
    polite = Scenario("polite", "closes with 1000", (Step(Trigger.READY, 5.0, Close(1000, "")),))
    call = await make_call(Script(audio=ONE_TURN * 2), (polite, "parrot"))
    found = judge(log_of(call))
    assert set(failing(found)) == {"errors: no errors"}
    assert "session.lost in mid-call: while nobody spoke (the call went on)" in found["errors: no errors"].evidence


async def test_a_loss_that_nobody_made_good_is_named(make_call: CallMaker, autojump_clock: Any) -> None:
    """The call did not end in peace, and the verdict says for how long another session was tried for."""
    call = await make_call(Script(audio=ONE_TURN, stays=True), GONE, refuse_connections=range(2, 99))
    found = judge(log_of(call))["errors: ended in peace"]
    assert "session.not_recovered: none took over within 10.0 s" in found.evidence
    lost = call.records.index(call.of("session.not_recovered")[0]) + 1
    assert lost in found.lines
    facts = read_call(log_of(call)).accounts.configuration
    assert facts.confirmed is not None
    assert (facts.unanswered, len(facts.ack_ns)) == (0, 1)


async def test_of_an_item_that_was_lost_nobody_need_be_told(make_call: CallMaker, autojump_clock: Any) -> None:
    """The caller speaks over what had come of an answer when its session went: exact without a truncation."""
    script = Script(audio=tone(3000) + silence(1500) + tone(1000) + silence(4000))
    call = await make_call(script, ("vanish", "parrot"))
    cut = call.data("playout.cut")[0]
    assert cut["begun"][0]["played_ms"] > 0
    assert call.of("session.lost")[0].t_ns < call.of("playout.cut")[0].t_ns
    assert "conversation: interruptions are exact" not in failing(judge(log_of(call)))


async def test_the_timeline_tells_how_one_session_followed_another(make_call: CallMaker, autojump_clock: Any) -> None:
    """Lost, opened, taken over, recovered; the lines of a further session say which."""
    call = await make_call(Script(audio=ONE_TURN * 2), (GONE, "parrot"))
    assert "session.lost in mid-call: while nobody spoke" in told(call, "faults")
    story = iter(told(call, "session"))
    for words in (
        "ready after 0.0 ms",
        "session 2: connected",
        "session 2: ready after 0.0 ms",
        "session 2: takes over, told 2 items of the conversation",
        "recovered: without a session for 0.0 s",
        "session 2: closed: leg closed by the peer",
    ):
        assert words in story, words


async def test_the_overview_counts_sessions(make_call: CallMaker, autojump_clock: Any) -> None:
    """Opened, lost, recovered and renewed, as the summary of the leg has them."""
    call = await make_call(Script(audio=ONE_TURN * 2), (GONE, "parrot"))
    data = overview_of(read_call(log_of(call)))
    assert data["session"]["sessions"] == 2
    assert data["successions"] == {"lost": 1, "recovered": 1, "renewed": 0}
    assert data["successions"].items() <= call.outcome.summary["sessions"].items()
    done = run("analyze", log_of(call))
    assert "2 opened, 0 renewed, 1 lost in mid-call, 1 of them made good; above is the last that served" in done.stdout


async def test_every_prompt_that_could_not_be_read_is_an_error(make_call: CallMaker, autojump_clock: Any) -> None:
    """The caller heard none: the check names the file, the timeline has it."""
    call = await make_call(Script(audio=ONE_TURN), leg={"welcome_wav": "nowhere.wav"})
    (found,) = [one for one in check(read_call(log_of(call))) if one.name == "no errors"]
    assert "leg.welcome_wav" in found.evidence
    assert "nowhere.wav" in found.evidence
    assert any("welcome WAV" in words for words in told(call, "agent"))
