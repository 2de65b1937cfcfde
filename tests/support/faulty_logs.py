"""Plain logs of calls that have one fault each."""

from __future__ import annotations

from typing import Any

from plain_log import VAD, PlainLog, beta_session, conversation, ga_session


def plain(**session: Any) -> PlainLog:
    """A log whose session was acknowledged."""
    log = PlainLog()
    log.configure(ga_session(**session))
    return log


def early_append() -> PlainLog:
    """Caller audio before the acknowledgement."""
    log = PlainLog()
    log.add("session.update_sent", ga_session())
    log.add("input_audio_buffer.append", {"audio": log.audio(bytes(960))}, after_s=0.02)
    log.add("session.updated", {"session": ga_session()}, after_s=0.1)
    return conversation(log)


def late_ack() -> PlainLog:
    """An acknowledgement after three seconds."""
    log = PlainLog()
    log.configure(ga_session(), ack_s=3.0)
    return conversation(log)


def refusal() -> PlainLog:
    """A configuration that is refused."""
    log = PlainLog()
    log.add("session.update_sent", ga_session())
    error = {"type": "invalid_request_error", "code": "invalid_value", "message": "No.", "event_id": None}
    log.add("error", {"type": "error", "error": error}, after_s=0.1)
    return log


def other_format() -> PlainLog:
    """Another downlink format than the requested one is confirmed."""
    log = PlainLog()
    log.configure(ga_session(), ga_session(downlink={"type": "audio/pcmu"}))
    return conversation(log)


def other_beta_format() -> PlainLog:
    """The same for the uplink, in the beta's shape."""
    log = PlainLog(camel=True)
    log.configure(beta_session(), beta_session(uplink="g711_ulaw"))
    return conversation(log)


def strange_format() -> PlainLog:
    """A format that nobody has a name for is confirmed."""
    log = PlainLog()
    log.configure(ga_session(), ga_session(uplink={"type": "audio/opus"}))
    return log


def refused_transcription() -> PlainLog:
    """Transcription was asked for, and the confirmed session has none."""
    log = PlainLog()
    log.configure(ga_session(), ga_session(transcription=None))
    return log


def noisy_turn() -> PlainLog:
    """A turn that does not end, though a short silence would end it."""
    log = plain()
    log.add("input_audio_buffer.speech_started", {"item_id": "item_c1"})
    log.uplink(log.at_s + 70)
    return log


def changed_format() -> PlainLog:
    """The downlink format changes in mid-call."""
    log = conversation(plain(), 1)
    log.add("session.updated", {"session": ga_session(downlink={"type": "audio/pcmu"})})
    return log


def narrowband_as_wideband() -> PlainLog:
    """Audio of 8 kHz is sent as what was confirmed as 24 kHz."""
    return conversation(plain(), frame_bytes=320, voice=bytes(320))


def paused(log: PlainLog) -> PlainLog:
    """Caller audio with a hole of two seconds."""
    log.uplink(log.at_s + 3)
    log.uplink(log.at_s + 8, from_s=log.at_s + 5)
    log.at_s += 8
    return log


def starved() -> PlainLog:
    """An answer that waits two seconds for its audio."""
    log = plain()
    log.turn(1)
    log.answer(1, chunks=2)
    log.add("response.output_audio.delta", {"response_id": "resp_1", "delta": log.audio(bytes(12_000))}, after_s=2)
    log.uplink(log.at_s, from_s=0.4)
    return log


def no_transcription() -> PlainLog:
    """Two turns in a session that has transcription switched off."""
    log = plain(transcription=None)
    for number in range(2):
        log.turn(number, settled=False)
        log.answer(number)
    log.at_s += 5
    log.add("connection.closed", {"code": 1000})
    return log


def null_transcripts() -> PlainLog:
    """Two turns whose transcripts are null."""
    log = plain()
    for number in range(2):
        log.turn(number, said=None)
        log.answer(number)
    log.at_s += 5
    log.add("connection.closed", {"code": 1000})
    return log


def failed_transcription() -> PlainLog:
    """A turn whose transcription fails."""
    log = plain()
    log.turn(1, settled=False)
    failed = {"item_id": "item_c1", "error": {"code": "audio_unintelligible", "message": "Not understood."}}
    log.add("conversation.item.input_audio_transcription.failed", failed)
    log.at_s += 5
    log.add("connection.closed", {"code": 1000})
    return log


def no_turns(**vad: Any) -> PlainLog:
    """Twenty seconds of caller audio in which no turn is heard."""
    log = plain(turn_detection={**VAD, **vad})
    log.uplink(log.at_s + 20)
    return log


def no_turns_at_the_wrong_rate() -> PlainLog:
    """The same, of audio at 8 kHz which is sent as 24 kHz."""
    log = plain()
    log.uplink(log.at_s + 20, frame_bytes=320)
    return log


def no_turns_of_unknown_audio() -> PlainLog:
    """The same in a log that leaves audio out."""
    log = PlainLog(audio="absent", camel=True)
    log.configure(beta_session())
    log.uplink(log.at_s + 20)
    return log


def detection_off() -> PlainLog:
    """The same without turn detection, and nothing is committed."""
    log = plain(turn_detection=None)
    log.uplink(log.at_s + 20)
    return log


def endless_turn() -> PlainLog:
    """A turn that begins and does not end."""
    log = plain(turn_detection={**VAD, "silence_duration_ms": 4000})
    log.add("input_audio_buffer.speech_started", {"item_id": "item_c1"})
    log.uplink(log.at_s + 70)
    return log


def unanswered() -> PlainLog:
    """A turn that no response follows."""
    log = plain()
    log.turn(1)
    log.at_s += 5
    log.add("connection.closed", {"code": 1000})
    return log


def slow_answer() -> PlainLog:
    """An answer whose first audio comes after four seconds."""
    log = plain()
    log.turn(1)
    log.answer(1, after_s=4)
    return log


def impossible_truncation() -> PlainLog:
    """A truncation beyond what ever came of the item."""
    log = plain()
    log.turn(1)
    log.answer(1, chunks=2)
    log.add("conversation.item.truncate", {"item_id": "item_a1", "content_index": 0, "audio_end_ms": 9100})
    return log


def untold_interruption() -> PlainLog:
    """The caller speaks over an answer, and the provider is not told."""
    log = plain()
    log.turn(1)
    log.answer(1, chunks=20)
    log.at_s -= 3
    log.turn(2)
    return log


def silent_minute() -> PlainLog:
    """Twelve seconds in which nobody speaks."""
    log = plain()
    log.turn(1)
    log.answer(1)
    log.at_s += 12
    log.turn(2)
    return log


def slow_tool() -> PlainLog:
    """A tool whose result comes after twelve seconds."""
    log = plain()
    log.tool(answered_after_s=12)
    return log


def forgotten_tool() -> PlainLog:
    """A tool that is never answered."""
    log = plain()
    log.tool(answered_after_s=None)
    return log


def server_error() -> PlainLog:
    """An error of the provider, three times, before a good conversation."""
    log = plain()
    for _ in range(3):
        log.add("error", {"error": {"type": "server_error", "code": None, "message": "Oh."}}, after_s=1)
    return conversation(log)


def lost_connection() -> PlainLog:
    """A connection that is lost."""
    log = plain()
    log.add("connection.closed", {"code": 1006, "reason": "connection lost"})
    return log
