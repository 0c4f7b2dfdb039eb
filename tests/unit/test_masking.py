"""Masked sums: what cancels and what does not, exact numbers on the way, persons in buckets, lists of labels."""

from __future__ import annotations

import itertools
import math
import secrets
from collections.abc import Sequence
from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from archipel import masking, rounds
from archipel.masking import Masker, Numbers, Shape
from archipel.rounds import Round, RoundStep, Step

NODES = ("east", "north", "south", "west")
ROUND = Round("f", "q", "p", "request", "sql", NODES, "sum")
SHAPE = Shape(groups=50, marks=2, words=3, wides=2)


class Parties:
    """Nodes with their keys, the same in every round, and one-time keys of one round."""

    def __init__(self, round_: Round = ROUND) -> None:
        self.one_time = {node: X25519PrivateKey.generate() for node in NODES}
        self.round = round_

    def masker(self, node: str, told: Round | None = None) -> Masker:
        told = told or self.round
        public = {n: key.public_key().public_bytes_raw() for n, key in self.one_time.items()}
        others = [n for n in told.contributors if n != node]
        return Masker(
            node,
            STATIC[node],
            self.one_time[node],
            {n: STATIC[n].public_key() for n in others},
            {n: public[n] for n in others},
            told.agreed(public),
        )


STATIC = {node: X25519PrivateKey.generate() for node in NODES}


def some_numbers(seed: int, shape: Shape = SHAPE) -> Numbers:
    random = np.random.default_rng(seed)
    return Numbers(*(random.integers(0, 2**64, size, dtype=np.uint64) for size in shape.sizes))


def total(parts: Sequence[Numbers], shape: Shape = SHAPE) -> bytes:
    made = Numbers.zeros(shape)
    for part in parts:
        made.add(part)
    return made.to_bytes()


def sent(parties: Parties, own: dict[str, Numbers]) -> dict[str, Numbers]:
    return {node: parties.masker(node).masked(numbers) for node, numbers in own.items()}


OWN = {node: some_numbers(i) for i, node in enumerate(NODES)}


def test_masks_cancel_in_the_sum_over_all_nodes() -> None:
    assert total(list(sent(Parties(), OWN).values())) == total(list(OWN.values()))


def test_masks_cancel_in_the_sum_over_no_fewer_nodes() -> None:
    masked = sent(Parties(), OWN)
    for left_out in NODES:
        some = [node for node in NODES if node != left_out]
        found = Numbers.from_bytes(total([masked[node] for node in some]), SHAPE)
        plain = Numbers.from_bytes(total([OWN[node] for node in some]), SHAPE)
        for part in ("marks", "words", "low", "high"):
            same = getattr(found, part) == getattr(plain, part)
            assert not same.any(), part


def test_what_a_node_sends_has_nothing_in_common_with_its_numbers_or_with_another_round() -> None:
    first, second = sent(Parties(), OWN)["east"], sent(Parties(), OWN)["east"]
    for part in ("marks", "words", "low", "high"):
        plain, once, again = (getattr(n, part) for n in (OWN["east"], first, second))
        assert not ((plain == once) | (once == again)).any()


def test_zeros_are_sent_as_noise() -> None:
    masked = Parties().masker("east").masked(Numbers.zeros(SHAPE))
    bits = np.unpackbits(np.frombuffer(masked.to_bytes(), np.uint8)).mean()
    assert 0.48 < bits < 0.52
    assert len(np.unique(masked.words)) == len(masked.words)


def test_a_second_message_of_a_round_has_masks_of_its_own() -> None:
    parties = Parties()
    first = parties.masker("east")
    assert first.masked(OWN["east"]).to_bytes() != first.again("veto").masked(OWN["east"]).to_bytes()
    assert total([parties.masker(n).again("veto").masked(OWN[n]) for n in NODES]) == total(list(OWN.values()))


@pytest.mark.parametrize(
    "told",
    [
        replace(ROUND, contributors=NODES[:3]),
        replace(ROUND, query_id="other"),
        replace(ROUND, aggregator="other"),
        replace(ROUND, sql_sha256="other"),
    ],
)
def test_nodes_that_were_told_different_things_give_no_total(told: Round) -> None:
    parties = Parties()
    masked = [parties.masker(node).masked(OWN[node]) for node in NODES[1:]]
    odd = parties.masker("east", told).masked(OWN["east"])
    found = Numbers.from_bytes(total([odd, *masked]), SHAPE)
    assert not (found.words == Numbers.from_bytes(total(list(OWN.values())), SHAPE).words).any()


def test_a_one_time_key_put_in_by_somebody_else_gives_no_total() -> None:
    parties = Parties()
    stranger = X25519PrivateKey.generate()
    honest = parties.masker("east")
    misled = replace(honest, one_time_peers={**honest.one_time_peers, "west": stranger.public_key().public_bytes_raw()})
    rest = [parties.masker(node).masked(OWN[node]) for node in NODES[1:]]
    assert total([misled.masked(OWN["east"]), *rest]) != total(list(OWN.values()))
    # And who put it in knows neither static key, without which the mask cannot be made.
    thief = replace(misled, own=stranger)
    assert thief.masked(Numbers.zeros(SHAPE)).to_bytes() != misled.masked(Numbers.zeros(SHAPE)).to_bytes()


