"""The command ``report``; its work is in log_report. Exit status: 0 it is written, 2 it could not run as asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from voxpipe.cli_analysis import Flag


def register(app: App) -> None:
    """Add the command to the command."""
    app.command(report_command, name="report")


def report_command(
    log: Path,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    no_audio: Flag = False,
    slo: Path | None = None,
    lenient: Flag = False,
) -> int:
    """Write a call as one HTML page, to look at and to listen to; it needs no network and no other file.

    It shows the verdicts of `voxpipe check`, both sides' waveforms over time with turns, words, cuts, latencies and
    faults, the table of turns, and every event of the log. Audio comes from the two WAV files beside the log
    (log.audio = "sidecar") or from the log itself ("inline"); where there is none, levels are drawn. An hour's page has
    about 25 MB with audio and 2 to 4 MB without; beyond six hours there is none.

    Parameters
    ----------
    log
        Log of a call: ours, or a plain Realtime log.
    output
        File to write; by default the log's name with .html.
    no_audio
        Leave out the audio, not the waveforms.
    slo
        TOML file with the limits for the verdicts, as for `voxpipe check`.
    lenient
        Skip lines that are no records, and count them.
    """
    from voxpipe.log_report import write_report

    return write_report(log, output, audio=not no_audio, slo=slo, lenient=lenient)
