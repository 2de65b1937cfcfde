"""The rows of the events' table: every line of the log is in one of them, in order, and no row is without bound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from judged import TALK, log_of
from virtual_call import CallMaker

from voxpipe.analysis.events import LogEvent
from voxpipe.analysis.reader import LogReader
from voxpipe.analysis.report import event_rows
from voxpipe.analysis.report.event_rows import LONGEST_TEXT, EventRows, abridge


def rows_of(events: list[LogEvent]) -> dict[str, Any]:
    """The table of these events."""
    rows = EventRows()
    for event in events:
        rows.take(event)
    return rows.to_json()


async def test_every_line_is_in_a_row(make_call: CallMaker, autojump_clock: Any) -> None:
    """A row a line for all but audio, which is counted in runs; the rows of a call are a tenth of its lines."""
    log = log_of(await make_call(TALK))
    events = list(LogReader(log))
    table = rows_of(events)
    rows = table["rows"]
    assert sum(row[4][0] if isinstance(row[4], list) else 1 for row in rows) == len(events)
    assert len(rows) < len(events) / 3
    by_line = {event.line_no: event for event in events}
    for line, micros, direction, name, content in rows:
        event = by_line[line]
        assert (micros, table["types"][name]) == (event.t_ns // 1000, event.type)
        assert table["directions"][direction] == event.direction
        if isinstance(content, str):
            assert json.loads(content) == event.data
        else:
            assert by_line[content[2]].type == event.type
            assert content[3] == by_line[content[2]].t_ns // 1000


def frame(line_no: int, size_bytes: int = 320) -> LogEvent:
    """A frame of the caller, 20 ms after the one before."""
    data = {"message_type": "audio", "audio": {"bytes": size_bytes}}
    return LogEvent(line_no, line_no * 20_000_000, "received", "audiosocket.received", data)


def test_a_run_ends_at_the_next_event_that_is_no_audio() -> None:
    """Its row stands where the run began, before what ended it; digits are no audio."""
    digit = LogEvent(4, 80_000_000, "received", "audiosocket.received", {"message_type": "dtmf", "digit": "5"})
    table = rows_of([frame(1), frame(2), frame(3), digit, frame(5)])
    assert [row[0] for row in table["rows"]] == [1, 4, 5]
    assert table["rows"][0][4] == [3, 960, 3, 60_000]
    assert json.loads(table["rows"][1][4])["digit"] == "5"
    assert table["rows"][2][4] == [1, 320, 5, 100_000]


def test_long_and_deep_data_are_cut_off_and_say_so() -> None:
    """Text, lists and tables beyond the bound end with what is missing; what is within it is as it was."""
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"in": deep}
    short = {"text": "é" * LONGEST_TEXT, "list": [1, None, True], "table": {"a": {"b": 0.5}}}
    assert abridge(short) == short
    assert abridge("x" * 5_000) == "x" * LONGEST_TEXT + "… (5000 characters)"
    assert abridge(list(range(101))) == [*range(100), "… (101 in all)"]
    assert abridge({str(n): n for n in range(200)})["…"] == "200 keys"
    assert "nested deeper" in json.dumps(abridge(deep))


def test_a_log_of_floods_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beyond the bytes rows have no data, and beyond their number they are counted."""
    monkeypatch.setattr(event_rows, "MAX_DATA_BYTES", 1_000)
    monkeypatch.setattr(event_rows, "MAX_ROWS", 50)
    events = [LogEvent(n, n, "received", "error", {"message": "x" * 100}) for n in range(1, 71)]
    table = rows_of(events)
    assert len(table["rows"]) == 50
    assert table["left_out"] == 20
    assert [row[4] is None for row in table["rows"]].index(True) == 9
    assert all(row[4] is None for row in table["rows"][9:])
