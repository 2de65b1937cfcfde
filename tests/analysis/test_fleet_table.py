"""The table as a file: written whole or not at all, asked in SQL that can do nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from faulty_logs import no_transcription, plain
from plain_log import conversation

from voxpipe.analysis import fleet_table
from voxpipe.analysis.fleet import Reading, read_row
from voxpipe.analysis.fleet_table import Answer, FleetTable, Unreadable, ask
from voxpipe.errors import ConfigError

UNREADABLE = Unreadable("/logs/o'clock.jsonl", 3, 4, "reader", 'line 1: expected {"it\'s"}')


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, Any]]:
    """The rows of a good call and of a bad one."""
    good = conversation(plain()).write(tmp_path / "good's.jsonl")
    bad = no_transcription().write(tmp_path / "bad.jsonl")
    return [read_row(path, Reading()) for path in (good, bad)]


@pytest.fixture
def table(tmp_path: Path, rows: list[dict[str, Any]]) -> Path:
    """The same as a file, whose name would be a pattern to the database."""
    path = tmp_path / "call's[1]*.parquet"
    with FleetTable(path) as made:
        made.add(rows)
        made.write([UNREADABLE])
    return path


def test_what_was_put_in_comes_out(table: Path, rows: list[dict[str, Any]]) -> None:
    """Every value of every column, lists and unknown ones included."""
    answer = ask(table, "SELECT * REPLACE (began::VARCHAR AS began) FROM calls ORDER BY log DESC")
    assert [dict(zip(answer.columns, row, strict=True)) for row in answer.rows] == rows
    assert ask(table, "FROM unreadable").rows == [
        (UNREADABLE.log, UNREADABLE.size_bytes, UNREADABLE.mtime_ns, UNREADABLE.reader, UNREADABLE.trouble)
    ]


def test_a_table_is_taken_up_again(table: Path, rows: list[dict[str, Any]]) -> None:
    """Another run knows each log by path, size, time and reader; rows are taken out and put in."""
    with FleetTable(table) as again:
        assert {log: reader for log, (_, reader) in again.read_by.items()} == {r["log"]: r["reader"] for r in rows}
        assert {file.mtime_ns for file, _ in again.read_by.values()} == {row["mtime_ns"] for row in rows}
        assert again.unreadable == {UNREADABLE.log: UNREADABLE}
        again.drop([rows[0]["log"]])
        assert again.count() == 1
        again.add(rows[:1])
        again.write([])
    assert ask(table, "SELECT count(*), (SELECT count(*) FROM unreadable) FROM calls").rows == [(2, 0)]


def test_the_order_of_reading_leaves_no_trace(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    """Two tables of the same rows are the same bytes."""
    for name, given in (("a", rows), ("b", rows[::-1])):
        with FleetTable(tmp_path / name) as made:
            made.add(given)
            made.write([])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("content", [b"", b"timestamp,leg\n", b"PAR1" + bytes(90) + b"PAR1"])
def test_a_file_of_others_is_refused_and_left(tmp_path: Path, content: bytes) -> None:
    """Neither index nor query takes it for a table, and index does not replace it."""
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    for use in (FleetTable, lambda path: ask(path, "FROM calls")):
        with pytest.raises(ConfigError, match="expected a table that voxpipe index wrote, got no Parquet file"):
            use(path)
    assert path.read_bytes() == content


def test_a_parquet_file_of_others_is_refused(tmp_path: Path) -> None:
    """Even one with a table of the right shape: it was not made from logs by us."""
    import duckdb

    path = tmp_path / "other.parquet"
    duckdb.connect(":memory:").execute(f"COPY (SELECT 1 AS log) TO '{path}' (FORMAT parquet)").close()
    with pytest.raises(ConfigError, match="got a Parquet file of others: it is left as it is"):
        FleetTable(path)


def test_a_table_of_another_schema_is_refused(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows may mean something else, so they are not mixed with new ones."""
    monkeypatch.setattr(fleet_table, "SCHEMA_VERSION", 2)
    with pytest.raises(ConfigError, match="expected a table of schema 2, got 1: remove it, and index anew"):
        FleetTable(table)


