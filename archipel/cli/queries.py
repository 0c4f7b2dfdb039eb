"""Commands of the researcher: query, explain, tables, nodes, queries, cancel."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from archipel import errors
from archipel.cli.exits import Exit, exit_code, show
from archipel.explain.statement import PlanForm

if TYPE_CHECKING:
    import pyarrow as pa

    from archipel.client import Connection
    from archipel.request import Privacy

Address = Annotated[str, typer.Option(envvar="ARCHIPEL_ADDRESS", help="Coordinator as host:port.")]
PermitFile = Annotated[Path, typer.Option(envvar="ARCHIPEL_PERMIT", help="Permit file.")]
KeyFile = Annotated[Path, typer.Option(envvar="ARCHIPEL_KEY", help="Researcher's identity file.")]
Sql = Annotated[str | None, typer.Argument(help="The SQL; without it, --file or the standard input is read.")]
SqlFile = Annotated[Path | None, typer.Option("--file", "-f", help="Read the SQL from a file.")]
Params = Annotated[list[str] | None, typer.Option("--param", help="Value for the next ?, or NAME=VALUE for $name.")]
Dialect = Annotated[str, typer.Option(help="Dialect the SQL is written in.")]
Epsilon = Annotated[float | None, typer.Option(help="Ask for differential privacy with this epsilon at each node.")]
GroupsPerPerson = Annotated[int | None, typer.Option(min=1, help="With --epsilon: most groups that a person is in.")]
RowsPerPerson = Annotated[int | None, typer.Option(min=1, help="With --epsilon: most rows of a person in a group.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TableFormat = Literal["table", "csv", "json", "parquet", "arrow"]

_NAMED = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


def register(app: typer.Typer) -> None:
    """Add the commands to the root."""
    app.command()(query)
    app.command()(explain)
    app.command()(tables)
    app.command()(nodes)
    app.command()(queries)
    app.command()(cancel)


def query(
    address: Address,
    permit: PermitFile,
    key: KeyFile,
    sql: Sql = None,
    file: SqlFile = None,
    param: Params = None,
    dialect: Dialect = "duckdb",
    output_format: Annotated[TableFormat, typer.Option("--format", help="Form of the output.")] = "table",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file.")] = None,
    on_missing: Annotated[Literal["fail", "partial"], typer.Option(help="When a node is away.")] = "fail",
    threshold_scope: Annotated[
        Literal["node", "federation"], typer.Option(help="Whose persons thresholds count: each node's, or all nodes'.")
    ] = "node",
    epsilon: Epsilon = None,
    groups_per_person: GroupsPerPerson = None,
    rows_per_person: RowsPerPerson = None,
    timeout: Annotated[float, typer.Option(help="Seconds until the query is ended.")] = 300.0,
    max_rows: Annotated[int | None, typer.Option(min=0, help="More rows than this are an error.")] = None,
    require_complete: Annotated[
        bool, typer.Option(help=f"End with code {Exit.INCOMPLETE:d} when groups were withheld or a node is missing.")
    ] = False,
    receipts: Annotated[
        Path | None, typer.Option(help="Write the nodes' receipts to a file, with request and permit.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notices.")] = False,
) -> None:
    """Ask a question and print the answer."""
    text = _sql(sql, file)
    privacy = _privacy(epsilon, groups_per_person, rows_per_person)
    with _connected(address, permit, key) as connection, _explained(text):
        result = connection.query(
            text,
            parameters_from(param),
            dialect=dialect,
            on_missing=on_missing,
            threshold_scope=threshold_scope,
            privacy=privacy,
            timeout_s=timeout,
            max_rows=max_rows,
            progress=False if quiet else None,
        ).result()
    if result.explanation is not None and output_format == "table":
        write_text(str(result.explanation), output)
    else:
        write(result.to_arrow(), output_format, output)
    if receipts is not None:
        with _writing(receipts):
            result.save_receipts(receipts)
    if not quiet:
        for notice in result.notices:
            print(f"{notice.kind}: {notice.text}", file=sys.stderr)
    if require_complete and not result.complete:
        raise typer.Exit(Exit.INCOMPLETE)


def explain(
    address: Address,
    permit: PermitFile,
    key: KeyFile,
    sql: Sql = None,
    file: SqlFile = None,
    param: Params = None,
    dialect: Dialect = "duckdb",
    analyze: Annotated[bool, typer.Option("--analyze", help="Run the query, and show what was measured.")] = False,
    query_id: Annotated[str | None, typer.Option(help="The plan of a query of yours, instead of SQL.")] = None,
    plan_format: Annotated[PlanForm | None, typer.Option("--format", help="Form of the plan.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    on_missing: Annotated[Literal["fail", "partial"], typer.Option(help="When a node is away.")] = "fail",
    threshold_scope: Annotated[
        Literal["node", "federation"], typer.Option(help="Whose persons thresholds count: each node's, or all nodes'.")
    ] = "node",
    epsilon: Epsilon = None,
    groups_per_person: GroupsPerPerson = None,
    rows_per_person: RowsPerPerson = None,
    timeout: Annotated[float, typer.Option(help="Seconds until an analyzed query is ended.")] = 300.0,
) -> None:
    """Print the plan of a query: stages, sites, what crosses which border and why it may, and what it took."""
    form: PlanForm | None = "json" if as_json else plan_format
    if query_id is not None and (sql is not None or file is not None or analyze):
        raise typer.BadParameter("give --query-id alone: that query was planned before")
    text = "" if query_id is not None else _sql(sql, file)
    privacy = _privacy(epsilon, groups_per_person, rows_per_person)
    with _connected(address, permit, key) as connection, _explained(text):
        if query_id is not None:
            plan = connection.explain_query(query_id, format=form or "text")
        else:
            plan = connection.explain(
                text,
                parameters_from(param),
                analyze=analyze,
                format=form,
                dialect=dialect,
                on_missing=on_missing,
                threshold_scope=threshold_scope,
                privacy=privacy,
                timeout_s=timeout,
            )
        written = str(plan)
    write_text(written, output)


def tables(
    address: Address,
    permit: PermitFile,
    key: KeyFile,
    like: Annotated[str | None, typer.Argument(help="Pattern with % and _.")] = None,
    columns: Annotated[bool, typer.Option(help="Show columns too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the tables: who holds them and what may leave."""
    with _connected(address, permit, key) as connection:
        found = connection.tables(like)
    if as_json:
        _print_json(
            [
                {
                    "name": t.name,
                    "description": t.table.description,
                    "nodes": t.nodes,
                    "withdrawn_at": t.withdrawn_at,
                    "policy": t.policy_text,
                    "columns": [{"name": c.name, "type": c.type, "description": c.description} for c in t.columns],
                }
                for t in found
            ]
        )
        return
    for t in found:
        print(f"{t.name}  [{', '.join(t.nodes)}]  {t.policy_text}  {t.table.description}")
        if t.conflict is not None:
            print(f"  ! {t.conflict}")
        if t.withdrawn_at:
            print(f"  ! not offered now by {', '.join(t.withdrawn_at)}")
        for c in t.columns if columns else ():
            print(f"    {c.name:24} {c.type:16} {t.table.policy.role_of(c.name).value:8} {c.description}")


