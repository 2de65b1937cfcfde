"""What lies in the lanes of a page, in nanoseconds: turns with their latencies, prompts, cuts, tools, dead air.

The numbers are the accounts' own; ``overview_of`` has the same turns, in the same order, rounded for people.
"""

from __future__ import annotations

from typing import Any

import attrs

from voxpipe.analysis.call import Call
from voxpipe.analysis.overview import dead_air, turns_in_order
from voxpipe.analysis.report.placing import Strange
from voxpipe.analysis.slo import Slo
from voxpipe.analysis.timeline import Line
from voxpipe.analysis.turns import AgentTurn, CallerTurn, Interruption, ToolUse


def lanes_of(call: Call, slo: Slo, strange: list[Strange]) -> dict[str, Any]:
    """Put the lanes of a call into JSON data; null is unknown."""
    return {
        "turns": [_caller(turn) if isinstance(turn, CallerTurn) else _agent(turn) for turn in turns_in_order(call)],
        "prompts": [attrs.asdict(played) for played in strange],
        "cuts": [_cut(found) for found in call.accounts.interruptions.found],
        "tools": [_tool(use) for use in call.accounts.tools.found],
        "dead_air": [{"begin_ns": found.begin_ns, "end_ns": found.end_ns} for found in dead_air(call, slo.dead_air_s)],
    }


def line_to_json(line: Line) -> list[Any]:
    """Write a line of the timeline: line, time, time since the latest mark, lane, words, count."""
    return [line.line_no, line.t_ns, line.since_ns, line.lane, line.words, line.count]


def _caller(turn: CallerTurn) -> dict[str, Any]:
    return {
        "speaker": "caller",
        "line": turn.line_no,
        "begin_ns": turn.started_ns,
        "end_ns": turn.ended_ns,
        "marks_ns": attrs.asdict(turn.marks),
        "trouble": turn.trouble,
    }


def _agent(turn: AgentTurn) -> dict[str, Any]:
    return {
        "speaker": "agent",
        "line": turn.line_no,
        "begin_ns": turn.begin_ns,
        "end_ns": turn.end_ns,
        "created_ns": turn.created_ns,
        "received_ns": turn.received_ns,
        "audio_ns": turn.audio_ns if turn.sized else None,
    }


def _cut(found: Interruption) -> dict[str, Any]:
    return {"line": found.line_no, "began_ns": found.began_ns, "silent_ns": found.silent_ns}


def _tool(use: ToolUse) -> dict[str, Any]:
    return {"line": use.line_no, "begin_ns": use.asked_ns, "end_ns": use.answered_ns}
