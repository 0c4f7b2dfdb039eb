"""A finished query's result: rows as Arrow, and everything a reader must know to trust them."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from archipel import errors
from archipel.client.explanation import Explanation
from archipel.client.model import Crossing, MatchRate, NodeOutcome, Notice, receipts_from_wire
from archipel.v1 import query_pb2

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

ROWS_SHOWN = 20


@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """Rows and their provenance. ``complete`` is False when groups were or may be withheld, or a node is missing.

    ``explanation`` is set for ``EXPLAIN`` alone: its rows are the lines of the plan.
    """

    query_id: str
    table: pa.Table
    nodes: tuple[NodeOutcome, ...]
    notices: tuple[Notice, ...]
    receipts: tuple[str, ...]
    complete: bool
    merged_by: str
    elapsed_ms: float
    explanation: Explanation | None = None
    crossings: tuple[Crossing, ...] = ()
    """What left each node, and for whom."""
    request: str = ""
    """The signed request that this answers, and the permit that it was asked under; for ``save_receipts``."""
    permit: str = ""

    @classmethod
    def from_wire(cls, header: query_pb2.ResultHeader, table: pa.Table) -> Result:
        """Return the result of a header and the rows that followed it."""
        info = header.info
        return cls(
            header.query_id,
            table,
            tuple(NodeOutcome.from_wire(n) for n in info.nodes),
            tuple(Notice.from_wire(n) for n in info.notices),
            receipts_from_wire(list(info.receipts)),
            info.complete,
            info.merged_by,
            info.elapsed_ms,
            crossings=tuple(Crossing.from_wire(crossing) for crossing in info.crossings),
        )

    @property
    def match_rates(self) -> tuple[MatchRate, ...]:
        """How many persons matched between holders, where these tell it; rounded."""
        return tuple(notice.match_rate for notice in self.notices if notice.match_rate is not None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The notices as texts."""
        return tuple(notice.text for notice in self.notices)

    @property
    def bytes_crossed(self) -> int:
        """Bytes that left all nodes for this result."""
        return sum(node.bytes_crossed for node in self.nodes)

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table."""
        return self.table

    def to_batches(self, max_rows: int = 16_384) -> Iterator[pa.RecordBatch]:
        """Yield the rows as record batches."""
        yield from self.table.to_batches(max_chunksize=max_rows)

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas data frame; needs ``archipel[pandas]``."""
        _need("pandas")
        frame: pd.DataFrame = self.table.to_pandas()
        return frame

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a polars data frame; needs ``archipel[polars]``."""
        polars: Any = _need("polars")
        return polars.from_arrow(self.table)  # type: ignore[no-any-return]

    def to_parquet(self, path: str | Path) -> None:
        """Write the rows to a Parquet file."""
        import pyarrow.parquet as pq

        pq.write_table(self.table, path)

    def to_csv(self, path: str | Path) -> None:
        """Write the rows to a CSV file; lists and structures as text."""
        write_csv(self.table, str(path))

    def save_receipts(self, path: str | Path) -> None:
        """Write the nodes' receipts to a file, one a line, for ``archipel receipt verify``.

        Where they are known, the signed request and the permit stand behind them.
        """
        lines = (*self.receipts, *filter(None, (self.request, self.permit)))
        Path(path).write_text("".join(f"{token}\n" for token in lines), encoding="utf-8")

    df = to_pandas
    pl = to_polars

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        if self.explanation is not None:
            return str(self.explanation)
        return text_table(self.table) + "".join(f"\n! {notice.text}" for notice in self.notices)

    def _repr_html_(self) -> str:
        if self.explanation is not None:
            return self.explanation._repr_html_()
        names = "".join(f"<th>{html.escape(name)}</th>" for name in self.table.column_names)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in _cells(self.table)
        )
        more = f"<p>{self.table.num_rows:,} rows in all</p>" if self.table.num_rows > ROWS_SHOWN else ""
        notices = "".join(f"<p><b>!</b> {html.escape(notice.text)}</p>" for notice in self.notices)
        return f"<table><thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table>{more}{notices}"


def text_table(table: pa.Table, limit: int = ROWS_SHOWN) -> str:
    """Return the first rows as aligned text."""
    rows = [[printable(name) for name in table.column_names], *_cells(table, limit)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows[0] else []
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    shown = min(limit, table.num_rows)
    lines.append(f"({table.num_rows:,} rows{f', {shown} shown' if shown < table.num_rows else ''})")
    return "\n".join(lines)


def _cells(table: pa.Table, limit: int = ROWS_SHOWN) -> list[list[str]]:
    columns = [column.to_pylist() for column in table.slice(0, limit).columns]
    return [["NULL" if value is None else printable(value) for value in row] for row in zip(*columns, strict=True)]


def printable(value: object) -> str:
    """Return a value as text of one line; what would steer a terminal is shown as an escape instead.

    >>> printable("two\\nlines")
    'two\\\\nlines'
    """
    text = str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def write_csv(table: pa.Table, target: Any) -> None:
    """Write rows as CSV to a path or an open Arrow file; what CSV has no form for is written as text."""
    from pyarrow import csv

    for index, field in enumerate(table.schema):
        if pa.types.is_nested(field.type) or pa.types.is_interval(field.type) or pa.types.is_duration(field.type):
            texts = [None if value is None else str(value) for value in table.column(index).to_pylist()]
            table = table.set_column(index, field.name, pa.array(texts, pa.string()))
    csv.write_csv(table, target)


def _need(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as cause:
        raise errors.InterfaceError(
            errors.ErrorInfo(errors.BAD_REQUEST, f"{module} is not installed.", f"pip install 'archipel[{module}]'")
        ) from cause
