"""What a node says of its numbers reaches the result's notices, as short lines of text and once for each node."""

from __future__ import annotations

from typing import Any

import pytest

from archipel.v1 import common_pb2, gateway_pb2
from coordinator import deliveries, noise_told, outcome
from coordinator.deliveries import Expected
from coordinator.events import TaskRef
from coordinator.plan import Plan
from node_agent.delivering import _trailer
from node_agent.order import Note, Released, Withheld

EXPECTED = Expected("t1", "q1", TaskRef("s1", "north", 1), 0, {}, lambda delivery: None, lambda problem: None)


def delivered(*notes: Note) -> deliveries.Delivery:
    """Return a delivery as a node makes it that has these notes to tell."""
    return deliveries.sealed({}, _trailer(Released((), Withheld(False, 0, None), 1.0, notes), ""), EXPECTED)


def test_a_node_s_notes_are_notices_of_the_result() -> None:
    note = Note("rounding", "counts and sums are rounded to multiples of 5")
    told = {("s1", "north"): delivered(note, note), ("s2", "north"): delivered(note), ("s1", "south"): delivered()}
    coverage = outcome.Coverage({"north": "N", "south": "S"})
    info = outcome.result_info(Plan("", (), (), "s1", ()), told, coverage, merged_by="process", elapsed_ms=1.0)
    assert [(notice.kind, notice.node, notice.text) for notice in info.notices] == [
        ("rounding", "north", "Node 'north': counts and sums are rounded to multiples of 5.")
    ]
    assert info.complete


def test_notes_are_cut_to_a_few_short_lines() -> None:
    notes = [common_pb2.ReleaseNote(kind="k" * 99, text="a\x1b[31m\n" + "b" * 9999) for _ in range(99)]
    found = deliveries.sealed({}, gateway_pb2.DeliverTrailer(notes=notes), EXPECTED).notes
    assert len(found) == deliveries.MAX_NOTES
    assert all(len(note.kind) <= 32 and len(note.text) <= deliveries.MAX_NOTE_CHARACTERS for note in found)
    assert all(note.text.isprintable() for note in found)


def test_noise_in_numbers_is_taken_only_where_it_is_numbers() -> None:
    def note(**changes: Any) -> common_pb2.ReleaseNote:
        found = common_pb2.Noise(epsilon=1.0, delta=1e-8, threshold=60)
        found.columns.add(aggregate="count(*)\n\x1b[31m" + "x" * 500, half_width=18.0, scale=6.0)
        for name, value in changes.items():
            setattr(found, name, value)
        return common_pb2.ReleaseNote(kind="privacy", text="noise", noise=found)

    kept = common_pb2.Noise.FromString(noise_told.checked(note()))
    assert (kept.epsilon, kept.threshold, kept.columns[0].half_width) == (1.0, 60, 18.0)
    assert kept.columns[0].aggregate.isprintable()
    assert len(kept.columns[0].aggregate) == noise_told.MAX_CHARACTERS
    for wrong in (float("nan"), float("inf"), -1.0):
        assert noise_told.checked(note(epsilon=wrong)) == b""
    many = note()
    for _ in range(noise_told.MAX_COLUMNS):
        many.noise.columns.add(aggregate="n")
    assert noise_told.checked(many) == b""
    assert noise_told.checked(common_pb2.ReleaseNote(kind="rounding", text="to 5")) == b""


def test_totals_over_nodes_have_the_noise_of_all_and_the_sum_of_epsilons() -> None:
    def of(scale: float, kind: str = "privacy") -> deliveries.Note:
        told = common_pb2.Noise(epsilon=0.5, delta=1e-8, threshold=40)
        told.columns.add(aggregate="count(*)", half_width=3 * scale, scale=scale)
        return deliveries.Note(kind, "noise", told.SerializeToString())

    (notice,) = noise_told.of_totals([("a", of(10)), ("b", of(10)), ("c", of(10)), ("d", of(10))])
    assert (notice.kind, notice.node, notice.noise.epsilon) == ("privacy", "", 2.0)
    assert notice.noise.columns[0].half_width == pytest.approx(56.9, rel=0.01)  # four times the variance of one
    assert "epsilon is 2" in notice.text
    assert list(noise_told.of_totals([("a", of(10))])) == []
    assert list(noise_told.of_totals([("a", of(10)), ("b", of(10, "noise"))])) == []
