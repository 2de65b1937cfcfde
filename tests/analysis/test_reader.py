"""The reader: which shapes of log it takes, what it forgives, and what the stream says then."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from judged import TALK, log_of
from plain_log import PlainLog, beta_session, ga_session
from virtual_call import HELLO_AND_WAIT, CallMaker

from voxpipe.analysis import reader
from voxpipe.analysis.call import read_call
from voxpipe.analysis.events import LogEvent
from voxpipe.analysis.overview import overview_of
from voxpipe.analysis.reader import LogReader
from voxpipe.analysis.spelling import NO_AUDIO, audio_bytes, fields_of, leg_message, told_format
from voxpipe.errors import RecordError
from voxpipe.sansio.records import Record

RECORD = Record(0, 5, "2026-11-21T08:05:40.693709+00:00", None, "local", "leg.started", {"format": "auto"})


def read(path: Path, content: bytes, *, lenient: bool = False) -> tuple[list[LogEvent], LogReader]:
    """Write a log and read it."""
    path.write_bytes(content)
    reader = LogReader(path, lenient=lenient)
    return list(reader), reader


async def test_our_own_log_is_read_line_by_line(make_call: CallMaker, autojump_clock: Any) -> None:
    """Each record of a real call is an event with its own time, direction and data, and none is missing."""
    call = await make_call(HELLO_AND_WAIT)
    assert call.outcome.log is not None
    reader = LogReader(call.outcome.log)
    events = list(reader)
    assert [(e.t_ns, e.direction, e.type, e.data) for e in events] == [
        (r.t_ns, r.direction, r.event_type, r.event_data) for r in call.records
    ]
    assert [event.line_no for event in events] == list(range(1, len(call.records) + 1))
    assert reader.shape is not None
    assert (reader.shape.name, reader.shape.missing_lines, reader.torn) == ("voxpipe", 0, False)


async def test_a_beta_log_reads_by_the_new_names(make_call: CallMaker, autojump_clock: Any) -> None:
    """A call in the beta's spelling gives the same neutral types as one in GA's."""
    beta = await make_call(HELLO_AND_WAIT, dialect="openai-beta")
    ga = await make_call(HELLO_AND_WAIT, dialect="openai")
    assert "response.audio.delta" in {record.event_type for record in beta.records}
    assert beta.outcome.log is not None
    assert ga.outcome.log is not None
    of_beta = {event.type for event in LogReader(beta.outcome.log) if event.type.startswith("response.")}
    of_ga = {event.type for event in LogReader(ga.outcome.log) if event.type.startswith("response.")}
    assert "response.output_audio.delta" in of_beta
    assert of_beta == of_ga


@pytest.mark.parametrize("camel", [False, True], ids=["event_type", "eventType"])
@pytest.mark.parametrize("zone", ["", "Z", "+00:00", "+05:30"])
def test_plain_logs_are_recognised_by_their_keys(tmp_path: Path, camel: bool, zone: str) -> None:
    """Both plain shapes, with and without a zone: names become the provider's, directions are told, time is from 0."""
    log = PlainLog(camel=camel, zone=zone)
    log.configure(ga_session())
    log.add("audiosocket.received", {"message_type": "audio", "length": 320}, after_s=0.5)
    log.add("openai.audio_sent", {"length": 960}, after_s=0.02)
    log.add("response.audio.delta", {"delta": None}, after_s=1)
    log.add("error.parsing", {"message": "no"})
    log.add("connection.closed", {"code": 1000})
    events, reader = read(tmp_path / "plain.jsonl", b"".join(log.lines))
    assert [(event.type, event.direction) for event in events] == [
        ("connection.opened", "local"),
        ("session.created", "received"),
        ("session.update", "sent"),
        ("session.updated", "received"),
        ("audiosocket.received", "received"),
        ("input_audio_buffer.append", "sent"),
        ("response.output_audio.delta", "received"),
        ("error.parsing", "local"),
        ("connection.closed", "local"),
    ]
    assert [event.time_s for event in events[:5]] == [0.0, 0.2, 0.21, 0.31, 0.81]
    assert reader.shape is not None
    assert reader.shape.name == ("plain (eventType)" if camel else "plain (event_type)")


