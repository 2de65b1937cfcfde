"""The table of calls as a Parquet file, and SQL over it: the only file that names the database.

DuckDB reads and writes Parquet itself and is an embedded SQL engine, in one wheel of 24 MB; pyarrow has 55 MB and no
SQL. Its version 2 changed what a relation is, so only connections are used, which are as they were.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs
import orjson

from voxpipe.analysis.fleet import COLUMNS, ERRORS_TYPE, SCHEMA_VERSION, LogFile
from voxpipe.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

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


class FleetTable:
    """The table of the last run in memory, to be brought up to date and written. Use it in ``with``."""

    def __init__(self, path: Path) -> None:
        """Read the table, where there is one; ``ConfigError`` when the file is something else, or DuckDB is missing."""
        self.path = path
        self.read_by: dict[str, tuple[LogFile, str]] = {}
        """By path: each log as it was when it was read, and by what."""
        self.unreadable: dict[str, Unreadable] = {}
        self._connection = _connect()
        columns = ", ".join(f"{column.name} {column.type}" for column in COLUMNS)
        self._connection.execute(f"CREATE TABLE calls ({columns})")
        if path.exists():
            self._load()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._connection.close()

    def _load(self) -> None:
        with _reading(self.path) as name:
            found = _metadata(self._connection, self.path, name)
            if found["schema"] != SCHEMA_VERSION:
                return  # its rows mean something else: all logs are read anew
            self._connection.execute("INSERT INTO calls BY NAME SELECT * FROM read_parquet(?)", [name])
        known = self._connection.execute("SELECT log, size_bytes, mtime_ns, reader FROM calls").fetchall()
        self.read_by = {log: (LogFile(log, size, mtime), reader) for log, size, mtime, reader in known}
        self.unreadable = {one["log"]: Unreadable(**one) for one in found["unreadable"]}

    def drop(self, logs: Collection[str]) -> None:
        """Take the rows of these logs out."""
        self._connection.execute("DELETE FROM calls WHERE log IN (SELECT unnest(?::VARCHAR[]))", [list(logs)])

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        """Put rows in."""
        for begin in range(0, len(rows), ROWS_AT_A_TIME):
            batch = orjson.dumps(rows[begin : begin + ROWS_AT_A_TIME]).decode()
            self._connection.execute(INSERT.format("calls"), [batch, SHAPE])

    def write(self, unreadable: Collection[Unreadable]) -> None:
        """Replace the file by what is in memory: as a whole or, where that fails (``ConfigError``), not at all."""
        import duckdb

        metadata = {"schema": SCHEMA_VERSION, "unreadable": [attrs.asdict(one) for one in unreadable]}
        # A name of its own, so that two runs at once each write a whole table; the later one stays.
        draft = self.path.absolute().with_name(f".{self.path.name}.{secrets.token_hex(8)}")
        options = f"FORMAT parquet, COMPRESSION zstd, KV_METADATA {{'{METADATA_KEY}': {_quoted(metadata)}}}"
        try:
            target = str(draft).replace("'", "''")
            self._connection.execute(f"COPY (FROM calls ORDER BY began, log) TO '{target}' ({options})")
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            draft.replace(self.path)
        except (duckdb.Error, OSError, UnicodeEncodeError) as error:
            raise ConfigError(str(self.path), f"expected room for a table, got: {error}") from error
        finally:
            with suppress(OSError):
                draft.unlink()

    def count(self, condition: str = "true") -> int:
        """Count the rows for which a condition holds."""
        found = self._connection.execute(f"SELECT count(*) FROM calls WHERE {condition}").fetchall()
        return int(found[0][0])


@attrs.frozen
class Answer:
    """What SQL came to: the names of the columns, and the rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def ask(path: Path, sql: str) -> Answer:
    """Ask one question of the table ``calls``, and of ``unreadable`` beside it.

    SQL works on a copy in memory, in a transaction that only reads, and reaches no file and no network. ``ConfigError``
    when the file is no table of ours, or with the database's own words and the place where SQL is wrong.
    """
    connection = _connect()
    import duckdb

    try:
        _fill(connection, path)
        for setting in SEALED:
            connection.execute(setting)
        connection.execute("BEGIN TRANSACTION READ ONLY")
        statements = connection.extract_statements(sql)
        kind = statements[0].type.name if len(statements) == 1 else f"{len(statements)} statements"
        if kind not in READING:
            raise ConfigError("SQL", f"expected one SELECT, got {kind}: the table can only be read")
        result = connection.execute(statements[0])
        described = result.description or []
        zoned = [name for name, type_, *_ in described if "TIME ZONE" in str(type_)]
        if zoned:  # to fetch these DuckDB needs another package
            raise ConfigError("SQL", f"expected times without a zone (cast as timestamp), got {', '.join(zoned)}")
        return Answer([name for name, *_ in described], result.fetchall())
    except (duckdb.Error, UnicodeEncodeError) as error:
        raise ConfigError("SQL", str(error)) from error
    finally:
        connection.close()


def _fill(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    with _reading(path) as name:
        unreadable = _metadata(connection, path, name)["unreadable"]
        connection.execute("CREATE TABLE calls AS FROM read_parquet(?)", [name])
    columns = ", ".join(f"{name} {type_}" for name, type_ in UNREADABLE_TYPES.items())
    connection.execute(f"CREATE TABLE unreadable ({columns})")
    shape = orjson.dumps([UNREADABLE_TYPES]).decode()
    connection.execute(INSERT.format("unreadable"), [orjson.dumps(unreadable).decode(), shape])


def _connect() -> duckdb.DuckDBPyConnection:
    try:
        import duckdb
    except ImportError:
        words = "expected the package duckdb, got none: python -m pip install 'voxpipe[fleet]'"
        raise ConfigError("index", words) from None
    return duckdb.connect(":memory:", config=OFFLINE)


@contextmanager
def _reading(path: Path) -> Iterator[str]:
    """Name an open file so that its name is no pattern, and that it is the same one when it is read twice."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigError(str(path), f"expected a table that voxpipe index wrote, got: {error.strerror}") from None
    with file:
        yield f"/proc/self/fd/{file.fileno()}"


def _metadata(connection: duckdb.DuckDBPyConnection, path: Path, name: str) -> dict[str, Any]:
    import duckdb

    refusal = "expected a table that voxpipe index wrote, got {}: it is left as it is"
    select = "SELECT value FROM parquet_kv_metadata(?) WHERE key = ?"
    try:
        found = connection.execute(select, [name, METADATA_KEY.encode()]).fetchall()
    except duckdb.Error:
        raise ConfigError(str(path), refusal.format("no Parquet file")) from None
    if not found:
        raise ConfigError(str(path), refusal.format("a Parquet file of others"))
    metadata: dict[str, Any] = orjson.loads(found[0][0])
    return metadata


def _quoted(metadata: dict[str, Any]) -> str:
    return "'" + orjson.dumps(metadata).decode().replace("'", "''") + "'"
