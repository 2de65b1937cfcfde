"""The WAV files that a call was played besides the agent's words: where the log says, or beside the log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

from voxpipe.config import Config
from voxpipe.replay.tape import NotReplayable, read_tape
from voxpipe.sansio.records import Record

CONFIGURED = ("welcome_wav", "reconnect_wav", "failure_wav")
PLAYED = frozenset({"leg.prompt", *(f"leg.{name}" for name in CONFIGURED)})


def played_prompts(records: Sequence[Record]) -> list[str]:
    """Return the path of each file that was played, in the order in which they first were."""
    paths = (record.event_data.get("path") for record in records if record.event_type in PLAYED)
    return list(dict.fromkeys(path for path in paths if isinstance(path, str)))


def beside(log: Path, number: int) -> Path:
    """Return where a log has the copy of a file it was played; ``number`` counts them from 0."""
    return log.with_name(f"{log.stem}.prompt-{number + 1}.wav")


def copies(log: Path) -> list[tuple[Path, str]]:
    """Return what a replay elsewhere needs: each file there is, and what its copy beside the log is called.

    ``RecordError`` and ``OSError`` as for ``read_tape``.
    """
    tape = read_tape(log)
    sides = [log.with_suffix(f".{side}.wav") for side in ("uplink", "downlink")]
    prompts = Prompts(log, tape.records, tape.line_nos)
    played = [(Path(prompts.of(path)), beside(log, number).name) for number, path in enumerate(prompts.found)]
    return [(path, path.name) for path in (log, *sides) if path.exists()] + played


class Prompts:
    """The files of one log. A copy beside the log goes first, since the file of today may be another one.

    ``NotReplayable`` for one that is in neither place.
    """

    def __init__(self, log: Path, records: Sequence[Record], line_nos: Sequence[int]) -> None:
        self.found: dict[str, str] = {}
        """Where each is today, by the path of then, in the order in which they were first played."""
        for number, path in enumerate(played_prompts(records)):
            places = (beside(log, number), Path(path))
            found = next((place for place in places if place.is_file()), None)
            if found is None:
                line_no = next(n for n, r in zip(line_nos, records, strict=True) if r.event_data.get("path") == path)
                raise NotReplayable(line_no, f"expected the WAV file that was played, {path} or {places[0]}, got none")
            self.found[path] = str(found)
        refused = {record.event_type.partition(".")[2] for record in records if "error" in record.event_data}
        self._refused = refused & set(CONFIGURED)

    def of(self, path: str) -> str:
        """Return where a file that was played is now; any other path as it is."""
        return self.found.get(path, path)

    def configured(self, config: Config) -> Config:
        """Put the places of today into a configuration; a file that could not be played then is left out."""
        paths = {name: getattr(config.leg, name) for name in CONFIGURED}
        places: dict[str, Any] = {name: "" if name in self._refused else self.of(path) for name, path in paths.items()}
        return attrs.evolve(config, leg=attrs.evolve(config.leg, **places))
