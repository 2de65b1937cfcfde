"""A log as one row: the columns, which programs elsewhere rely on, and what is in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
from edited_log import edited, with_data, write_records
from faulty_logs import lost_connection, no_transcription, plain, server_error
from judged import TALK, log_of
from plain_log import PlainLog, conversation, ga_session
from virtual_call import CALL, CallMaker, Script, silence, tone

from voxpipe.analysis.fleet import COLUMNS, MAX_BIGINT, SCHEMA_VERSION, LogFile, Reading, read_row
from voxpipe.analysis.slo import Slo
from voxpipe.errors import RecordError

PARTS = ("uplink", "configured_silence", "detection", "response", "generation", "playout")
SCHEMA = [
    "log VARCHAR", "leg VARCHAR", "began TIMESTAMP", "lasted_s DOUBLE", "because VARCHAR", "shape VARCHAR",
    "dialect VARCHAR", "model VARCHAR", "leg_uplink VARCHAR", "leg_downlink VARCHAR", "requested_uplink VARCHAR",
    "requested_downlink VARCHAR", "confirmed_uplink VARCHAR", "confirmed_downlink VARCHAR", "ack_ms DOUBLE",
    "sessions BIGINT", "sessions_lost BIGINT", "sessions_recovered BIGINT", "sessions_renewed BIGINT",
    "caller_turns BIGINT", "agent_turns BIGINT", "interruptions BIGINT", "turns_timed BIGINT",
    *(f"{name}_{figure}_ms DOUBLE"
      for name in ("turn", "answer", "first_audio", "barge_in", "tool", *PARTS) for figure in ("median", "p95")),
    "underruns BIGINT", "dropped_uplink_frames BIGINT", "overrun_bytes BIGINT", "refused_bytes BIGINT",
    "stale_bytes BIGINT", "slipped_ns BIGINT", "records_lost BIGINT", "error_count BIGINT",
    "errors STRUCT(kind VARCHAR, code VARCHAR, count BIGINT)[]", "failed VARCHAR[]", "faults VARCHAR[]",
    "tokens BIGINT", "input_tokens BIGINT", "output_tokens BIGINT", "lines BIGINT", "skipped_lines BIGINT",
    "torn BOOLEAN", "complete BOOLEAN", "size_bytes BIGINT", "mtime_ns BIGINT", "reader VARCHAR",
]  # fmt: skip
LOST_ONCE = Script(audio=tone(1000) + silence(7000) + tone(1000) + silence(4000))


def test_the_schema_is_stable() -> None:
    """Columns may be added at the end of a group; one that changes or goes takes another schema version."""
    assert SCHEMA_VERSION == 1
    assert [f"{column.name} {column.type}" for column in COLUMNS] == SCHEMA


def test_every_column_says_what_it_means() -> None:
    """Words for each, and the unit that its name carries."""
    assert all(column.meaning for column in COLUMNS)
    for column in COLUMNS:
        suffix = column.name.rpartition("_")[2]
        if suffix in ("ms", "s", "ns", "bytes", "frames"):
            assert column.unit == suffix, column.name


async def test_a_row_of_a_call(make_call: CallMaker, autojump_clock: Any) -> None:
    """Who, when, what was asked for and confirmed, turns, latencies and losses, of one of our own logs."""
    path = log_of(await make_call(TALK))
    row = read_row(path, Reading())
    assert (row["log"], row["size_bytes"]) == (str(path), path.stat().st_size)
    assert (row["leg"], row["dialect"], row["shape"]) == (str(CALL), "openai", "voxpipe")
    assert row["began"].startswith("2027-01-15 08:00:0")
    assert (row["leg_uplink"], row["requested_uplink"], row["confirmed_downlink"]) == ("slin8", "slin24", "slin24")
    assert (row["caller_turns"], row["agent_turns"], row["interruptions"]) == (2, 2, 1)
    assert row["turns_timed"] == 2
    parts_ms = sum(row[f"{part}_p95_ms"] for part in PARTS)
    assert 0 < row["turn_median_ms"] <= row["turn_p95_ms"] <= parts_ms + 0.01
    assert row["because"] == "leg closed by the peer"
    assert (row["underruns"], row["dropped_uplink_frames"], row["sessions_lost"]) == (0, 0, 0)
    assert (row["torn"], row["complete"], row["errors"]) == (False, True, [])


async def test_sessions_lost_and_recovered_are_counted(make_call: CallMaker, autojump_clock: Any) -> None:
    """A call that outlived its session has one loss, made good."""
    row = read_row(log_of(await make_call(LOST_ONCE, ("vanish", "parrot"))), Reading())
    assert (row["sessions"], row["sessions_lost"], row["sessions_recovered"], row["sessions_renewed"]) == (2, 1, 1, 0)


def test_what_a_plain_log_does_not_tell_is_null(tmp_path: Path) -> None:
    """Losses, sessions lost and the leg are unknown in it; its turns, times and tokens are not."""
    row = read_row(conversation(plain()).write(tmp_path / "plain.jsonl"), Reading())
    unknown = ("leg", "dialect", "underruns", "dropped_uplink_frames", "sessions_lost", "complete", "turn_p95_ms")
    assert [row[name] for name in unknown] == [None] * len(unknown)
    assert (row["began"], row["model"], row["tokens"]) == ("2026-03-01 09:30:00", "gpt-realtime", 150)
    assert (row["caller_turns"], row["first_audio_median_ms"]) == (5, 420.0)
    assert row["because"] == "connection closed, code 1000"


def test_times_are_in_utc(tmp_path: Path) -> None:
    """Whatever the zone of the log, so that calls of several machines can be put in order."""
    log = PlainLog(zone="+02:00")
    log.configure(ga_session())
    assert read_row(log.write(tmp_path / "zone.jsonl"), Reading())["began"] == "2026-03-01 07:30:00"


def test_errors_are_a_list_by_code(tmp_path: Path) -> None:
    """Each event and code once with its count; the sum of them beside it."""
    row = read_row(server_error().write(tmp_path / "errors.jsonl"), Reading())
    assert row["errors"] == [{"kind": "error", "code": "server_error", "count": 3}]
    assert row["error_count"] == 3
    assert "errors: no errors" in row["failed"]
    row = read_row(lost_connection().write(tmp_path / "lost.jsonl"), Reading())
    assert row["errors"] == [{"kind": "connection.closed", "code": "1006", "count": 1}]


def test_faults_and_failed_checks_are_lists(tmp_path: Path) -> None:
    """By the names that check gives them; limits of one's own decide, too."""
    path = no_transcription().write(tmp_path / "bad.jsonl")
    row = read_row(path, Reading())
    assert row["failed"] == ["transcription: configured", "transcription: transcripts arrive"]
    assert row["faults"] == ["missing transcripts: transcription was not configured"]
    strict = read_row(path, Reading(Slo(answer_p95_ms=1)))
    assert set(strict["failed"]) > set(row["failed"])


