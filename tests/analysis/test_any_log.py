"""Whatever is in a log, it is read or refused: nothing that somebody wrote makes the analysis fall over."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from long_log import write_long_log

from voxpipe.analysis.call import CallAccounts, read_call
from voxpipe.analysis.checks import check
from voxpipe.analysis.junit import junit_report
from voxpipe.analysis.overview import overview_of
from voxpipe.analysis.reader import LogReader
from voxpipe.analysis.timeline import WORTH, timeline_of

TYPES = sorted({*WORTH, *CallAccounts()._takes})
IDS = st.sampled_from(["a", "b"])
LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=8) | IDS
)
NAMES = (
    "session", "response", "item", "part", "audio", "delta", "error", "message", "code", "type", "status", "usage",
    "begun", "id", "item_id", "response_id", "call_id", "input", "output", "format", "turn_detection",
    "transcription", "url", "audio_end_ms", "played_ms", "samples", "bytes", "frames", "side", "rms_dbfs", "model",
    "voice", "input_audio_format", "rate", "content", "length", "sample_rate", "message_type", "uplink", "downlink",
    "name",
)  # fmt: skip
KEYS = st.sampled_from(NAMES)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
EVENTS = st.lists(st.tuples(st.sampled_from(TYPES), st.dictionaries(KEYS, TREES, max_size=5)), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(events=EVENTS, own=st.booleans())
def test_any_values_are_read(tmp_path_factory: pytest.TempPathFactory, events: list[Any], own: bool) -> None:
    """Known event types with values of any kind in any known place: an overview, verdicts, a timeline, a report."""
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    lines = []
    for seq, (name, data) in enumerate(events):
        line = {"timestamp": f"2026-01-01T00:00:{seq:02d}", "event_type": name, "event_data": data}
        if own:
            line |= {"v": 1, "seq": seq, "t_ns": seq * 10**9, "leg": None, "direction": "received"}
        lines.append(orjson.dumps(line) + b"\n")
    path.write_bytes(b"".join(lines))
    call = read_call(path)
    assert orjson.loads(orjson.dumps(overview_of(call)))["log"]["lines"] == len(events)
    assert junit_report([(path, check(call))]).startswith(b"<?xml")
    assert all(str(line) for line in timeline_of(LogReader(path)))


def test_a_log_is_read_in_constant_memory(tmp_path: Path) -> None:
    """Four minutes take no more than one, but for their turns."""
    peaks = []
    for seconds in (60, 240):
        path = tmp_path / f"{seconds}.jsonl"
        write_long_log(path, seconds)
        tracemalloc.start()
        read_call(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000
    assert (tmp_path / "240.jsonl").stat().st_size > 8_000_000


def test_the_long_log_is_that_of_a_call(tmp_path: Path) -> None:
    """What the measurements are made with has every record a call has, and nothing in it fails but the long pauses."""
    path = tmp_path / "long.jsonl"
    lines = write_long_log(path, 120)
    call = read_call(path)
    assert call.lines == lines
    assert [verdict.name for verdict in check(call) if verdict.status == "fails"] == ["no dead air"]
    assert overview_of(call)["latencies_ms"]["turn"]["count"] == 6
