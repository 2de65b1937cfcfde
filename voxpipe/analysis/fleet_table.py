"""The table of calls as a Parquet file, and SQL over it: the only file that names the database.

DuckDB reads and writes Parquet itself and is an embedded SQL engine, in one wheel of 24 MB; pyarrow has 55 MB and no
SQL. Its version 2 changed what a relation is, so only connections are used, which are as they were.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import attrs
import orjson

from voxpipe.analysis.fleet import COLUMNS, ERRORS_TYPE, SCHEMA_VERSION, LogFile
from voxpipe.errors import ConfigError

METADATA_KEY = "voxpipe.fleet"
TYPES = {"VARCHAR[]": ["VARCHAR"], ERRORS_TYPE: [{"kind": "VARCHAR", "code": "VARCHAR", "count": "BIGINT"}]}
SHAPE = orjson.dumps([{column.name: TYPES.get(column.type, column.type) for column in COLUMNS}]).decode()
UNREADABLE_TYPES = {
    "log": "VARCHAR",
    "size_bytes": "BIGINT",
    "mtime_ns": "BIGINT",
    "reader": "VARCHAR",
    "trouble": "VARCHAR",
}
INSERT = "INSERT INTO {} SELECT unnest(json_transform_strict(?::JSON, ?), max_depth := 2)"
ROWS_AT_A_TIME = 500
"""So many rows are put in with one statement; ten thousand would be thirty megabytes of text."""
OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}
SEALED = (
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
"""No Python variables for tables, no files and no network, and no way to have them again."""
READING = ("SELECT", "EXPLAIN", "MULTI")
"""The kinds of statement that may be asked; a PIVOT is several in one."""


@attrs.frozen
class Unreadable:
    """A log that gave no row, and why; an ``mtime_ns`` of 0 has it tried again the next time."""

    log: str
    size_bytes: int
    mtime_ns: int
    reader: str
    trouble: str


@attrs.frozen
class Answer:
    """What SQL came to: the names of the columns, their types, and the rows."""

    columns: list[str]
    types: list[str]
    rows: list[tuple[Any, ...]]


class _Database:
    """A database in memory. Use it in ``with``; ``ConfigError`` when DuckDB is missing."""

    def __init__(self) -> None:
        try:
            import duckdb
        except ImportError:
            words = "expected the package duckdb, got none: python -m pip install 'voxpipe[fleet]'"
            raise ConfigError("voxpipe[fleet]", words) from None
        self.error: type[Exception] = duckdb.Error
        self._connection = duckdb.connect(":memory:", config=OFFLINE)
        self._thread = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._thread.shutdown()
        self._connection.close()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> Answer:
        """Run one statement to its end, or to Ctrl-C, which in the main thread DuckDB would not always hear."""
        sql.encode()  # UnicodeEncodeError for a lone surrogate, of which DuckDB says that it is no text
        running = self._thread.submit(self._run, sql, parameters)
        try:
            return running.result()
        except KeyboardInterrupt:
            while not running.done():  # it may not even have begun
                self._connection.interrupt()
                wait([running], timeout=0.05)
            raise

    def kinds(self, sql: str) -> list[str]:
        """Tell of what kind each statement in a text is."""
        sql.encode()
        return [str(statement.type).rpartition(".")[2] for statement in self._connection.extract_statements(sql)]

    def _run(self, sql: str, parameters: Sequence[Any]) -> Answer:
        result = self._connection.execute(sql, list(parameters))
        described = result.description or []
        types = [str(type_) for _, type_, *_ in described]
        zoned = [name for (name, *_), type_ in zip(described, types, strict=True) if "TIME ZONE" in type_]
        if zoned:  # to fetch these DuckDB needs another package
            raise ConfigError("SQL", f"expected times without a zone (cast as timestamp), got {', '.join(zoned)}")
        return Answer([name for name, *_ in described], types, result.fetchall())


class FleetTable:
    """The table of the last run in memory, to be brought up to date and written. Use it in ``with``."""

    def __init__(self, path: Path) -> None:
        """Read the table, where there is one; ``ConfigError`` when the file is something else, or DuckDB is missing."""
        self.path = path
        self.read_by: dict[str, tuple[LogFile, str]] = {}
        """By path: each log as it was when it was read, and by what."""
        self.unreadable: dict[str, Unreadable] = {}
        with ExitStack() as opened:
            self._database = opened.enter_context(_Database())
            columns = ", ".join(f"{column.name} {column.type}" for column in COLUMNS)
            self._database.run(f"CREATE TABLE calls ({columns})")
            if path.exists():
                self._load()
            opened.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._database.__exit__()

    def _load(self) -> None:
        with _reading(self.path) as name:
            found = _metadata(self._database, self.path, name)
            if found["schema"] != SCHEMA_VERSION:
                words = f"expected a table of schema {SCHEMA_VERSION}, got {found['schema']}: remove it, and index anew"
                raise ConfigError(str(self.path), words)
            self._database.run("INSERT INTO calls BY NAME SELECT * FROM read_parquet(?)", [name])
        known = self._database.run("SELECT log, size_bytes, mtime_ns, reader FROM calls")
        self.read_by = {log: (LogFile(log, size, mtime), reader) for log, size, mtime, reader in known.rows}
        self.unreadable = {one["log"]: Unreadable(**one) for one in found["unreadable"]}

    def drop(self, logs: Collection[str]) -> None:
        """Take the rows of these logs out."""
        self._database.run("DELETE FROM calls WHERE log IN (SELECT unnest(?::VARCHAR[]))", [list(logs)])

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Put rows in."""
        self._database.run(INSERT.format("calls"), [orjson.dumps(rows).decode(), SHAPE])

    def write(self, unreadable: Collection[Unreadable]) -> None:
        """Replace the file by what is in memory: as a whole or, where that fails (``ConfigError``), not at all."""
        metadata = {"schema": SCHEMA_VERSION, "unreadable": [attrs.asdict(one) for one in unreadable]}
        # A name of its own, so that two runs at once each write a whole table; the later one stays.
        draft = self.path.absolute().with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        options = f"FORMAT parquet, COMPRESSION zstd, KV_METADATA {{'{METADATA_KEY}': {_quoted(metadata)}}}"
        try:
            target = str(draft).replace("'", "''")
            self._database.run(f"COPY (FROM calls ORDER BY began, log) TO '{target}' ({options})")
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            draft.replace(self.path)
        except (self._database.error, OSError, UnicodeEncodeError) as error:
            raise ConfigError(str(self.path), f"expected to write a table there, got: {error}") from error
        finally:
            with suppress(OSError):
                draft.unlink()

    def count(self, condition: str = "true") -> int:
        """Count the rows for which a condition holds."""
        found = self._database.run(f"SELECT count(*) FROM calls WHERE {condition}")
        return int(found.rows[0][0])


