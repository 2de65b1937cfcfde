"""Calls by TCP from a WAV file or the microphone: what ``voxpipe call`` does."""

from __future__ import annotations

import contextlib
import math
import os
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import UUID, uuid4

import trio

from voxpipe.audio import SLIN8, AudioFormat
from voxpipe.config import format_address
from voxpipe.dsp import Converter
from voxpipe.errors import AudioError, VoxpipeError
from voxpipe.testing.asterisk import DIGITS, OnEvent, Speech, Voice, call, heard_format
from voxpipe.testing.caller_result import CallResult
from voxpipe.wav import read_wav, write_wav

SPEECH = Path(__file__).with_name("caller.wav")
"""Two turns of synthetic speech with a pause of 1.5 s between them; caller.wav.md says how it was made."""
APOLOGY = Path(__file__).with_name("apology.wav")
"""What a caller may be played when there is no session."""

CONNECT_TIMEOUT_S = 2.0
"""As long as Asterisk tries (res_audiosocket.c)."""
FIRST_DIGIT_S, DIGIT_EVERY_S = 1.0, 0.3


class CallRefused(VoxpipeError):
    """Nobody took the call: no connection to the gateway's port."""


async def run_calls(
    host: str,
    port: int,
    *,
    wav: Path = SPEECH,
    format: AudioFormat,
    calls: int = 1,
    seconds: float | None = None,
    digits: str = "",
    call_id: UUID | None = None,
    record: Path | None = None,
    speak_mic: bool = False,
    listen_after_s: float = 2.0,
    hang_up: trio.Event | None = None,
    on_event: OnEvent | None = None,
) -> list[CallResult]:
    """Hold ``calls`` calls side by side and return one result each.

    ``wav`` may have any rate of ``AudioFormat``; it is converted to the leg's format. ``digits`` are dialled from one
    second on, three a second. ``call_id`` is for a single call; otherwise each call has a fresh one. ``record`` is the
    WAV file of what was heard, laid on the call's time line; of several calls the files are ``record-1.wav`` and so on.
    All hang up when ``hang_up`` is set, if they have not before.

    ``CallRefused`` when no call was taken; when some were, the others are results with a fault. ``AudioError`` for an
    unusable WAV, ``OSError`` for a file that cannot be opened or written, ``ValueError`` for arguments that contradict
    each other.
    """
    if calls < 1:
        raise ValueError(f"expected 1 call or more, got {calls}")
    if seconds is not None and not seconds >= 0:
        raise ValueError(f"expected seconds of 0 or more, got {seconds:g}")
    if calls > 1 and (call_id is not None or speak_mic):
        raise ValueError(f"expected one call with a UUID or a microphone of its own, got {calls} calls")
    for digit in digits:
        if digit not in DIGITS:
            raise ValueError(f"expected DTMF digits (0-9 * # A-D), got {digit!r}")
    if record is not None:  # before the calls, which nobody wants to make again
        _check_folder(record)
    speech = b"" if speak_mic else await trio.to_thread.run_sync(load_speech, wav, format)
    timed = [(FIRST_DIGIT_S + index * DIGIT_EVERY_S, digit) for index, digit in enumerate(digits)]
    results: list[CallResult | CallRefused] = [CallRefused("not called yet")] * calls

    async def one(index: int) -> None:
        # Spread over a frame, as the frames of callers who know nothing of one another are.
        await trio.sleep(index / calls * 0.02)
        with _microphone(format) if speak_mic else contextlib.nullcontext(Speech(speech, format)) as voice:
            try:
                stream = await _connect(host, port)
            except CallRefused as refused:
                results[index] = refused
                return
            results[index] = await call(
                stream,
                voice,
                format,
                call_id=call_id or uuid4(),
                digits=timed,
                seconds=seconds,
                listen_after_s=listen_after_s,
                hang_up=hang_up,
                on_event=on_event,
            )

    async with trio.open_nursery() as nursery:
        for index in range(calls):
            nursery.start_soon(one, index)
    refusals = [result for result in results if isinstance(result, CallRefused)]
    if len(refusals) == calls:
        raise refusals[0]
    taken = [_refused_call(result, format) if isinstance(result, CallRefused) else result for result in results]
    if record is not None:
        await trio.to_thread.run_sync(_record, record, taken)
    return taken


async def _connect(host: str, port: int) -> trio.SocketStream:
    try:
        with trio.fail_after(CONNECT_TIMEOUT_S):
            return await trio.open_tcp_stream(host, port)
    except trio.TooSlowError:
        raise CallRefused(f"no connection to {format_address(host, port)} within {CONNECT_TIMEOUT_S:g} s") from None
    except OSError as error:
        raise CallRefused(
            f"no connection to {format_address(host, port)}: is the gateway running? ({error})"
        ) from error


def _refused_call(refused: CallRefused, format: AudioFormat) -> CallResult:
    return CallResult(
        call_id=UUID(int=0),
        format=format,
        heard_format=heard_format(format),
        frames_sent=0,
        frames_heard=0,
        digits_sent="",
        heard=b"",
        arrivals_s=array("d"),
        sizes_bytes=array("I"),
        send_late_s=array("d"),
        speech_end_s=None,
        first_answer_s=None,
        answer_delay_s=None,
        ended_by="error",
        faults=(str(refused),),
        duration_s=0.0,
    )


def load_speech(wav: Path, format: AudioFormat) -> bytes:
    """Read a WAV file in the format of a leg; blocks. ``AudioError`` for an unusable one, ``OSError`` for none."""
    audio, source = read_wav(wav)
    converter = Converter(source, format)
    return converter.convert(audio) + converter.flush()


@contextlib.contextmanager
def _microphone(format: AudioFormat) -> Iterator[Voice]:
    from voxpipe.testing.soundcard import SoundCard  # sounddevice is an extra: voxpipe[mic]

    with SoundCard(heard_format(format)) as card:
        yield card if card.format == format else _G711Voice(card, format)


class _G711Voice:
    """A slin8 voice on a G.711 leg: spoken in the leg's format, played to in slin8."""

    def __init__(self, voice: Voice, format: AudioFormat) -> None:
        self._voice = voice
        self._converter = Converter(SLIN8, format)

    def next_frame(self) -> bytes | None:
        frame = self._voice.next_frame()
        return frame if frame is None else self._converter.convert(frame)

    def hear(self, audio: bytes) -> None:
        self._voice.hear(audio)


def _check_folder(path: Path) -> None:
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise AudioError(f"{path}: expected a file in a folder that can be written, got none")


def _record(path: Path, results: Sequence[CallResult]) -> None:
    for number, result in enumerate(results, 1):
        numbered = path if len(results) == 1 else path.with_stem(f"{path.stem}-{number:0{_width(len(results))}}")
        write_wav(numbered, result.recording(), result.heard_format)


def _width(count: int) -> int:
    return 1 + int(math.log10(count))
