"""The command ``quality``. Exit status: 0 assessed, and as good as asked for; 1 not so good; 2 not to be assessed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import orjson
from cyclopts import App, Parameter

if TYPE_CHECKING:
    from voxpipe.analysis.quality import Quality

WORSE = 1
SHOWN_PLACES = 8
Flag = Annotated[bool, Parameter(negative=())]


def register(app: App) -> None:
    """Add the command to the command."""
    app.command(quality_command, name="quality")


def quality_command(*, reference: Path, heard: Path, at_least_db: float | None = None, json: Flag = False) -> int:
    """Hold what was heard against what was said, and tell what the path did to it.

    Delay, drift of the clocks and jumps are found and taken out; then it gives signal to noise in the telephone band,
    level, offset, gaps and clipping, and says what the path was: linear (above 60 dB), with G.711 in it (about 36 dB),
    resampled badly or distorted, or not the same audio. STOI comes with voxpipe[quality], PESQ where it is installed.

    Parameters
    ----------
    reference
        What was said: a mono sound file of any of our linear rates.
    heard
        What was heard of it; the rate may differ.
    at_least_db
        Exit status 1 when signal to noise in the telephone band is less.
    json
        Print everything as JSON.
    """
    from voxpipe.analysis.quality import assess
    from voxpipe.wav import read_wav

    quality = assess(*read_wav(reference), *read_wav(heard))
    if json:
        sys.stdout.buffer.write(orjson.dumps(quality.to_json(), option=orjson.OPT_INDENT_2) + b"\n")
    else:
        _print(quality)
    if at_least_db is None or (quality.snr_db is not None and quality.snr_db >= at_least_db):
        return 0
    return WORSE


def _print(quality: Quality) -> None:
    from voxpipe.analysis_tables import make_console, make_table

    console = make_console()
    console.print(quality.verdict, markup=False, soft_wrap=True)
    table = make_table(console, "")
    for name, words in (*_compared(quality), *_recordings(quality)):
        table.add_row(name, words)
    console.print(table, markup=False)


def _compared(quality: Quality) -> list[tuple[str, str]]:
    if quality.snr_db is None:
        return []
    wide = _db(quality.wideband_snr_db)
    narrowed = ", narrowed: nothing is left above 4 kHz" if quality.narrowed else ""
    rows = [
        ("signal to noise", f"{_db(quality.snr_db)} (300 to 3400 Hz)"),
        ("in segments of 20 ms", f"{_db(quality.segmental_snr_db)} (mean of active ones)"),
        ("wide band", f"{wide} (50 to 7000 Hz){narrowed}" if quality.wideband_snr_db is not None else "below 16 kHz"),
        ("delay", f"{quality.delay_ms:.3f} ms ({quality.delay_samples:.2f} samples at {quality.heard_hz} Hz)"),
        ("drift", f"{quality.drift_ppm:+.2f} ppm"),
        ("level", f"{_db(quality.level_db, '+')}{', polarity inverted' if quality.inverted else ''}"),
        ("compared", f"{quality.compared_s:.2f} s; {quality.unheard_s:.2f} s of the reference beyond the recording"),
    ]
    jumps = [
        f"{abs(jump.change_ms):.2f} ms {'repeated or put in' if jump.change_ms > 0 else 'missing'} at {jump.at_s:.3f} s"
        for jump in quality.jumps
    ]
    gaps = [
        f"{gap.duration_ms:.1f} ms {'of digital silence' if gap.digital else 'too quiet'} at {gap.at_s:.3f} s"
        for gap in quality.gaps
    ]
    rows += [("damaged frames", f"{quality.damaged_frames} of {quality.active_frames}")]
    rows += [("jumps", _places(jumps)), ("gaps", _places(gaps))]
    scores = quality.scores
    if scores is not None:
        rows += [(name, f"{value:.3f}") for name, value in (("PESQ", scores.pesq), ("STOI", scores.stoi)) if value]
        rows += [("not scored", words) for words in scores.missing]
    return rows


def _recordings(quality: Quality) -> list[tuple[str, str]]:
    return [
        ("offset", f"reference {quality.reference_dc_lsb:+.1f} LSB, heard {quality.heard_dc_lsb:+.1f} LSB"),
        (
            "clipped",
            f"reference {quality.reference_clipped_samples} samples, heard {quality.heard_clipped_samples} samples",
        ),
    ]


def _db(value: float | None, sign: str = "") -> str:
    return "unknown" if value is None else f"{value:{sign}.1f} dB"


def _places(found: list[str]) -> str:
    more = f" and {len(found) - SHOWN_PLACES} more" if len(found) > SHOWN_PLACES else ""
    return f"{len(found)}: {', '.join(found[:SHOWN_PLACES])}{more}" if found else "none"
