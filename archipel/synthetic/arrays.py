"""Turns numpy arrays into Arrow arrays of the types that the tables have; text goes as dictionary codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from archipel.synthetic.calendar import DAY_ZERO
from archipel.synthetic.tables import TableSpec

Ints: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]

PSEUDONYM_CHARACTERS = 17
_ALPHABET = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", dtype=np.uint8)


def text(codes: Ints, words: Sequence[str] | pa.Array, null: Bools | None = None) -> pa.DictionaryArray:
    """Return ``words[codes]``, NULL where ``null``."""
    dictionary = words if isinstance(words, pa.Array) else pa.array(list(words), pa.string())
    indices = pa.array(codes.astype(np.int32, copy=False), mask=null)
    return pa.DictionaryArray.from_arrays(indices, dictionary)


def used_text(codes: Ints, words: pa.Array, null: Bools | None = None) -> pa.DictionaryArray:
    """Return ``words[codes]`` with a dictionary of those words only that occur: a file must not name anybody else."""
    occurring = codes if null is None else codes[~null]
    used = np.unique(occurring)
    return text(np.searchsorted(used, codes).clip(0, max(len(used) - 1, 0)), words.take(pa.array(used)), null)


def constant(word: str, rows: int) -> pa.DictionaryArray:
    """Return the same text in every row."""
    return text(np.zeros(rows, np.int32), [word])


def number(values: npt.NDArray[Any], null: Bools | None = None) -> pa.Array:
    """Return numbers, NULL where ``null``."""
    return pa.array(values, mask=null)


def cents(values: Ints, null: Bools | None = None) -> pa.Array:
    """Return amounts given in cents as DECIMAL(9,2)."""
    wide = np.empty((len(values), 2), dtype=np.int64)  # a decimal128 is two little-endian words
    wide[:, 0] = values
    wide[:, 1] = wide[:, 0] >> 63
    valid = None if null is None else pa.array(~null).buffers()[1]
    return pa.Array.from_buffers(pa.decimal128(9, 2), len(values), [valid, pa.py_buffer(wide)])


def date(days: Ints, null: Bools | None = None) -> pa.Array:
    """Return days since the start of the world as DATE."""
    return pa.array((days + DAY_ZERO).astype(np.int32), mask=null).cast(pa.date32())


def pseudonyms(identities: npt.NDArray[np.uint64], seed: int, domain: int) -> pa.Array:
    """Return texts of 17 characters that are a keyed one-to-one image of ``identities``.

    Two rounds of the splitmix64 finaliser (Steele, Lea and Flood, OOPSLA 2014), a bijection of 64 bits, make eleven
    characters and so uniqueness; the other six come from a third round. This is no cryptography: nobody is hidden here.
    """
    key = np.uint64((seed * 0x9E3779B97F4A7C15 + domain * 0xD1B54A32D192ED03) % 2**64)
    first = _mix(_mix(identities ^ key) + key)
    second = _mix(first ^ np.uint64(0xA0761D6478BD642F))
    places = [(first, 6 * place) for place in range(11)] + [(second, 6 * place) for place in range(6)]
    digits = np.empty((len(identities), PSEUDONYM_CHARACTERS), dtype=np.uint8)
    for column, (word, shift) in enumerate(places):
        digits[:, column] = (word >> np.uint64(shift)) & np.uint64(63)
    letters = _ALPHABET[digits]
    offsets = np.arange(len(identities) + 1, dtype=np.int32) * PSEUDONYM_CHARACTERS
    return pa.StringArray.from_buffers(len(identities), pa.py_buffer(offsets), pa.py_buffer(letters))


def _mix(word: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = word ^ (word >> np.uint64(31))
    return mixed


def table(spec: TableSpec, columns: dict[str, pa.Array]) -> pa.Table:
    """Return the columns in the order and with the types of ``spec``; a missing or surplus one is a fault."""
    names = [column.name for column in spec.columns]
    if set(names) != set(columns):
        raise ValueError(f"{spec.name}: columns differ: {sorted(set(names) ^ set(columns))}")
    arrays = []
    for column in spec.columns:
        array = columns[column.name]
        arrays.append(array if pa.types.is_dictionary(array.type) else array.cast(column.type))
    return pa.table(arrays, names=names)