def ask(path: Path, sql: str) -> Answer:
    """Ask one question of the table ``calls``, and of ``unreadable`` beside it.

    SQL works on a copy in memory, in a transaction that only reads, and reaches no file and no network. ``ConfigError``
    when the file is no table of ours, or with the database's own words and the place where SQL is wrong.
    """
    with _Database() as database:
        try:
            _fill(database, path)
            for setting in SEALED:
                database.run(setting)
            database.run("BEGIN TRANSACTION READ ONLY")
            kinds = database.kinds(sql)
            if len(kinds) != 1 or kinds[0] not in READING:
                got = ", ".join(kinds) or "no statement"
                raise ConfigError("SQL", f"expected one SELECT, got {got}: the table can only be read")
            return database.run(sql)
        except (database.error, UnicodeEncodeError) as error:
            raise ConfigError("SQL", str(error)) from error


def _fill(database: _Database, path: Path) -> None:
    with _reading(path) as name:
        unreadable = _metadata(database, path, name)["unreadable"]
        database.run("CREATE TABLE calls AS FROM read_parquet(?)", [name])
    columns = ", ".join(f"{name} {type_}" for name, type_ in UNREADABLE_TYPES.items())
    database.run(f"CREATE TABLE unreadable ({columns})")
    shape = orjson.dumps([UNREADABLE_TYPES]).decode()
    database.run(INSERT.format("unreadable"), [orjson.dumps(unreadable).decode(), shape])


@contextmanager
def _reading(path: Path) -> Iterator[str]:
    """Name an open file so that its name is no pattern, and that it is the same one when it is read twice."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigError(str(path), f"expected a table that voxpipe index wrote, got: {error.strerror}") from None
    with file:
        yield f"/proc/self/fd/{file.fileno()}"


def _metadata(database: _Database, path: Path, name: str) -> dict[str, Any]:
    refusal = "expected a table that voxpipe index wrote, got {}: it is left as it is"
    select = "SELECT value FROM parquet_kv_metadata(?) WHERE key = ?"
    try:
        found = database.run(select, [name, METADATA_KEY.encode()]).rows
    except database.error:
        raise ConfigError(str(path), refusal.format("no Parquet file")) from None
    if not found:
        raise ConfigError(str(path), refusal.format("a Parquet file of others"))
    metadata: dict[str, Any] = orjson.loads(found[0][0])
    return metadata


def _quoted(metadata: dict[str, Any]) -> str:
    return "'" + orjson.dumps(metadata).decode().replace("'", "''") + "'"
