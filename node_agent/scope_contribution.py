"""A contributor's side of a round: its numbers, what it sends of them, and its veto. Computes; sends nothing itself."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from archipel import errors, masking, sealing
from archipel.border.decision import Masked, MaskedCount, Release
from archipel.border.masked import LABEL
from archipel.border.measures import Populations
from archipel.masking import Masker, Numbers, Places, Shape, Words
from archipel.rounds import LABEL_BYTES, Round, Step
from node_agent import scope_ledger
from node_agent.ledger_rows import Groups
from node_agent.scope_messages import Demands, Description

MAX_GROUPS = 2_000_000
"""Of one round: the numbers of one node then take about a gigabyte."""

DOMINANT_SHARE = 0.9
"""A node strikes a group of which it has more than this share: the total would show its own number."""

_KEY_TYPES = (
    pa.types.is_string,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_decimal,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_timestamp,
)

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each number stands among a round's numbers.

    Words are, for each count of persons, its rows, the nodes that have some, and persons at least; then for each sum
    its value, or for a wide one a random number that is zero only where no node has a value. Marks are the bitmaps of
    the counts, wides the wide sums.
    """

    counts: int
    bitmaps: int
    wide: tuple[bool, ...]

    @classmethod
    def of(cls, description: Description) -> Layout:
        """Return the layout of what contributors describe."""
        kinds = [number_type(text) for text in description.types]
        bitmaps = {len(count.bitmaps) for count in description.masked.counts}
        return cls(len(description.masked.counts), bitmaps.pop(), tuple(not pa.types.is_integer(k) for k in kinds))

    def shape(self, groups: int) -> Shape:
        """Return the shape of one node's numbers."""
        return Shape(groups, self.counts * self.bitmaps, 3 * self.counts + len(self.wide), sum(self.wide))

    def word(self, number: int) -> int:
        """Return which column of words is that of a sum."""
        return 3 * self.counts + number

    def wide_column(self, number: int) -> int:
        """Return which column of wides is that of a wide sum."""
        return sum(self.wide[:number])


def number_type(text: str) -> pa.DataType:
    """Return the type of sums that has a name in Arrow's spelling.

    Raises:
        ArchipelError: EXCHANGE_REFUSED when sums have no such type.
    """
    kinds = {str(kind): kind for kind in (pa.int64(), pa.int32(), pa.uint32(), pa.uint64(), pa.float64())}
    kinds |= {str(kind): kind for kind in (pa.decimal128(38, scale) for scale in range(39))}
    if text not in kinds:
        raise sealing.refused("its numbers are of a type that is not added up")
    return kinds[text]


@dataclass(frozen=True, slots=True)
class Shown:
    """The totals that contributors are shown of the groups that pass: ``groups`` are their places in the list.

    ``words``, ``low`` and ``high`` have a row for each column of the layout, ``bitmaps`` of the buckets with somebody.
    """

    groups: Places
    words: Words
    low: Words
    high: Words
    bitmaps: Words

    PARTS = ("groups", "words", "low", "high", "bitmaps")

    def to_parts(self) -> dict[str, bytes]:
        """Return the parts of a message."""
        arrays = (self.groups, self.words, self.low, self.high, self.bitmaps)
        return {name: a.astype("<u8").tobytes() for name, a in zip(self.PARTS, arrays, strict=True)}

    @classmethod
    def from_parts(cls, parts: dict[str, bytes], layout: Layout, listed: int) -> Shown:
        """Return what ``to_parts`` wrote.

        Raises:
            ArchipelError: EXCHANGE_REFUSED when it does not fit.
        """
        groups = places_from(parts["groups"], listed)
        shape = layout.shape(len(groups))
        rows = (shape.words, shape.wides, shape.wides, shape.marks)
        try:
            found = [
                np.frombuffer(parts[name], "<u8").astype(np.uint64).reshape(count, len(groups))
                for name, count in zip(cls.PARTS[1:], rows, strict=True)
            ]
        except ValueError:
            raise sealing.refused("its totals are of another shape") from None
        return cls(groups, *found)


