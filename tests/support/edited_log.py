"""Logs of real calls with one thing changed: what a fault would have left in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import attrs

from voxpipe.sansio.records import Record

Edit = Callable[[Record], Record | None]


def write_records(path: Path, records: Iterable[Record], *, keep_seq: bool = False) -> Path:
    """Write records as a log, numbered anew unless they are to keep their numbers."""
    lines = (
        record.to_line() if keep_seq else attrs.evolve(record, seq=seq).to_line() for seq, record in enumerate(records)
    )
    path.write_bytes(b"".join(lines))
    return path


def edited(records: Iterable[Record], edit: Edit) -> list[Record]:
    """Change records, or leave them out where ``edit`` returns ``None``."""
    return [changed for record in records if (changed := edit(record)) is not None]


def with_data(event_type: str, **changes: object) -> Edit:
    """Change data of all records of one type."""

    def edit(record: Record) -> Record:
        if record.event_type != event_type:
            return record
        return attrs.evolve(record, event_data={**record.event_data, **changes})

    return edit


def without(event_type: str) -> Edit:
    """Leave out all records of one type."""
    return lambda record: None if record.event_type == event_type else record