def nodes(address: Address, permit: PermitFile, key: KeyFile, as_json: AsJson = False) -> None:
    """List the nodes and whether they are attached."""
    with _connected(address, permit, key) as connection:
        found = connection.nodes()
    if as_json:
        _print_json(
            [
                {
                    "name": n.name,
                    "holder": n.holder,
                    "attached": n.attached,
                    "tables": n.tables,
                    "withdrawn_tables": n.withdrawn_tables,
                }
                for n in found
            ]
        )
        return
    for n in found:
        seen = f"last seen {n.last_seen:%Y-%m-%d %H:%M:%S} UTC" if n.last_seen else "never seen"
        print(f"{n.name:20} {'attached' if n.attached else 'away':10} {n.tables:4} tables  {seen}  {n.holder}")
        if n.withdrawn_tables:
            print(f"  ! not offered now: {', '.join(n.withdrawn_tables)}")


def queries(
    address: Address,
    permit: PermitFile,
    key: KeyFile,
    limit: Annotated[int, typer.Option(min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """List your own queries, newest first."""
    from archipel.client.result import printable

    with _connected(address, permit, key) as connection:
        found = connection.queries(limit)
    if as_json:
        _print_json(
            [{"query_id": q.query_id, "state": q.state, "sql": q.sql, "created": str(q.created)} for q in found]
        )
        return
    for q in found:
        created = f"{q.created:%Y-%m-%d %H:%M:%S}" if q.created else "-"
        print(f"{q.query_id}  {q.state:10} {created:19}  {printable(' '.join(q.sql.split())[:80])}")


def cancel(address: Address, permit: PermitFile, key: KeyFile, query_id: Annotated[str, typer.Argument()]) -> None:
    """Cancel a query, also in the nodes' engines."""
    with _connected(address, permit, key) as connection:
        print(connection.cancel(query_id))


def _connected(address: str, permit: Path, key: Path) -> Connection:
    from archipel.client import connect

    return connect(address, permit=permit, key=key)


@contextlib.contextmanager
def _explained(sql: str) -> Iterator[None]:
    """Show an error with its place in the SQL and end with its exit code."""
    try:
        yield
    except errors.ArchipelError as problem:
        show(problem, sql)
        raise typer.Exit(exit_code(problem)) from None


def _privacy(epsilon: float | None, groups: int | None, rows: int | None) -> Privacy | None:
    from pydantic import ValidationError

    from archipel.request import Privacy

    if epsilon is None:
        if groups is not None or rows is not None:
            raise typer.BadParameter("--groups-per-person and --rows-per-person go with --epsilon")
        return None
    try:
        return Privacy(epsilon=epsilon, groups_per_person=groups, rows_per_person=rows)
    except ValidationError as cause:
        raise typer.BadParameter(f"--epsilon: {cause.errors()[0]['msg']}") from None


def _sql(sql: str | None, file: Path | None) -> str:
    if sql is not None and file is not None:
        raise typer.BadParameter("give the SQL or --file, not both")
    if sql is not None:
        return sql
    if file is not None:
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as cause:
            raise typer.BadParameter(f"{file} cannot be read as text") from cause
    if sys.stdin.isatty():
        raise typer.BadParameter("give the SQL, --file, or the SQL on the standard input")
    return sys.stdin.read()


def parameters_from(texts: list[str] | None) -> list[Any] | dict[str, Any]:
    """Return the values of ``--param``: by name when all are NAME=VALUE, else in order.

    >>> parameters_from(["year=2023", "region=Bretagne", 'code="007"'])
    {'year': 2023, 'region': 'Bretagne', 'code': '007'}
    """
    named = [_NAMED.match(text) for text in texts or []]
    if named and all(named):
        return {match[1]: _value(match[2]) for match in named if match}
    if any(named):
        raise typer.BadParameter("give all of --param as NAME=VALUE, or none of them")
    return [_value(text) for text in texts or []]


def _value(text: str) -> Any:
    """Return what JSON makes of the text: a number, true, false, null or a quoted text; else the text itself."""
    try:
        value = json.loads(text, parse_constant=lambda _: text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, str | int | float | bool) else text


def write(table: pa.Table, form: str, output: Path | None) -> None:
    """Write a result in one of the forms, to a file or the standard output."""
    if form in {"parquet", "arrow"} and output is None and sys.stdout.isatty():
        raise typer.BadParameter(f"{form} is binary: name a file with --output, or redirect the output")
    with _writing(output):
        if form in {"table", "json"}:
            _write_text(table, form, output)
        else:
            _write_binary(table, form, output)


@contextlib.contextmanager
def _writing(output: Path | None) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as cause:
        raise typer.BadParameter(f"{output or 'the output'} cannot be written: {cause.strerror}") from cause


def _write_binary(table: pa.Table, form: str, output: Path | None) -> None:
    import pyarrow as pa

    with pa.OSFile(str(output), "wb") if output else pa.PythonFile(_Standard(), mode="w") as sink:
        if form == "csv":
            from archipel.client.result import write_csv

            write_csv(table, sink)
        elif form == "parquet":
            import pyarrow.parquet as pq

            pq.write_table(table, sink)
        else:
            with pa.ipc.new_file(sink, table.schema) as writer:
                writer.write_table(table)


class _Standard(io.RawIOBase):
    """The standard output for a writer that closes what it has written to."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return sys.stdout.buffer.write(data)

    def flush(self) -> None:
        sys.stdout.buffer.flush()


def _write_text(table: pa.Table, form: str, output: Path | None) -> None:
    from archipel.client.result import text_table

    write_text(text_table(table, limit=table.num_rows) if form == "table" else _json_rows(table), output)


def write_text(text: str, output: Path | None) -> None:
    """Write text to a file or the standard output."""
    if output is None:
        print(text)
        return
    with _writing(output):
        output.write_text(text + "\n", encoding="utf-8")


def _json_rows(table: pa.Table) -> str:
    """Return a list of objects. Two columns of one name are numbered: an object would keep only one of them."""
    names: list[str] = []
    for name in table.column_names:
        unique, again = name, 0
        while unique in names:
            again += 1
            unique = f"{name}_{again}"
        names.append(unique)
    rows = table.rename_columns(names).to_pylist()
    return json.dumps([_jsonable(row) for row in rows], default=str, ensure_ascii=False, indent=1)


def _jsonable(value: Any) -> Any:
    """Return what JSON can hold: it knows neither NaN nor infinity, nor bytes."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=1, default=str, ensure_ascii=False))