def strikes_shape(groups: int) -> Shape:
    """Return the shape of the strikes of one node."""
    return Shape(groups, 0, 1, 0)


def places_from(content: bytes, listed: int) -> Places:
    """Return places in the list of groups, each once, in order.

    Raises:
        ArchipelError: EXCHANGE_REFUSED.
    """
    if len(content) % 8:
        raise sealing.refused("it names groups in another way")
    places = np.frombuffer(content, "<u8").astype(np.int64)
    if len(places) and (places.min() < 0 or places.max() >= listed or (np.diff(places) <= 0).any()):
        raise sealing.refused("it names groups that are not in the list")
    return places


@dataclass(slots=True)
class Contribution:
    """One node's part of one round, from its labels to their opening. Lives in memory only."""

    round: Round
    node: str
    release: Release
    table: pa.Table
    secret: bytes = field(repr=False)
    seed: bytes = field(default=b"", repr=False)
    """The key under which these contributors hash persons whenever totals are compared."""
    compares: bool = False
    """Whether this node wants the total to be compared with earlier ones."""
    state: str = ""
    """In which state its data was when the statement ran."""
    compared: bool = False
    """Whether the aggregator compares it."""
    one_time: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    done: Step = Step.LABELS
    where: Places = field(default_factory=lambda: np.zeros(0, np.int64))
    listed: int = 0
    allowed: Places = field(default_factory=lambda: np.zeros(0, np.int64))
    """The groups that it was shown and did not strike."""
    _masker: Masker | None = None

    def __post_init__(self) -> None:
        self.table = self.table.combine_chunks()
        if self.table.num_rows > MAX_GROUPS:
            raise errors.error(errors.RESULT_TOO_LARGE, f"A total over nodes has at most {MAX_GROUPS:,} groups.")
        for name in self.masked.keys:
            kind = self.table.schema.field(name).type
            if not any(known(kind) for known in _KEY_TYPES):
                raise errors.error(
                    errors.SQL_UNSUPPORTED,
                    "A group of a total over nodes is named by texts, whole numbers, decimals and dates.",
                    hint="Cast what the query groups by to one of these.",
                )

    @property
    def masked(self) -> Masked:
        """What the statement's columns are."""
        assert self.release.masked is not None
        return self.release.masked

    @property
    def description(self) -> Description:
        """What this node says that its numbers are."""
        schema = self.table.schema
        types = tuple(str(schema.field(name).type) for name in self.masked.sums)
        key_types = tuple(str(schema.field(name).type) for name in self.masked.keys)
        return Description(self.masked, types, key_types, scope_ledger.kinds(self.release.populations))

    @property
    def demands(self) -> Demands:
        """What this node demands of the total."""
        minimums = tuple(count.minimum for count in self.masked.counts)
        state = scope_ledger.state_of(self.seed, self.state)
        told = self.release.tell_withheld_count
        return Demands(minimums, self.release.min_persons, told, self.compares, state)

    @property
    def layout(self) -> Layout:
        """Where its numbers stand."""
        return Layout.of(self.description)

    # Labels

    def labels(self) -> dict[str, bytes]:
        """Return the parts of its message of labels; their order says nothing."""
        return {
            "description": self.description.to_bytes(),
            "demands": self.demands.to_bytes(),
            "key": self.one_time.public_key().public_bytes_raw(),
            "check": masking.check_of(self.secret, self.round.digest),
            "labels": masking.sorted_labels(self._labels()),
        }

    def _labels(self) -> bytes:
        return b"".join(self.table.column(LABEL).to_pylist())

    # Values

    def values(
        self, keys: bytes, listed: bytes, own: X25519PrivateKey, peers: dict[str, X25519PublicKey]
    ) -> dict[str, bytes]:
        """Return the parts of its message of masked numbers, for the list of groups and everybody's one-time keys.

        Groups of its own that are not in the list, because too few nodes have them, it forgets.

        Raises:
            ArchipelError: EXCHANGE_REFUSED when its key is not among the keys; NODE_EXECUTION when a number cannot be
                added up exactly.
        """
        nodes = self.round.contributors
        size = len(self.one_time.public_key().public_bytes_raw())
        if len(keys) != size * len(nodes):
            raise sealing.refused("it has another number of keys")
        one_time = {node: keys[size * i : size * (i + 1)] for i, node in enumerate(nodes)}
        if one_time.pop(self.node) != self.one_time.public_key().public_bytes_raw():
            raise sealing.refused("it does not have this node's key")
        agreed = self.round.agreed({**one_time, self.node: self.one_time.public_key().public_bytes_raw()})
        try:
            places, there = masking.positions(self._labels(), listed)
            self.where, self.table = places[there], self.table.filter(pa.array(there)).combine_chunks()
            self.listed = len(listed) // LABEL_BYTES
            numbers = self._numbers()
            bound = masking.bound(agreed, self.secret, listed)
            masker = Masker(self.node, own, self.one_time, peers, one_time, bound)
            self._masker = masker
            return {"agreed": agreed, "numbers": masker.masked(numbers).to_bytes()}
        except masking.NotCarried:
            raise _not_carried() from None
        except ValueError:
            raise sealing.refused("its list of groups or its keys are not as they should be") from None

    def _numbers(self) -> Numbers:
        layout = self.layout
        numbers = Numbers.zeros(layout.shape(self.listed))
        words = numbers.words.reshape(-1, self.listed)
        marks = numbers.marks.reshape(layout.counts * layout.bitmaps, -1)
        for number, count in enumerate(self.masked.counts):
            rows = self._rows(count)
            words[3 * number][self.where] = rows
            words[3 * number + 1][self.where] = rows > 0
            words[3 * number + 2][self.where] = self._least(count)
            for part, name in enumerate(count.bitmaps):
                placed = masking.placed(self._column(name), self.where, self.listed)
                marks[layout.bitmaps * number + part] = masking.marks_of(placed)
        lows, highs = numbers.low.reshape(-1, self.listed), numbers.high.reshape(-1, self.listed)
        for number, name in enumerate(self.masked.sums):
            if not layout.wide[number]:
                words[layout.word(number)][self.where] = self._column(name)
                continue
            column = layout.wide_column(number)
            low, high = self._wide(name)
            lows[column][self.where], highs[column][self.where] = low, high
            words[layout.word(number)][self.where] = masking.signs_of(self._valid(name))
        return numbers

    # The veto

    def veto(self, shown: Shown, read: Callable[[Populations], Groups] | None = None) -> dict[str, bytes]:
        """Return the parts of its message that say, masked, which of the groups shown it strikes, and who is in them.

        A random word stands for a strike and 0 for none, so that the sum over all nodes says whether anybody struck,
        and not who. ``read`` runs a statement of populations, where the total is compared with earlier ones.
        """
        assert self._masker is not None
        try:
            struck = self._struck(shown)
        except masking.NotCarried:
            raise _not_carried() from None
        self.allowed = shown.groups[~struck]
        numbers = Numbers.zeros(strikes_shape(len(struck)))
        numbers.words[...] = masking.signs_of(struck)
        parts = {"struck": self._masker.again("veto").masked(numbers).to_bytes(), "sketches": b""}
        if self.compared and read is not None:
            asked = self.release.populations
            sketches = [scope_ledger.sketched(read(one), one, self.table) for one in asked]
            kinds = scope_ledger.kinds(asked)
            own = scope_ledger.numbers_of(sketches, kinds, self.where, self.listed, shown.groups)
            parts["sketches"] = self._masker.again("sketches").masked(own).to_bytes()
        return parts

    def _struck(self, shown: Shown) -> Flags:
        layout, groups = self.layout, shown.groups
        struck = np.zeros(len(groups), np.bool_)

        def own(column: Words) -> Words:
            return masking.placed(column, self.where, self.listed)[groups]

        for number, count in enumerate(self.masked.counts):
            rows, total = own(self._rows(count)), shown.words[3 * number]
            struck |= _dominates(rows.astype(np.float64), total.astype(np.float64))
            # What the others' persons are at least, if somebody takes this node's away from the total.
            nodes = shown.words[3 * number + 1].astype(np.float64)
            least = shown.words[3 * number + 2].astype(np.float64) - own(self._least(count)).astype(np.float64)
            apart = np.zeros(len(groups), np.float64)
            for part, name in enumerate(count.bitmaps):
                others = shown.bitmaps[layout.bitmaps * number + part] & ~own(self._column(name))
                apart += masking.filled(others)
            others_persons = np.maximum(apart, np.ceil(least / np.maximum(nodes - 1, 1)))
            struck |= (rows > 0) & (others_persons < count.minimum)
        totals = {}
        for number, name in enumerate(self.masked.sums):
            if layout.wide[number]:
                low, high = self._wide(name)
                column = layout.wide_column(number)
                totals[name] = masking.as_floats(shown.low[column], shown.high[column])
                struck |= _dominates(masking.as_floats(own(low), own(high)), totals[name])
            else:
                totals[name] = shown.words[layout.word(number)].astype(np.float64)
                struck |= _dominates(own(self._column(name)).astype(np.float64), totals[name])
        for spread in self.masked.spreads:
            for name in spread.parts:
                size = masking.as_floats(*(own(half) for half in self._wide(name)))
                struck |= (size != 0) & (size > spread.share * np.abs(totals[spread.sum]))
        return struck

    # Opening

    def opened(self, left: Places) -> dict[str, bytes]:
        """Return the part of its message that says what the groups that are left are called, of those it has.

        Raises:
            ArchipelError: EXCHANGE_REFUSED when one was never shown to it, or was struck by it.
        """
        if not np.isin(left, self.allowed).all():
            raise sealing.refused("it asks for groups that this node was not shown, or has struck")
        mine = np.isin(self.where, left)
        kept = self.table.select(list(self.masked.keys)).filter(pa.array(mine))
        named = kept.append_column(PLACE, pa.array(self.where[mine], pa.int64()))
        named = named.take(pc.sort_indices(named.column(PLACE)))
        return {"groups": to_ipc(named)}

    # Columns of the statement

    def _column(self, name: str) -> Words:
        column = self._array(name)
        words: Words = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.uint64)
        return words

    def _array(self, name: str) -> pa.Array:
        column = self.table.column(name)
        return column.chunk(0) if column.num_chunks else pa.array([], column.type)

    def _valid(self, name: str) -> Flags:
        valid: Flags = self._array(name).is_valid().to_numpy(zero_copy_only=False)
        return valid

    def _rows(self, count: MaskedCount) -> Words:
        return self._column(count.rows)

    def _least(self, count: MaskedCount) -> Words:
        bits = [masking.filled(self._column(name)) for name in count.bitmaps]
        total: Words = np.sum(bits, axis=0, dtype=np.uint64)
        return total

    def _wide(self, name: str) -> tuple[Words, Words]:
        return masking.halves_of(self._array(name), len(self.round.contributors))


PLACE = "archipel_place"
"""The column of an opened group's place in the list."""


def to_ipc(table: pa.Table) -> bytes:
    """Return a table as one Arrow stream."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def from_ipc(content: bytes) -> pa.Table:
    """Return the table in an Arrow stream, checked.

    Raises:
        ArchipelError: EXCHANGE_REFUSED.
    """
    try:
        table: Any = pa.ipc.open_stream(content).read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError):
        raise sealing.refused("what it calls its groups cannot be read") from None
    return table


def _not_carried() -> errors.ArchipelError:
    text = "A sum is too large, or not a number, so that it cannot be added up exactly."
    return errors.error(errors.NODE_EXECUTION, text)


def _dominates(own: npt.NDArray[np.float64], total: npt.NDArray[np.float64]) -> Flags:
    """Return where an own number is more than its share of a total; of what is negative, the size counts."""
    found: Flags = (own != 0) & (np.abs(own) > DOMINANT_SHARE * np.abs(total))
    return found
