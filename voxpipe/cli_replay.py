"""The command ``replay``. Exit status: 0 every call came out as it did, 1 one did not, 2 one could not be replayed."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

if TYPE_CHECKING:
    from voxpipe.replay import Replay

IDENTICAL, DIFFERENT, UNUSABLE = 0, 1, 2
TEST = '''"""A call that must come out as it did: what is sent and played, from what came in when."""

from pathlib import Path

from voxpipe.replay import replay_log


def test_the_call_comes_out_as_it_did() -> None:
    """Commands, caller audio, agent audio and events are those of the log."""
    replay = replay_log(Path(__file__).parent / {name})
    assert replay.identical, str(replay.difference)
'''


def register(app: App) -> None:
    """Add the command to the command."""
    app.command(replay_command, name="replay")


def replay_command(*logs: Path, save_test: Path | None = None) -> int:
    """Go through recorded calls again, with the code of today, and say whether they come out as they did.

    What came in is played at its recorded times, in virtual time: the caller's messages, the provider's, the results
    of tools. What is sent to the provider and played to the caller is held against the log; the first difference is
    named with its line. It takes voxpipe's own logs with the audio beside them (`log.audio = "sidecar"`) or in them.

    Parameters
    ----------
    logs
        Logs of calls.
    save_test
        Write a pytest file that replays the log (one only), which is copied beside it with its audio.
    """
    if not logs:
        return _complain("expected a log, got none")
    if save_test is not None and len(logs) != 1:
        return _complain(f"expected one log with --save-test, got {len(logs)}")
    status = IDENTICAL
    for log in logs:
        status = max(status, _replay(log))
    if save_test is not None and status != UNUSABLE:
        try:
            _save_test(logs[0], save_test)
        except OSError as error:
            return _complain(f"--save-test: {error}")
    return status


def _complain(text: str) -> int:
    sys.stderr.write(f"voxpipe: {text}\n")
    return UNUSABLE


def _replay(log: Path) -> int:
    # What runs a call is imported when one is to be run: --help need not wait for it.
    from rich.console import Console
    from rich.progress import Progress

    from voxpipe.errors import VoxpipeError
    from voxpipe.replay import replay_log

    console = Console(stderr=True)
    try:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
            task = bars.add_task("replaying", total=1.0)
            replay = replay_log(log, on_progress=lambda share: bars.update(task, completed=share))
    except (OSError, VoxpipeError) as error:
        return _complain(f"{log}: {error}")
    sys.stdout.write(f"{log}: {_tell(replay)}\n")
    return IDENTICAL if replay.identical else DIFFERENT


def _tell(replay: Replay) -> str:
    compared = ", ".join(f"{lane} {count}" for lane, count in replay.counts.items())
    if replay.identical:
        until = "" if replay.whole else ", to where the log breaks off"
        return f"identical, {replay.duration_s:.1f} s{until}: {compared}"
    return f"different: {replay.difference}"


def _save_test(log: Path, test: Path) -> None:
    if test.exists():
        raise FileExistsError(f"expected a file that is not there yet, got {test}")
    test.parent.mkdir(parents=True, exist_ok=True)
    from voxpipe.replay.prompts import copies

    for source, name in copies(log):
        target = test.parent / name
        if target.resolve() != source.resolve():
            shutil.copyfile(source, target)
    test.write_text(TEST.format(name=json.dumps(log.name, ensure_ascii=False)), encoding="utf-8")
    sys.stdout.write(f"{test}: written, with {log.name} and its audio beside it\n")
