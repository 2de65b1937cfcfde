"""Any log, line by line, as the neutral stream; in constant memory, however long it is.

A torn last line, as a killed process leaves it, is forgiven. Any other bad line is a ``RecordError`` with its number,
or, where the reader is lenient, skipped and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from voxpipe.analysis.events import LogEvent
from voxpipe.analysis.foreign import Interpreter, interpreter_for
from voxpipe.analysis.shapes import Shape, recognise
from voxpipe.errors import RecordError
from voxpipe.sansio.records import parse_object

MAX_LINE_BYTES = 64 * 1024 * 1024
"""The longest message our WebSocket takes; a file without line breaks must not be read into memory."""
REPORT_LINES = 2_000
SHOWN_FAULTS = 5
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
NO_TEXT = {
    b"\x1f\x8b": "a file packed by gzip: unpack it first",
    b"\x28\xb5\x2f\xfd": "a file packed by zstd: unpack it first",
    b"\xff\xfe": "UTF-16: convert it first",
    b"\xfe\xff": "UTF-16: convert it first",
}
"""How files begin that a log was made into, by a rotation or by a Windows shell."""


class LogReader:
    """One log. Iterate over it, once; then ask what was read.

    ``on_progress`` is called with the bytes read so far, every few thousand lines. Blocks.
    """

    def __init__(
        self, path: Path, *, lenient: bool = False, on_progress: Callable[[int], None] = lambda _bytes: None
    ) -> None:
        self.path = path
        self.lines = 0
        self.skipped = 0
        self.faults: list[RecordError] = []
        """The first few of the lines that were skipped."""
        self.torn = False
        self.started_at = ""
        """The first line's timestamp, as it is in the log."""
        self.shape: Shape | None = None
        self._interpreter: Interpreter | None = None
        self._lenient = lenient
        self._on_progress = on_progress

    def __iter__(self) -> Iterator[LogEvent]:
        """Yield an event for each line; ``RecordError`` for a bad line, or for a file without any good one."""
        first: RecordError | None = None
        with self.path.open("rb") as file:
            for line in self._read_lines(file):
                self.lines += 1
                try:
                    event = self._parse(line)
                    if self.lines == 1:
                        self._interpreter = interpreter_for(event)
                    yield event if self._interpreter is None else self._interpreter.see(event)
                except RecordError as error:
                    first = first or error
                    if not line.endswith(b"\n") and len(line) < MAX_LINE_BYTES:
                        self.torn = True
                        break
                    if not self._lenient:
                        raise
                    self.skipped += 1
                    if len(self.faults) < SHOWN_FAULTS:
                        self.faults.append(error)
        if self.shape is None:
            words = "an empty file" if first is None else f"a file without any; {first}"
            raise RecordError(1, f"expected records, got {words}")

    def _read_lines(self, file: BinaryIO) -> Iterator[bytes]:
        read_bytes = 0
        while line := file.readline(MAX_LINE_BYTES):
            read_bytes += len(line)
            if self.lines % REPORT_LINES == 0:
                self._on_progress(read_bytes)
            yield line
            while len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                line = file.readline(MAX_LINE_BYTES)  # the rest of what was refused already
                read_bytes += len(line)
        self._on_progress(read_bytes)

    def _parse(self, line: bytes) -> LogEvent:
        line_no = self.lines
        if line_no == 1 and line.startswith(BYTE_ORDER_MARK):
            line = line[len(BYTE_ORDER_MARK) :]
        if line_no == 1 and (found := next((NO_TEXT[begin] for begin in NO_TEXT if line.startswith(begin)), None)):
            raise RecordError(line_no, f"expected lines of JSON in UTF-8, got {found}")
        if len(line) >= MAX_LINE_BYTES:
            raise RecordError(line_no, f"expected a line of less than {MAX_LINE_BYTES} bytes, got a longer one")
        tree = parse_object(line, line_no)
        if self.shape is not None:
            return self.shape.read(tree, line_no)
        shape = recognise(tree, line_no)
        event = shape.read(tree, line_no)
        self.shape, self.started_at = shape, str(tree.get("timestamp"))
        return event