def test_a_round_is_identified_by_all_that_it_is_about() -> None:
    changed: dict[str, Any] = {"contributors": NODES[:3], "bitmaps": 2}
    digests = {ROUND.digest}
    for field in fields(Round):
        digests.add(replace(ROUND, **{field.name: changed.get(field.name, "other")}).digest)
    assert len(digests) == len(fields(Round)) + 1


# Numbers


def columns() -> st.SearchStrategy[list[list[int]]]:
    # Each of four nodes' numbers for three groups, of which no sum leaves 126 bits.
    bound = 2**122
    one = st.lists(st.integers(-bound, bound) | st.integers(-3, 3), min_size=3, max_size=3)
    return st.lists(one, min_size=4, max_size=4)


@settings(max_examples=60, deadline=None)
@given(columns())
def test_wides_add_up_as_whole_numbers_do(parts: list[list[int]]) -> None:
    shape = Shape(3, 0, 0, 1)
    parties = Parties()
    masked = []
    for node, values in zip(NODES, parts, strict=True):
        low = np.array([v & (2**64 - 1) for v in values], np.uint64)
        high = np.array([(v >> 64) & (2**64 - 1) for v in values], np.uint64)
        none = np.zeros(0, np.uint64)
        masked.append(parties.masker(node).masked(Numbers(none, none, low, high)))
    summed = Numbers.from_bytes(total(masked, shape), shape)
    assert masking.integers(summed.low, summed.high) == [sum(column) for column in zip(*parts, strict=True)]


@given(st.lists(st.integers(-(2**126), 2**126) | st.integers(-3, 3), min_size=1, max_size=8))
def test_wides_are_compared_as_the_numbers_that_they_are(values: list[int]) -> None:
    low = np.array([v & (2**64 - 1) for v in values], np.uint64)
    high = np.array([(v >> 64) & (2**64 - 1) for v in values], np.uint64)
    assert masking.integers(low, high) == values
    assert masking.as_floats(low, high).tolist() == pytest.approx([float(v) for v in values], rel=1e-15)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | st.decimals(-(10**30), 10**30, places=4), min_size=1, max_size=8))
def test_decimals_come_back_as_they_were(values: list[Decimal | None]) -> None:
    column = pa.array(values, pa.decimal128(38, 4))
    low, high = masking.halves_of(column, 4)
    missing = np.array([value is None for value in values])
    assert masking.column_of(low, high, missing, column.type).equals(column)
    sliced = masking.halves_of(pa.concat_arrays([column, column]).slice(len(values)), 4)
    assert (sliced[0] == low).all()
    assert (sliced[1] == high).all()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=8))
def test_doubles_come_back_within_half_a_unit(values: list[float]) -> None:
    low, high = masking.halves_of(pa.array(values, pa.float64()), 4)
    unit = Fraction(1, 1 << masking.FRACTION_BITS)
    for value, whole in zip(values, masking.integers(low, high), strict=True):
        assert abs(Fraction(value) - whole * unit) <= unit / 2
    back = masking.column_of(low, high, np.zeros(len(values), np.bool_), pa.float64())
    assert all(math.isclose(a, b, rel_tol=1e-15, abs_tol=2**-41) for a, b in zip(back.to_pylist(), values, strict=True))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.0, math.nan]),
        pa.array([math.inf]),
        pa.array([-1e27]),
        pa.array([Decimal("9e37")], pa.decimal128(38, 0)),
        pa.array([Decimal("-9e37")], pa.decimal128(38, 0)),
    ],
)
def test_a_number_whose_total_might_not_fit_is_not_carried(column: pa.Array) -> None:
    with pytest.raises(masking.NotCarried):
        masking.halves_of(column, 4)


def test_a_total_with_too_many_digits_is_not_carried() -> None:
    value = 10**38
    low, high = np.array([value & (2**64 - 1)], np.uint64), np.array([value >> 64], np.uint64)
    with pytest.raises(masking.NotCarried):
        masking.column_of(low, high, np.zeros(1, np.bool_), pa.decimal128(38, 0))


def test_numbers_of_another_shape_are_not_taken() -> None:
    with pytest.raises(ValueError, match="shape"):
        Numbers.from_bytes(OWN["east"].to_bytes(), replace(SHAPE, words=4))


# Persons


def test_buckets_with_nobody_stay_empty_and_most_others_are_seen() -> None:
    random = np.random.default_rng(7)
    bitmaps = random.integers(0, 2**64, 2_000, dtype=np.uint64)
    seen = masking.bitmaps_of(masking.marks_of(bitmaps))
    assert not (seen & ~bitmaps).any()
    share = masking.filled(seen).sum() / masking.filled(bitmaps).sum()
    assert 0.93 < share < 0.945  # 15 of 16