def test_the_reader_changes_with_what_decides_a_row() -> None:
    """Other limits or another leniency are another reader; the same are the same."""
    assert Reading().version == Reading(Slo()).version
    versions = {Reading().version, Reading(Slo(ack_ms=1)).version, Reading(lenient=True).version}
    assert len(versions) == 3


async def test_a_torn_log_is_a_row_that_says_so(make_call: CallMaker, autojump_clock: Any, tmp_path: Path) -> None:
    """A killed gateway leaves half a line: what the call was until then is known, and so is that it is torn."""
    path = tmp_path / "torn.jsonl"
    path.write_bytes(log_of(await make_call(TALK)).read_bytes()[:-20])
    row = read_row(path, Reading())
    assert (row["torn"], row["complete"], row["caller_turns"]) == (True, False, 2)


@pytest.mark.parametrize(
    "content", [b"", b"{}\n", b'{"timestamp"', b"\xff\xfe\n"], ids=["empty", "keys", "torn", "bytes"]
)
def test_what_is_no_log_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file without a record has no row."""
    path = tmp_path / "no.jsonl"
    path.write_bytes(content)
    with pytest.raises(RecordError):
        read_row(path, Reading())


async def test_what_a_peer_says_fits_in_a_row(make_call: CallMaker, autojump_clock: Any, tmp_path: Path) -> None:
    """Control characters, endless words and endless numbers in a log end neither the table nor a terminal."""
    call = await make_call(TALK)
    usage = {"total_tokens": (1 << 53) - 1}
    many = [
        attrs.evolve(record, event_data={"response": {"id": f"r{number}", "usage": usage}})
        for number in range(1100)
        for record in call.of("response.done")[:1]
    ]
    records = edited(call.records, with_data("leg.summary", because="\x00\x1b[2J" + "x" * 9_000))
    row = read_row(write_records(tmp_path / "odd.jsonl", [*records[:-1], *many, records[-1]]), Reading())
    assert row["because"].startswith("\\x00\\x1b[2Jxxx")
    assert len(row["because"]) == 500
    assert row["tokens"] == MAX_BIGINT


def test_a_name_that_is_no_text_is_told(tmp_path: Path) -> None:
    """A file name of other bytes than UTF-8 is written so that a table can hold it."""
    path = conversation(plain()).write(tmp_path / "caf\udce9.jsonl")
    assert LogFile.of(path).path.endswith("caf\\xe9.jsonl")
    orjson.dumps(read_row(path, Reading()))
