"""The command ``compare``; comparison_commands does it. Exit status: 0 compared, 1 not with all logs, 2 not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

Flag = Annotated[bool, Parameter(negative=())]


def register(app: App) -> None:
    """Add the command to the command."""
    app.command(compare_command, name="compare")


def compare_command(
    expected: Path,
    actual: Path,
    *,
    slo: Path | None = None,
    json: Flag = False,
    html: Path | None = None,
    no_audio: Flag = False,
    lenient: Flag = False,
) -> int:
    """Tell what differs between two calls, or two folders of calls: the first as it should be, the second as it is.

    It compares configuration and formats, latencies, sound, losses, errors and the verdicts of the checklist. Numbers
    are medians with the middle half of their values; a difference is called one only where a rank test (Mann-Whitney,
    corrected by Holm) finds it at 5 %. The logs may be of any provider, ours or plain.

    Parameters
    ----------
    expected
        Log of a call, or a folder of logs (*.jsonl).
    actual
        Another.
    slo
        TOML file with a table [slo]: the limits of the verdicts, as for check.
    json
        Print everything as JSON, what is equal included.
    html
        Write a page, too, that needs no network and no other file. Of two calls it shows both on one axis of time, and
        plays either; of folders, how the numbers of either lie.
    no_audio
        Leave the audio out of the page, not the waveforms.
    lenient
        Skip lines that are no records.
    """
    from voxpipe.comparison_commands import compare_logs

    return compare_logs(expected, actual, slo=slo, json=json, lenient=lenient, html=html, audio=not no_audio)
