"""Making nodes' partials alike before they are merged: types, key values, and the shard index.

Partials come from nodes and are not trusted: what does not have the agreed columns is refused. Nothing here computes an
aggregate, and no message holds a value, nor a name or type that a node made up.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from archipel import errors
from coordinator.merge.executor import MergeInput
from coordinator.plan import SHARD_COLUMN


def prepared(source: MergeInput, keys: tuple[str, ...]) -> tuple[pa.Table, ...]:
    """Return the tables with the agreed plain types, canonical keys and ``SHARD_COLUMN``; at least one table.

    They come in the order of their shards, in whatever order the nodes delivered. Encodings of the same values
    (dictionaries, large and view types, names inside lists, names of the one time zone) become one. In key columns
    -0.0 becomes 0.0 and every NaN the same NaN.

    Raises:
        ArchipelError: MERGE_FAILED when a node's columns are not those agreed.
    """
    agreed = _plain_schema(source.schema)
    if len(source.tables) != len(source.shards):
        raise errors.error(errors.INTERNAL, "Partials and shard indexes differ in number.")
    if len(set(source.shards)) != len(source.shards):
        raise errors.error(errors.INTERNAL, "Partials of one site would be counted twice.")
    if SHARD_COLUMN in agreed.names or not set(keys) <= set(agreed.names):
        raise errors.error(errors.INTERNAL, "The columns of an exchange do not fit its merge stage.")
    tables = [
        _with_shard(_conforming(table, agreed, keys, shard), shard)
        for shard, table in sorted(zip(source.shards, source.tables, strict=True), key=lambda pair: pair[0])
    ]
    return tuple(tables) or (_with_shard(agreed.empty_table(), 0),)


def _conforming(table: pa.Table, agreed: pa.Schema, keys: tuple[str, ...], shard: int) -> pa.Table:
    if table.num_columns != len(agreed):
        raise _unlike(shard, f"has {table.num_columns} columns in place of {len(agreed)}")
    columns = []
    for index, field in enumerate(agreed):
        column = table.column(index)
        if table.field(index).name != field.name:
            raise _unlike(shard, f"has another column in the place of {field.name!r}")
        try:
            known = plain_type(column.type) == field.type
            column = column if column.type == field.type else _decoded(column, field.type) if known else None
        except (pa.ArrowException, ValueError) as cause:
            raise _unlike(shard, f"has a column {field.name!r} that cannot be read") from cause
        if column is None:
            raise _unlike(shard, f"has a column {field.name!r} that is not of type {field.type}")
        columns.append(_canonical(column) if field.name in keys and _has_floats(field.type) else column)
    return pa.Table.from_arrays(columns, schema=agreed)


def _unlike(shard: int, how: str) -> errors.ArchipelError:
    return errors.error(
        errors.MERGE_FAILED,
        f"What site {shard} of the stage delivered {how}.",
        hint="The node may run another version; its operator finds its version with 'archipel nodes'.",
    )


def _with_shard(table: pa.Table, shard: int) -> pa.Table:
    """Return the table with ``SHARD_COLUMN``.

    A plain column: filters that the engine pushes into its scan have no kernel for run-end encoding.
    """
    return table.append_column(SHARD_COLUMN, pa.repeat(pa.scalar(shard, pa.int32()), table.num_rows))


def _plain_schema(schema: pa.Schema) -> pa.Schema:
    if len(set(schema.names)) != len(schema.names):
        raise errors.error(errors.INTERNAL, "Two columns of an exchange have the same name.")
    return pa.schema([pa.field(field.name, plain_type(field.type)) for field in schema])


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the one type that stands for all encodings of the same values.

    >>> plain_type(pa.dictionary(pa.int8(), pa.large_string()))
    DataType(string)
    """
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return pa.timestamp(kind.unit, "UTC")
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(plain_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, plain_type(field.type)) for field in kind])
    return kind


def _decoded(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        column = pa.chunked_array([c.dictionary_decode() for c in column.chunks], type=column.type.value_type)
    return column.cast(kind)


def _has_floats(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or (pa.types.is_list(kind) and _has_floats(kind.value_type))


def _canonical(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([_canonical_array(chunk) for chunk in column.chunks], type=column.type)


def _canonical_array(array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_list(kind):
        if array.null_count:
            array = pa.concat_arrays([array])
        values = _canonical_array(array.values)
        return pa.ListArray.from_arrays(array.offsets, values, mask=array.is_null() if array.null_count else None).cast(
            kind
        )
    nan = pa.scalar(float("nan"), kind)
    return pc.if_else(pc.is_nan(array), nan, pc.add(array, pa.scalar(0.0, kind)))
