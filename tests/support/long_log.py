"""Long logs of ours, line by line: as many records a second as a real call writes, for as long as is asked.

Used by the tests and by benchmarks/analysis/measure.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from voxpipe.sansio.records import Direction, Record, format_timestamp

FRAME_NS = 20_000_000
CYCLE_FRAMES = 1_000
"""Twenty seconds: three of the caller, then an answer of eight, then silence."""
SPEECH_FRAMES = 150
STOPPED_FRAME = SPEECH_FRAMES + 25
ANSWER_FRAMES = 400
CHUNK_FRAMES = 10
FIRST_FRAME = STOPPED_FRAME + 15
START_UNIX_NS = 1_800_000_000_000_000_000
LEG = "aaaabbbb-cccc-dddd-eeee-ffff00001111"
PCM = {"type": "audio/pcm", "rate": 24000}
VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
AUDIO = {"input": {"format": PCM, "turn_detection": VAD, "transcription": {"model": "gpt-transcribe"}}}
SESSION = {"type": "realtime", "model": "gpt-realtime", "audio": {**AUDIO, "output": {"format": PCM, "voice": "marin"}}}
LEG_AUDIO = {"bytes": 320, "blake2b": "7a00a3d33b8f3b1a", "duration_ms": 20.0}
WIRE_AUDIO = {"bytes": 960, "blake2b": "3cab742dc431f6ff", "duration_ms": 20.0}
CHUNK = {"bytes": 9_600, "blake2b": "0cf29e65b98a8b3a", "duration_ms": 200.0}
LEVEL = {"rms_dbfs": -21.5, "peak_dbfs": -4.0, "dc_offset_lsb": 0.3, "clipped_samples": 0, "zero_run_samples": 4}

Event = tuple[int, Direction, str, dict[str, Any]]


def long_log(seconds: int) -> Iterator[bytes]:
    """The lines of a call that lasted so long."""
    numbers = count()
    for t_ns, direction, event_type, data in _events(seconds):
        stamp = format_timestamp(START_UNIX_NS + t_ns)
        yield Record(next(numbers), t_ns, stamp, LEG, direction, event_type, data).to_line()


def write_long_log(path: Path, seconds: int) -> int:
    """Write such a log; return how many lines it has."""
    lines = 0
    with path.open("wb") as file:
        for line in long_log(seconds):
            file.write(line)
            lines += 1
    return lines


def _events(seconds: int) -> Iterator[Event]:
    yield 0, "local", "leg.started", {"format": "auto", "dialect": "openai"}
    yield 0, "local", "leg.format", {"uplink": "slin8", "downlink": "slin8"}
    yield 1_000, "received", "session.created", {"session": SESSION}
    yield 2_000, "sent", "session.update", {"session": SESSION}
    yield 3_000_000, "received", "session.updated", {"session": SESSION}
    for frame in range(seconds * 50):
        t_ns = frame * FRAME_NS + 5_000_000
        yield t_ns, "received", "audiosocket.received", {"message_type": "audio", "audio": LEG_AUDIO}
        yield t_ns + 300_000, "sent", "input_audio_buffer.append", {"audio": WIRE_AUDIO}
        if frame % 50 == 49:
            yield t_ns + 400_000, "local", "audio.level", {"side": "uplink", **LEVEL}
        yield from _speech(t_ns + 500_000, frame % CYCLE_FRAMES, frame // CYCLE_FRAMES)
    end_ns = seconds * 50 * FRAME_NS + 6_000_000
    yield end_ns, "local", "session.closed", {"because": "leg closed by the peer"}
    yield end_ns, "local", "leg.summary", {"because": "leg closed by the peer"}


def _speech(t_ns: int, frame: int, turn: int) -> Iterator[Event]:
    item, ids = {"item_id": f"item_c{turn}"}, {"response_id": f"resp_{turn}", "item_id": f"item_a{turn}"}
    audio_ms = (turn * CYCLE_FRAMES + frame + 1) * 20
    if frame == 4:
        yield t_ns, "received", "input_audio_buffer.speech_started", {**item, "audio_start_ms": audio_ms - 80}
    elif frame == STOPPED_FRAME:
        yield t_ns, "received", "input_audio_buffer.speech_stopped", {**item, "audio_end_ms": audio_ms}
        yield t_ns, "received", "input_audio_buffer.committed", item
        yield t_ns + 100_000, "received", "response.created", {"response": {"id": ids["response_id"]}}
    since = frame - FIRST_FRAME
    chunks = ANSWER_FRAMES // CHUNK_FRAMES
    if 0 <= since < 2 * chunks and since % 2 == 0:
        yield t_ns, "received", "response.output_audio.delta", {**ids, "delta": CHUNK}
    if since == 0:
        yield t_ns + 100_000, "local", "playout.started", ids
    if since == 2 * chunks:
        done = "conversation.item.input_audio_transcription.completed"
        yield t_ns, "received", done, {**item, "transcript": "where is my order"}
        yield t_ns, "received", "response.output_audio_transcript.done", {**ids, "transcript": "on its way"}
        usage = {"total_tokens": 300, "input_tokens": 100, "output_tokens": 200}
        response = {"id": ids["response_id"], "status": "completed", "usage": usage}
        yield t_ns, "received", "response.done", {"response": response}
    if 0 <= since < ANSWER_FRAMES:
        played = {"message_type": "audio", "samples": 160, "padding_samples": 0, "audio": LEG_AUDIO}
        yield t_ns + 200_000, "sent", "audiosocket.sent", played
    elif since == ANSWER_FRAMES:
        yield t_ns, "local", "playout.finished", {"played_samples": 160 * ANSWER_FRAMES}