@pytest.mark.parametrize("keys", [("event_type", "event_data"), ("eventType", "eventData")])
@pytest.mark.parametrize("dialect", ["openai", "openai-beta"])
async def test_a_call_tells_the_same_in_every_shape(
    make_call: CallMaker, autojump_clock: Any, tmp_path: Path, keys: tuple[str, str], dialect: str
) -> None:
    """Our log without what only ours has: turns, configuration, latencies, interruptions and tokens stay the same."""
    call = await make_call(TALK, dialect=dialect)
    lines = [
        orjson.dumps({"timestamp": r.timestamp, keys[0]: r.event_type, keys[1]: r.event_data}) for r in call.records
    ]
    (tmp_path / "plain.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    ours, plain = overview_of(read_call(log_of(call))), overview_of(read_call(tmp_path / "plain.jsonl"))
    assert plain["log"]["shape"] == f"plain ({keys[0]})"
    assert len(ours["turns"]) == 4
    for section in ("session", "turns", "latencies_ms", "interruptions", "tokens", "errors"):
        assert plain[section] == ours[section], section
    assert [flow["bytes"] for flow in plain["audio"]["flows"]] == [flow["bytes"] for flow in ours["audio"]["flows"]]


def test_a_configuration_may_be_logged_without_the_message_around_it(tmp_path: Path) -> None:
    """``session.update_sent`` with the bare session reads as the message that was sent."""
    log = PlainLog()
    log.add("session.update_sent", beta_session())
    events, _ = read(tmp_path / "plain.jsonl", b"".join(log.lines))
    assert events[0].type == "session.update"
    assert events[0].data == {"session": beta_session()}


def test_a_chunk_told_under_two_names_counts_once(tmp_path: Path) -> None:
    """A client that logs the wire message and an event of its own for it has sent one chunk."""
    log = PlainLog()
    for _ in range(3):
        log.add("openai.audio_sent", {"length": 960})
        log.add("input_audio_buffer.append", {"audio": log.audio(bytes(960))})
    events, _ = read(tmp_path / "plain.jsonl", b"".join(log.lines))
    assert [event.type for event in events].count("input_audio_buffer.append") == 3
    assert [event.type for event in events if event.direction == "sent"] == ["input_audio_buffer.append"] * 3


def test_time_never_goes_back(tmp_path: Path) -> None:
    """A wall clock that was set back in mid-call holds the stream's time, and is counted."""
    log = PlainLog()
    log.add("connection.opened")
    for after_s in (1, 1, 2):
        log.add("error.parsing", after_s=after_s)
    first, second, third, fourth = log.lines
    events, reader = read(tmp_path / "plain.jsonl", first + third + second + fourth)
    assert [event.time_s for event in events] == [0.0, 2.0, 2.0, 4.0]
    assert reader.shape is not None
    assert reader.shape.steps_back == 1


PLAIN = {"timestamp": "2026-01-01T00:00:00", "event_type": "error", "event_data": {}}
STAMPS = [
    ("one zone", ("10:00:00+02:00", "08:00:01Z", "08:00:02+00:00"), [0.0, 1.0, 2.0]),
    ("no zone", ("10:00:00", "10:00:01", "11:00:02"), [0.0, 1.0, 3602.0]),
    ("local among UTC", ("08:00:00Z", "10:00:01", "08:00:02Z", "10:00:03"), [0.0, 1.0, 2.0, 3.0]),
    ("UTC among local", ("10:00:00", "08:00:01Z", "10:00:02", "08:00:03Z"), [0.0, 1.0, 2.0, 3.0]),
    ("of one clock", ("10:00:00", "10:00:01Z", "10:00:02"), [0.0, 1.0, 2.0]),
    ("summer time ends", ("02:59:59", "02:00:00", "02:00:01"), [0.0, 1.0, 2.0]),
]


@pytest.mark.parametrize(("stamps", "seconds"), [row[1:] for row in STAMPS], ids=[row[0] for row in STAMPS])
def test_whatever_zone_a_stamp_is_of_time_goes_on(tmp_path: Path, stamps: Sequence[str], seconds: list[float]) -> None:
    """Stamps without a zone are placed beside those with one, and go on where the clocks are put back."""
    lines = [orjson.dumps({**PLAIN, "timestamp": f"2026-10-25T{stamp}"}) + b"\n" for stamp in stamps]
    events, reader = read(tmp_path / "plain.jsonl", b"".join(lines))
    assert [event.time_s for event in events] == seconds
    assert reader.shape is not None
    assert reader.shape.steps_back == 0


def test_a_torn_last_line_is_forgiven(tmp_path: Path) -> None:
    """What a killed process leaves: all whole lines are read, and the reader says that one was torn."""
    events, reader = read(tmp_path / "torn.jsonl", RECORD.to_line() * 2 + RECORD.to_line()[:40])
    assert len(events) == 2
    assert reader.torn


def test_a_byte_order_mark_is_no_part_of_the_log(tmp_path: Path) -> None:
    """An editor's mark at the very beginning is passed over; anywhere else it is a bad line."""
    mark = b"\xef\xbb\xbf"
    events, _ = read(tmp_path / "marked.jsonl", mark + RECORD.to_line() * 2)
    assert len(events) == 2
    with pytest.raises(RecordError, match="line 2: expected JSON"):
        read(tmp_path / "marked.jsonl", RECORD.to_line() + mark + RECORD.to_line() * 2)


def test_a_line_without_end_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the longest message there is, a line is bad; a lenient reader goes on after it."""
    monkeypatch.setattr(reader, "MAX_LINE_BYTES", 1_000)
    content = RECORD.to_line() + b'"' + b"x" * 5_000 + b'"\n' + RECORD.to_line()
    with pytest.raises(RecordError, match="line 2: expected a line of less than 1000 bytes"):
        read(tmp_path / "endless.jsonl", content)
    events, read_by = read(tmp_path / "endless.jsonl", content, lenient=True)
    assert ([event.line_no for event in events], read_by.skipped) == ([1, 3], 1)


def test_a_last_line_without_a_break_may_be_whole(tmp_path: Path) -> None:
    """Only the line break is missing: the line is read, and nothing was torn."""
    events, reader = read(tmp_path / "whole.jsonl", RECORD.to_line() + RECORD.to_line().rstrip())
    assert len(events) == 2
    assert not reader.torn


BAD_LINES = [
    (b"{not json\n", "line 2: expected JSON"),
    (b"\n", "line 2: expected JSON"),
    (b"[1, 2]\n", "line 2: expected a JSON object, got list"),
    (b'{"timestamp": "now"}\n', "line 2: "),
    (RECORD.to_line().replace(b'"seq":0', b'"seq":"0"'), "line 2: .*expected int"),
    (RECORD.to_line().replace(b'"v":1', b'"v":9'), "line 2: expected schema version 1, got 9"),
    (RECORD.to_line().replace(b'"local"', b'"up"'), "line 2: "),
]


@pytest.mark.parametrize(("bad", "words"), BAD_LINES, ids=[words for _, words in BAD_LINES])
def test_any_other_bad_line_is_an_error_with_its_number(tmp_path: Path, bad: bytes, words: str) -> None:
    """In the middle of a log nothing is forgiven; a lenient reader skips the line and counts it."""
    content = RECORD.to_line() + bad + RECORD.to_line()
    with pytest.raises(RecordError, match=words):
        read(tmp_path / "bad.jsonl", content)
    events, reader = read(tmp_path / "bad.jsonl", content, lenient=True)
    assert [event.line_no for event in events] == [1, 3]
    assert reader.skipped == 1
    assert reader.faults[0].line_no == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"timestamp": "yesterday"}, "expected timestamp in ISO 8601, got 'yesterday'"),
        ({"timestamp": 5}, "expected timestamp in ISO 8601, got 5"),
        ({"event_type": 7}, "expected event_type to be text, got 7"),
        ({"event_data": [1]}, r"expected event_data to be a table, got \[1\]"),
    ],
)
def test_a_bad_line_of_a_plain_log_is_named_as_such(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    """What is wrong with a line is said with expected and actual."""
    content = orjson.dumps(PLAIN) + b"\n" + orjson.dumps({**PLAIN, **changes}) + b"\n"
    with pytest.raises(RecordError, match=f"line 2: {words}"):
        read(tmp_path / "plain.jsonl", content)


@pytest.mark.parametrize("content", [b"", RECORD.to_line()[:20], b"hello\n", b'{"a": 1, "b": 2}\n'])
def test_a_file_that_is_no_log_is_an_error(tmp_path: Path, content: bytes) -> None:
    """Empty, torn in its only line, text, or JSON of another kind."""
    with pytest.raises(RecordError, match="line 1: expected"):
        read(tmp_path / "none.jsonl", content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1: expected records, got an empty file"),
        (b"{}\n[]\n", "line 1: expected records, got a file without any; line 1: expected the keys timestamp"),
        (gzip.compress(RECORD.to_line()), "got a file packed by gzip: unpack it first"),
        (RECORD.to_line().decode().encode("utf-16"), "expected lines of JSON in UTF-8, got UTF-16: convert it first"),
    ],
    ids=["empty", "other JSON", "gzip", "UTF-16"],
)
def test_a_lenient_reader_says_why_nothing_was_read(tmp_path: Path, content: bytes, words: str) -> None:
    """Skipping every line is no answer: the reason of the first is told."""
    with pytest.raises(RecordError, match=re.escape(words)):
        read(tmp_path / "none.jsonl", content, lenient=True)


def test_a_time_that_cannot_be_is_a_bad_line(tmp_path: Path) -> None:
    """Centuries from the first line, or beyond what JSON can hold, nothing is measured."""
    far = orjson.dumps({**PLAIN, "timestamp": "9999-01-01T00:00:00"}) + b"\n"
    with pytest.raises(RecordError, match="line 2: expected a timestamp near the first one, 2026-01-01"):
        read(tmp_path / "plain.jsonl", orjson.dumps(PLAIN) + b"\n" + far)
    late = RECORD.to_line().replace(f'"t_ns":{RECORD.t_ns}'.encode(), b'"t_ns":9223372036854775807')
    with pytest.raises(RecordError, match="line 2: expected t_ns in nanoseconds since the call began, got 922"):
        read(tmp_path / "own.jsonl", RECORD.to_line() + late)


def test_missing_numbers_are_counted(tmp_path: Path) -> None:
    """A gap in ``seq`` is lines that are missing."""
    lines = [RECORD.to_line().replace(b'"seq":0', f'"seq":{seq}'.encode()) for seq in (0, 1, 4, 5)]
    _, reader = read(tmp_path / "gap.jsonl", b"".join(lines))
    assert reader.shape is not None
    assert reader.shape.missing_lines == 2


def test_progress_is_told_in_bytes(tmp_path: Path) -> None:
    """The last report is the size of the file."""
    told: list[int] = []
    path = tmp_path / "long.jsonl"
    path.write_bytes(RECORD.to_line() * 5000)
    assert sum(1 for _ in LogReader(path, on_progress=told.append)) == 5000
    assert told == sorted(told)
    assert told[-1] == path.stat().st_size
    assert len(told) >= 3


@pytest.mark.parametrize(
    ("data", "size_bytes"),
    [
        ({"audio": base64.b64encode(bytes(957)).decode()}, 957),
        ({"audio": base64.b64encode(bytes(958)).decode()}, 958),
        ({"audio": base64.b64encode(bytes(960)).decode()}, 960),
        ({"audio": {"bytes": 960, "blake2b": "00"}}, 960),
        ({"audio": {}, "length": 5}, None),
        ({"length": 320, "message_type": "audio"}, 320),
        ({"audio": None, "bytes": 12}, 12),
        ({"audio": "<960 bytes left out>"}, None),
        ({"audio": "<left out>", "length": 960}, 960),
        ({"audio": "", "length": 7}, 7),
        ({"audio": [1], "length": 7}, 7),
        ({"length": -3}, None),
        ({"length": True}, None),
        ({}, None),
    ],
)
def test_the_size_of_audio_is_told_or_unknown(data: dict[str, Any], size_bytes: int | None) -> None:
    """Inline, digested, counted beside it, or absent, which is not the same as nothing."""
    assert audio_bytes(data, "audio") == size_bytes


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"sample_rate": 8000, "format": "slin"}, "slin8"),
        ({"sample_rate": 16000, "format": "pcm16"}, "slin16"),
        ({"sample_rate": 8000, "format": "ulaw"}, "ulaw8"),
        ({"format": "g711_alaw"}, "alaw8"),
        ({"sample_rate": 16000, "format": "ulaw"}, None),
        ({"sample_rate": 44100, "format": "slin"}, "slin44"),
        ({"sample_rate": 11025, "format": "slin"}, None),
        ({"sample_rate": 8500, "format": "slin"}, None),
        ({"format": "slin"}, None),
    ],
)
def test_the_leg_format_of_a_plain_log_is_read_or_unknown(data: dict[str, Any], name: str | None) -> None:
    """What is told is read; a rate that no format has, or none at all, is not guessed."""
    found = told_format(data)
    assert (found and found.name) == name


@pytest.mark.parametrize("name", ["uuid", "UUID", "0x01", 1, "DTMF", "Hangup", "0x00", "0xFF"])
def test_what_is_no_audio_is_known_by_any_spelling(name: object) -> None:
    """Names of messages in small letters or capitals, kinds as numbers or in hexadecimal; audio is none of them."""
    assert leg_message({"message_type": name}) in NO_AUDIO
    assert not {leg_message({"message_type": kind}) for kind in ("audio", "0x10", 16, "AUDIO_SLIN16")} & NO_AUDIO


def test_fields_are_read_by_the_dialects_table() -> None:
    """Each field of the neutral event, and ``None`` where the message lacks it."""
    data = {"item_id": "item_1", "audio_end_ms": 1200.4}
    event = LogEvent(1, 0, "received", "input_audio_buffer.speech_stopped", data)
    assert fields_of(event) == {"item_id": "item_1", "audio_end_ms": 1200}
    assert fields_of(event._replace(data={})) == {"item_id": None, "audio_end_ms": None}
    assert fields_of(event._replace(type="session.weather.updated")) == {}