WRITES = [
    "DELETE FROM calls",
    "UPDATE calls SET leg = ''",
    "INSERT INTO calls SELECT * FROM calls",
    "DROP TABLE calls",
    "CREATE TABLE other AS SELECT 1",
    "CREATE TEMP TABLE other AS SELECT 1",
    "WITH gone AS (DELETE FROM calls RETURNING *) SELECT * FROM gone",
    "EXPLAIN ANALYZE DELETE FROM calls",
    "COPY calls TO '{folder}/out.csv'",
    "EXPORT DATABASE '{folder}/out'",
    "ATTACH '{folder}/out.db'",
    "SELECT 1; DROP TABLE calls",
    "SET enable_external_access = true",
    "INSTALL httpfs",
    "LOAD httpfs",
    "COMMIT",
    "CALL pragma_version()",
]
READS = [
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM '{folder}/call''s[1]*.parquet'",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM read_blob('http://127.0.0.1:9/x')",
    "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
    "SELECT * FROM UNREADABLE_PYTHON",
    "SELECT getenv('HOME')",
]
UNREADABLE_PYTHON = {"secret": [1]}
"""What a database in Python would take for a table, by its name."""


@pytest.mark.parametrize("sql", WRITES + READS)
def test_sql_can_only_read_the_table(table: Path, tmp_path: Path, sql: str) -> None:
    """No change, no file, no network, no variable of Python, no other setting; and no file appears."""
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError, match=r"^SQL: "):
        ask(table, sql.format(folder=tmp_path))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT nope FROM calls", 'column "nope" not found'),
        ("SELECT leg FROM nowhere", "nowhere does not exist"),
        ("SELECT log FROM calls WHERE lasted_s > ?", "parameters"),
        ("SELECT leg, count(*) FROM calls", "GROUP BY"),
        ("SELECT now() AS clock", "expected times without a zone (cast as timestamp), got clock"),
        ("SELECT '\udce9'", "surrogates not allowed"),
        ("", "expected one SELECT, got no statement"),
        ("SELECT 1; SELECT 2", "expected one SELECT, got SELECT, SELECT"),
    ],
)
def test_wrong_sql_is_said_in_the_words_of_the_database(table: Path, sql: str, words: str) -> None:
    """One error that names the thing, with the line and a mark under the place where it has one."""
    with pytest.raises(ConfigError) as caught:
        ask(table, sql)
    assert words in str(caught.value)
    if "nope" in sql:
        line, mark = str(caught.value).splitlines()[-2:]
        assert line.index("nope") == mark.index("^")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1, 'two'", [(1, "two")]),
        ("FROM calls SELECT count(*)", [(2,)]),
        ("SELECT count(*) FROM (SELECT unnest(failed) FROM calls)", [(2,)]),
        ("SELECT began::DATE::VARCHAR FROM calls GROUP BY 1", [("2026-03-01",)]),
        ("SELECT count(*) FROM (DESCRIBE calls) WHERE column_name = 'errors'", [(1,)]),
    ],
)
def test_questions_are_answered(table: Path, sql: str, expected: list[tuple[Any, ...]]) -> None:
    """Whatever only reads."""
    assert ask(table, sql).rows == expected
    assert isinstance(ask(table, f"EXPLAIN {sql}"), Answer)


def test_without_the_package_the_command_to_install_it_is_told(tmp_path: Path) -> None:
    """Where DuckDB is not installed, in so many words; and importing the module needs none."""
    code = (
        "import sys; sys.modules['duckdb'] = None\n"
        "from pathlib import Path\nfrom voxpipe.analysis.fleet_table import FleetTable\n"
        "FleetTable(Path('none.parquet'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "expected the package duckdb, got none: python -m pip install 'voxpipe[fleet]'" in done.stderr
