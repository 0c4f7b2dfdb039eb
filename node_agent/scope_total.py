"""The aggregator's side of a round: sums of what it cannot read one by one, the threshold, and the groups released.

Computes; sends nothing itself. It learns the totals of all groups, but what the groups are called only of those that
are released.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from archipel import errors, masking, sealing
from archipel.border.decision import MaskedOutput
from archipel.masking import Numbers, Places
from archipel.rounds import LABEL_BYTES, MIN_CONTRIBUTORS, Round, Step
from node_agent import scope_ledger
from node_agent.ledger_sketch import Sketches, Sums
from node_agent.scope_contribution import (
    MAX_GROUPS,
    PLACE,
    Flags,
    Layout,
    Shown,
    from_ipc,
    number_type,
    strikes_shape,
)
from node_agent.scope_messages import Demands, Description

COMPARED = b"compared"
"""What the list says where totals are compared with earlier ones."""

_KEY_BYTES = 32


@dataclass(slots=True)
class Total:
    """One round's total, from the list of groups to their release. Lives in memory only."""

    round: Round
    description: Description
    layout: Layout
    minimums: tuple[int, ...]
    min_persons: int
    tell_withheld_count: bool
    keys: bytes
    listed: bytes
    """The groups that three nodes or more have: what others have is never added up, since it would be theirs alone."""
    known: int
    """How many groups there are at all."""
    states: Mapping[str, str]
    """What tells each contributor's state of the data."""
    compared: bool
    """Whether the total is compared with earlier ones."""
    done: Step = Step.LIST
    passing: Places = field(default_factory=lambda: np.zeros(0, np.int64))
    left: Places = field(default_factory=lambda: np.zeros(0, np.int64))
    _numbers: Numbers | None = None
    _sketches: Sums | None = None

    @property
    def groups(self) -> int:
        """How many groups there are in the list."""
        return len(self.listed) // LABEL_BYTES

    @property
    def withheld(self) -> int:
        """How many groups are not released."""
        return self.known - len(self.left)

    # The list

    @classmethod
    def begun(
        cls, round_: Round, messages: Mapping[str, Mapping[str, bytes]], min_persons: int, *, compare: bool = False
    ) -> Total:
        """Return the total of contributors' messages of labels; ``min_persons`` is the least that it may demand.

        It is compared with earlier ones when this node, ``compare``, or any contributor wants it.

        Raises:
            ArchipelError: EXCHANGE_REFUSED when their numbers would not add up, RESULT_TOO_LARGE.
        """
        contents = {message["description"] for message in messages.values()}
        if len(contents) > 1:
            raise sealing.refused("the nodes' numbers are not of one kind, or their persons of one domain")
        description = Description.from_bytes(contents.pop())
        counts = len(description.masked.counts)
        if not counts or len({len(c.bitmaps) for c in description.masked.counts} - {round_.bitmaps}):
            raise sealing.refused("it counts persons in another way")
        demanded = {node: Demands.from_bytes(message["demands"]) for node, message in messages.items()}
        demands = list(demanded.values())
        if len({message["check"] for message in messages.values()}) > 1:
            raise sealing.refused("the nodes do not have the same secret")
        keys = [messages[node]["key"] for node in round_.contributors]
        if any(len(d.minimums) != counts for d in demands) or any(len(key) != _KEY_BYTES for key in keys):
            raise sealing.refused("it does not say what it demands")
        try:
            labels = (message["labels"] for message in messages.values())
            listed, known = masking.union_of(labels, nodes=MIN_CONTRIBUTORS)
        except ValueError:
            raise sealing.refused("its labels are none") from None
        if known > MAX_GROUPS:
            raise errors.error(errors.RESULT_TOO_LARGE, f"A total over nodes has at most {MAX_GROUPS:,} groups.")
        least = max(min_persons, *(d.min_persons for d in demands))
        return cls(
            round=round_,
            description=description,
            layout=Layout.of(description),
            minimums=tuple(max(least, *several) for several in zip(*(d.minimums for d in demands), strict=True)),
            min_persons=least,
            tell_withheld_count=all(d.tell_withheld_count for d in demands),
            keys=b"".join(keys),
            listed=listed,
            known=known,
            states={node: demand.state for node, demand in demanded.items()},
            compared=compare or any(demand.compare for demand in demands),
        )

    def list_parts(self) -> dict[str, bytes]:
        """Return the parts of the message of the list."""
        return {"keys": self.keys, "labels": self.listed, "compare": COMPARED if self.compared else b""}

    # The sums

    def add_up(self, messages: Iterable[Mapping[str, bytes]]) -> dict[str, bytes]:
        """Return the parts of the message of totals, of the groups that pass, from all contributors' masked numbers.

        Raises:
            ArchipelError: EXCHANGE_REFUSED when they do not fit together.
        """
        nodes = self.round.contributors
        agreed = self.round.agreed({n: self.keys[_KEY_BYTES * i : _KEY_BYTES * (i + 1)] for i, n in enumerate(nodes)})
        shape = self.layout.shape(self.groups)
        numbers = Numbers.zeros(shape)
        for message in messages:
            if message["agreed"] != agreed:
                raise sealing.refused("it was masked for another round")
            try:
                numbers.add(Numbers.from_bytes(message["numbers"], shape))
            except ValueError:
                raise sealing.refused("its numbers are of another shape") from None
        self._numbers = numbers
        self.passing = np.flatnonzero(self._passes(numbers))
        return self._shown(numbers).to_parts()

    def _passes(self, numbers: Numbers) -> Flags:
        """Return which groups every count of persons lets pass, at three nodes or more; one of them has somebody."""
        words = numbers.words.reshape(-1, self.groups)
        bitmaps = self._bitmaps(numbers)
        passes, somebody = np.ones(self.groups, np.bool_), np.zeros(self.groups, np.bool_)
        for number, count in enumerate(self.description.masked.counts):
            rows, nodes = words[3 * number], words[3 * number + 1]
            own = bitmaps[self.layout.bitmaps * number : self.layout.bitmaps * (number + 1)]
            persons = np.sum([masking.filled(bits) for bits in own], axis=0, dtype=np.uint64)
            enough = (persons >= self.minimums[number]) & (nodes >= MIN_CONTRIBUTORS)
            passes &= (enough | (rows == 0)) if count.optional else enough
            somebody |= rows > 0
        return passes & somebody

    def _bitmaps(self, numbers: Numbers) -> masking.Words:
        marks = numbers.marks.reshape(self.layout.counts * self.layout.bitmaps, -1)
        return np.array([masking.bitmaps_of(column) for column in marks]).reshape(len(marks), self.groups)

    def _shown(self, numbers: Numbers) -> Shown:
        return Shown(
            self.passing,
            numbers.words.reshape(-1, self.groups)[:, self.passing],
            numbers.low.reshape(-1, self.groups)[:, self.passing],
            numbers.high.reshape(-1, self.groups)[:, self.passing],
            self._bitmaps(numbers)[:, self.passing],
        )

    # The verdict

    def judged(self, messages: Iterable[Mapping[str, bytes]]) -> dict[str, bytes]:
        """Return the part of the message that says which groups are left after everybody's veto.

        Raises:
            ArchipelError: EXCHANGE_REFUSED when a veto does not fit.
        """
        shape = strikes_shape(len(self.passing))
        sketched = scope_ledger.shape_of(self.description.sketches, len(self.passing))
        strikes, sketches = Numbers.zeros(shape), Numbers.zeros(sketched)
        for message in messages:
            try:
                strikes.add(Numbers.from_bytes(message["struck"], shape))
                if self.compared:
                    sketches.add(Numbers.from_bytes(message["sketches"], sketched))
            except ValueError:
                raise sealing.refused("its veto is of another shape") from None
        kept = np.flatnonzero(strikes.words == 0)
        self.left = self.passing[kept]
        kinds = self.description.sketches
        self._sketches = scope_ledger.sums_of(sketches, kinds, len(self.passing), kept) if self.compared else None
        return {"left": self.left.astype("<u8").tobytes()}

    # The release

    def released(self, messages: Iterable[Mapping[str, bytes]]) -> pa.Table:
        """Return the groups that are left, called as the contributors call them.

        Raises:
            ArchipelError: EXCHANGE_REFUSED when contributors contradict each other or a group has no name;
                NODE_EXECUTION when a total has too many digits.
        """
        named = self._named([from_ipc(message["groups"]) for message in messages])
        try:
            columns = {
                output.name: named.column(output.name) if output.kind == "key" else self._value(output)
                for output in self.description.masked.outputs
            }
        except (masking.NotCarried, pa.ArrowInvalid):
            raise errors.error(errors.NODE_EXECUTION, "A total has too many digits.") from None
        return pa.table(columns)

    def sketches(self, released: pa.Table) -> dict[str, Sketches]:
        """Return what is compared of the released groups with earlier ones, by person domain; nothing if it is not."""
        if self._sketches is None:
            return {}
        kinds, keys = self.description.sketches, self.description.masked.keys
        outputs = [o.name for o in self.description.masked.outputs if o.kind == "key" and o.name in keys]
        found = scope_ledger.sketches_of(self._sketches, kinds, released, outputs, self.min_persons)
        return {scope_ledger.domain_of(domain, self.round): part for domain, part in found.items() if len(part)}

    def _named(self, parts: list[pa.Table]) -> pa.Table:
        keys = list(self.description.masked.keys)
        for part in parts:
            types = tuple(str(part.schema.field(name).type) for name in part.schema.names if name != PLACE)
            if part.schema.names != [*keys, PLACE] or types != self.description.key_types:
                raise sealing.refused("it calls its groups otherwise")
        together = pa.concat_tables(parts) if parts else pa.table({PLACE: pa.array([], pa.int64())})
        places = together.column(PLACE).to_numpy()
        order = np.argsort(places, kind="stable")
        ordered = together.take(pa.array(order))
        found, first = np.unique(places[order], return_index=True)
        if not np.array_equal(found, self.left):
            raise sealing.refused("a group is left without a name")
        named = ordered.take(pa.array(first))
        again = named.take(pa.array(np.searchsorted(found, places[order])))
        if not again.equals(ordered):
            raise sealing.refused("nodes call one group by two names")
        return named

    def _value(self, output: MaskedOutput) -> pa.Array:
        index = {name: number for number, name in enumerate(self.description.masked.sums)}
        numbers = [index[name] for name in output.sums]
        if output.kind == "sum":
            return self._sum(numbers[0])
        return self._moment(output, numbers)

    def _sum(self, number: int) -> pa.Array:
        assert self._numbers is not None
        kind = number_type(self.description.types[number])
        words = self._numbers.words.reshape(-1, self.groups)[self.layout.word(number)][self.left]
        if not self.layout.wide[number]:
            return pa.array(words, pa.uint64()).cast(kind)
        low, high = self._wide(number)
        return masking.column_of(low, high, words == 0, kind)

    def _wide(self, number: int) -> tuple[masking.Words, masking.Words]:
        assert self._numbers is not None
        column = self.layout.wide_column(number)
        low = self._numbers.low.reshape(-1, self.groups)[column][self.left]
        return low, self._numbers.high.reshape(-1, self.groups)[column][self.left]

    def _moment(self, output: MaskedOutput, numbers: list[int]) -> pa.Array:
        """Return a moment, rounded once: until then everything is a whole number."""
        counts = self._sum(numbers[0]).to_pylist()
        sums = [masking.integers(*self._wide(number)) for number in numbers[1:]]
        x, y = output.scales
        if output.kind == "regr_count":
            return pa.array(counts, pa.uint32())
        scale = (
            10 ** {"regr_avgx": x, "regr_avgy": y, "regr_sxx": 2 * x, "regr_syy": 2 * y, "regr_sxy": x + y}[output.kind]
        )
        values: list[float | None] = []
        for n, *parts in zip(counts, *sums, strict=True):
            if n == 0:
                values.append(None)
            elif len(parts) == 1:
                values.append(parts[0] / (n * scale))
            else:
                a, b = (parts[0], parts[0]) if len(parts) == 2 else (parts[0], parts[1])
                values.append((n * parts[-1] - a * b) / (n * scale))
        return pa.array(values, pa.float64())
