"""The commands for thousands of calls: ``index`` and ``query``; their work is in fleet_commands.

Exit status: 0 all is well, 1 some logs cannot be read, 2 it could not run as asked (SQL that is wrong included).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

Flag = Annotated[bool, Parameter(negative=())]
Sql = Annotated[str, Parameter(allow_leading_hyphen=True)]
"""It may begin with a comment."""
TABLE = Path("calls.parquet")


def register(app: App) -> None:
    """Add the commands to the command."""
    app.command(index_command, name="index")
    app.command(query_command, name="query")


# DuckDB and what reads logs are imported when they are to be used: a gateway has no use for them.


def index_command(
    *folders: Path,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = TABLE,
    jobs: int | None = None,
    keep: Flag = False,
    slo: Path | None = None,
    lenient: Flag = False,
    schema: Flag = False,
) -> int:
    """Make one table of thousands of logs, a row a call, as a Parquet file; needs voxpipe[fleet].

    A second run reads only what is new: logs of the same size and time of change, read by the same release with the
    same limits, keep their rows. Logs that are gone lose theirs. The file is replaced as a whole at the end, or, at an
    interrupt or an error, left as it was. Logs that cannot be read are told, and are in the table `unreadable`.

    Parameters
    ----------
    folders
        Folders of logs, with the folders in them (*.jsonl; the gateway's own are left out).
    output
        The Parquet file.
    jobs
        Processes that read; by default one a core, or one when there is little to read.
    keep
        Keep the rows of logs that are gone, too.
    slo
        TOML file with the limits to judge by, as for check.
    lenient
        Skip lines that are no records, and count them.
    schema
        Print the columns with type, unit and meaning instead, and end.
    """
    from voxpipe import fleet_commands

    if schema:
        return fleet_commands.print_schema()
    return fleet_commands.index_logs(folders, output, jobs=jobs, keep=keep, slo=slo, lenient=lenient)


def query_command(sql: Sql, *, table: Path = TABLE, json: Flag = False, csv: Flag = False) -> int:
    """Ask a table of calls in SQL (DuckDB's): the tables are calls and unreadable; needs voxpipe[fleet].

    The question works on a copy, and reaches no file and no network.

    Parameters
    ----------
    sql
        One SELECT: select model, count(*) from calls group by model. voxpipe index --schema prints the columns.
    table
        File that voxpipe index wrote.
    json
        Print a list of objects, a row each.
    csv
        Print comma-separated values, names first.
    """
    from voxpipe import fleet_commands

    return fleet_commands.query_table(sql, table, json=json, csv=csv)
