"""Arrow in frames: what goes in comes out, in slices of one size, and noise is refused."""

from __future__ import annotations

import contextlib
import datetime as dt
import decimal
import random
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archipel import errors, frames

TABLE = pa.table(
    {
        "i": pa.array([1, None, 3], pa.int64()),
        "h": pa.array([decimal.Decimal(2**100), None, decimal.Decimal(-1)], pa.decimal128(38, 0)),
        "s": ["é", None, ""],
        "d": [dt.date(2023, 1, 1), None, dt.date(1900, 1, 1)],
        "l": [[1, 2], None, []],
        "f": [0.1, None, float("inf")],
    }
)


@pytest.mark.parametrize("compress", [False, True])
def test_a_table_survives(compress: bool) -> None:
    assert frames.decode_table(frames.encode_table(TABLE, compress=compress)).equals(TABLE)


@given(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.none() | st.text(st.characters(codec="utf-8")))))
def test_any_rows_survive(rows: list[tuple[int, str | None]]) -> None:
    table = pa.table(
        {"n": pa.array([n for n, _ in rows], pa.int64()), "t": pa.array([t for _, t in rows], pa.string())}
    )
    assert frames.decode_table(frames.encode_table(table)).equals(table)
    assert pa.Table.from_batches(frames.decode_batches(iter(frames.encode_table(table))), table.schema).equals(table)


def test_frames_have_one_size_but_the_last() -> None:
    table = pa.table({"n": pa.array(range(400_000), pa.int64())})
    parts = list(frames.encode_table(table))
    assert {len(part) for part in parts[:-1]} == {frames.FRAME_BYTES}
    assert 0 < len(parts[-1]) <= frames.FRAME_BYTES
    assert frames.decode_table(parts).equals(table)


def test_a_table_without_rows_or_columns_survives() -> None:
    for table in (TABLE.slice(0, 0), pa.table({})):
        assert frames.decode_table(frames.encode_table(table)).equals(table)


def test_batches_are_decoded_as_they_arrive() -> None:
    table = pa.table({"n": pa.array(range(200_000), pa.int64())})
    parts = list(frames.encode_table(table))
    taken: list[int] = []

    def arriving() -> Iterator[bytes]:
        for number, part in enumerate(parts):
            taken.append(number)
            yield part

    reader = frames.decode_batches(arriving())
    first = next(iter(reader))
    assert first.num_rows == frames.BATCH_ROWS
    assert len(taken) < len(parts)


@pytest.mark.parametrize("noise", [[], [b""], [b"hello"], [b"\xff" * 100], [b"\xff\xff\xff\xff\x00\x00\x00\x00"]])
def test_noise_is_refused(noise: list[bytes]) -> None:
    with pytest.raises(errors.ProgrammingError) as problem:
        frames.decode_table(noise)
    assert problem.value.code == "BAD_REQUEST"


def test_a_stream_that_is_cut_or_damaged_is_refused_or_whole_but_never_crashes() -> None:
    whole = b"".join(frames.encode_table(TABLE))
    chance = random.Random(7)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        cut = bytes(damaged[: chance.randint(0, len(damaged))])
        for decode in (
            lambda data: frames.decode_table([data]),
            lambda data: list(frames.decode_batches(iter([data]))),
        ):
            with contextlib.suppress(errors.ProgrammingError):
                decode(cut)