def test_marks_of_several_nodes_say_where_somebody_is_and_not_at_how_many_nodes() -> None:
    one = np.full(4_000, 1 << 63 | 1, np.uint64)
    nothing = np.zeros(4_000, np.uint64)
    alone = masking.marks_of(one) ^ masking.marks_of(nothing)
    together = masking.marks_of(one) ^ masking.marks_of(one)
    for marks in (alone, together):
        assert not (masking.bitmaps_of(marks) & ~one).any()
        first = marks.reshape(-1, masking.MARK_WORDS)[:, 0] & np.uint64(0xF)
        counts = np.bincount(first.astype(np.int64), minlength=16)
        assert counts.min() > 150  # 250 of each of sixteen values are to be expected


def test_a_random_word_stands_for_what_is_there() -> None:
    present = np.array([True, False, True])
    words = masking.signs_of(present)
    assert (words != 0).tolist() == present.tolist()
    assert words[0] != words[2]


@pytest.mark.parametrize("persons", [11, 12, 20, 50, 200])
def test_there_are_buckets_enough_for_a_threshold(persons: int) -> None:
    assert rounds.bitmaps_for(persons) * rounds.BUCKETS >= 4 * persons
    assert rounds.bitmaps_for(100_000) == rounds.MAX_BITMAPS


# Labels


def test_lists_of_labels_become_one_in_an_order_that_says_nothing() -> None:
    labels = [secrets.token_bytes(rounds.LABEL_BYTES) for _ in range(300)]
    lists = [masking.sorted_labels(b"".join(part)) for part in (labels[:200], labels[100:], [], labels[150:160])]
    listed, known = masking.union_of(lists[:3])
    assert known == len(labels)
    assert listed == b"".join(sorted(labels))
    places, there = masking.positions(b"".join(labels), listed)
    assert there.all()
    size = rounds.LABEL_BYTES
    assert all(listed[size * p : size * (p + 1)] == label for p, label in zip(places, labels, strict=True))
    assert masking.positions(b"", listed)[0].tolist() == []
    common, known = masking.union_of(lists, nodes=3)
    assert known == len(labels)
    assert common == b"".join(sorted(labels[150:160]))


def test_labels_that_begin_alike_are_told_apart() -> None:
    labels = [b"\0" * 8 + n.to_bytes(8) for n in range(5)]
    listed, _ = masking.union_of(labels)
    assert masking.sorted_labels(b"".join(reversed(labels))) == listed
    assert masking.positions(b"".join(reversed(labels)), listed)[0].tolist() == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("listed", [b"", b"\0" * 16, b"\xff" * 16, b"\x01" * 15 + b"\x02"])
def test_a_label_that_is_not_in_the_list_has_no_place(listed: bytes) -> None:
    _, there = masking.positions(b"\x01" * 16, listed)
    assert there.tolist() == [False]


def test_lists_that_are_none_are_errors() -> None:
    one, other = b"\1" * 16, b"\2" * 16
    with pytest.raises(ValueError, match="length"):
        masking.union_of([b"short"])
    for wrong in (lambda: masking.union_of([one + one]), lambda: masking.positions(one, other + one)):
        with pytest.raises(ValueError, match="sorted"):
            wrong()


def test_masks_are_bound_to_secret_and_list() -> None:
    found = {
        masking.bound(b"a" * 32, secret, listed) for secret in (b"s" * 32, b"t" * 32) for listed in (b"", b"l" * 16)
    }
    assert len(found) == 4
    assert masking.check_of(b"s" * 32, b"d") != masking.check_of(b"t" * 32, b"d")


def test_keys_of_labels_and_of_persons_are_of_one_round() -> None:
    secret = secrets.token_bytes(32)
    other = replace(ROUND, query_id="other")
    keys = {masking.label_key(secret, r.digest) for r in (ROUND, other)}
    keys |= {masking.person_key(secret, r.digest) for r in (ROUND, other)}
    assert len(keys) == 4


# Steps


def test_steps_go_from_party_to_party() -> None:
    parties = RoundStep(Step.KEY, NODES, "sum")
    steps = [replace(parties, step=step) for step in Step]
    for before, after in itertools.pairwise(steps):
        assert before.receivers == after.sites()
        assert after.senders == before.sites()
    assert steps[0].senders == steps[-1].receivers == ()
    assert parties.leader == "east"
    assert replace(parties, aggregator="east").leader == "north"


@pytest.mark.parametrize(
    "wrong",
    [
        RoundStep(Step.KEY, NODES[:2], "sum"),
        RoundStep(Step.KEY, ("north", "east", "south"), "sum"),
        RoundStep(Step.KEY, ("east", "east", "north"), "sum"),
        RoundStep(Step.KEY, NODES, "sum", bitmaps=0),
        RoundStep(Step.KEY, NODES, "sum", bitmaps=1000),
    ],
)
def test_parties_that_may_have_no_round_are_named(wrong: RoundStep) -> None:
    assert wrong.problem()
    assert not RoundStep(Step.KEY, NODES, "east").problem()
