"""The command ``voxpipe`` as a process: run to its end, or in the background."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

COMMAND = [sys.executable, "-W", "error", "-m", "voxpipe"]
ENVIRON = {**os.environ, "OPENAI_API_KEY": "sk-not-used", "COLUMNS": "200"}


def run(
    *args: object, cwd: Path | None = None, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, args)],
        cwd=cwd,
        env=ENVIRON if environ is None else environ,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


class Background:
    """A running command, with the lines it has printed on standard error so far."""

    def __init__(self, *args: object) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen([*COMMAND, *map(str, args)], env=ENVIRON, stderr=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.lines.append(line)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait for a line and return what matched in it."""
        deadline_s = time.monotonic() + 20
        while time.monotonic() < deadline_s:
            for line in list(self.lines):
                if found := re.search(pattern, line):
                    return found
            time.sleep(0.02)
        raise AssertionError(f"expected a line with {pattern!r}, got {self.lines}")

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for the end and return the exit status."""
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self._reader.join()
