"""The commands for the person with a bad call: ``analyze``, ``check`` and ``timeline``; their work is in log_commands.

Exit status: 0 all is well, 1 a check fails or some of several logs cannot be read, 2 it could not run as asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

Flag = Annotated[bool, Parameter(negative=())]


def register(app: App) -> None:
    """Add the commands to the command."""
    app.command(analyze_command, name="analyze")
    app.command(check_command, name="check")
    app.command(timeline_command, name="timeline")


# What reads logs is imported when a log is to be read: a gateway has no use for it.


def analyze_command(*logs: Path, json: Flag = False, lenient: Flag = False) -> int:
    """Tell what a call came to: session, audio, conversation, latencies, interruptions, losses, errors, tokens.

    Takes voxpipe's own logs, and plain Realtime logs: JSON lines with timestamp, event_type and event_data, or
    eventType and eventData, of GA or beta events. What a log does not tell is said to be unknown. Of several logs, or
    of a folder, it prints a row for each call and their totals.

    Parameters
    ----------
    logs
        Logs, or folders of logs (*.jsonl; the gateway's own are left out).
    json
        Print everything as JSON: an object for one log, {"calls", "totals", "unreadable"} for several.
    lenient
        Skip lines that are no records, and count them, instead of giving up at the first.
    """
    from voxpipe.log_commands import analyze_logs

    return analyze_logs(logs, json=json, lenient=lenient)


def check_command(
    *logs: Path,
    slo: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    json: Flag = False,
    junit: Path | None = None,
    lenient: Flag = False,
) -> int:
    """Go through the checklist of a call: a verdict for each question, with the lines to look at and what to do.

    It asks about the session, the audio, transcription, the conversation and errors, and names the three classic
    faults outright: transcription that was never configured, formats that differ, turn detection that never triggers.
    Exit status 1 when a check fails, so that it can gate a CI job; what the log does not tell is unknown, and fails
    nothing. The limits are those of --slo, or the defaults, which `voxpipe check --slo -` prints.

    Parameters
    ----------
    logs
        Logs, or folders of logs.
    slo
        TOML file with a table [slo]; the limits it leaves out keep their defaults. - prints the table and ends.
    json
        Print the verdicts as JSON, by log: {"passed", "faults", "verdicts"}, or {"passed", "error"} for one that
        cannot be read.
    junit
        Write them to this file, too, as a JUnit report.
    lenient
        Skip lines that are no records, and count them; the check that the log is complete fails then.
    """
    from voxpipe.log_commands import check_logs

    return check_logs(logs, slo=slo, json=json, junit=junit, lenient=lenient)


def timeline_command(
    log: Path, *, output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None, lenient: Flag = False
) -> int:
    """Print the timeline of a call: one line an event worth reading, in lanes, with the line of the log at its end.

    The columns are seconds from the beginning of the log, seconds since the latest turn mark (a party began or ended
    to speak), the lane (caller, agent, session, tools or faults), and what happened.

    Parameters
    ----------
    log
        Log of a call.
    output
        File to write it to.
    lenient
        Skip lines that are no records.
    """
    from voxpipe.log_commands import tell_timeline

    return tell_timeline(log, output=output, lenient=lenient)
