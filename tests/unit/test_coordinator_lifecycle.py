"""The life of a query as a state machine, and whose turn it is: pure, so every order of events can be tried."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest

from archipel import errors
from archipel.schema import Form
from coordinator import events as e
from coordinator import lifecycle
from coordinator.admission import Admission
from coordinator.events import State, TaskRef
from coordinator.plan import COORDINATOR, Exchange, OutputColumn, Plan, Stage, StageKind

COLUMNS = (OutputColumn("x", "BIGINT"),)


def node_stage(name: str, *sites: str, inputs: tuple[str, ...] = ()) -> Stage:
    return Stage(name, StageKind.NODE, sites, "SELECT 1 AS x", COLUMNS, inputs)


def own_stage(name: str, kind: StageKind, *inputs: str) -> Stage:
    return Stage(name, kind, (COORDINATOR,), "SELECT 1 AS x", COLUMNS, inputs)


def exchange(name: str, source: str, target: str) -> Exchange:
    return Exchange(name, source, target, Form.AGGREGATE, "test", 1, 8)


def plan_of(result: str, stages: tuple[Stage, ...], *exchanges: Exchange) -> Plan:
    return Plan("SELECT 1", stages, exchanges, result, COLUMNS)


SIMPLE = plan_of(
    "f1",
    (node_stage("n1", "a", "b"), own_stage("m1", StageKind.MERGE, "e1"), own_stage("f1", StageKind.FINISH, "e2")),
    exchange("e1", "n1", "m1"),
    exchange("e2", "m1", "f1"),
)
WITHOUT_B = replace(SIMPLE, stages=(node_stage("n1", "a"), *SIMPLE.stages[1:]))
BOTH = frozenset({"a", "b"})
A1, B1 = TaskRef("n1", "a", 1), TaskRef("n1", "b", 1)


class Life:
    """A query that remembers every instruction it gave."""

    def __init__(self, plan: Plan = SIMPLE, on_missing: Literal["fail", "partial"] = "fail") -> None:
        self.query, instructions = lifecycle.submitted("q", plan, on_missing)
        self.said: list[Any] = list(instructions)

    def tell(self, *events: e.Event) -> list[Any]:
        """Give events; return the instructions that the last one led to."""
        instructions: tuple[Any, ...] = ()
        for event in events:
            self.query, instructions = lifecycle.advance(self.query, event)
            self.said += instructions
        return list(instructions)

    def running(self, attached: frozenset[str] = BOTH) -> Life:
        self.tell(e.Started(attached))
        return self


def end_of(instructions: list[Any]) -> e.End:
    ends = [i for i in instructions if isinstance(i, e.End)]
    assert len(ends) == 1
    return ends[0]


def error_of(instructions: list[Any]) -> errors.ErrorInfo:
    error = end_of(instructions).error
    assert error is not None
    return error


def test_a_query_goes_from_its_tasks_over_merge_and_finish_to_its_end() -> None:
    life = Life()
    assert life.said == [e.Record("queued"), e.Record("planned")]
    assert life.tell(e.Started(BOTH)) == [
        e.SendTask(A1),
        e.Record("dispatched", "a", "n1"),
        e.SendTask(B1),
        e.Record("dispatched", "b", "n1"),
    ]
    assert life.tell(e.Delivered(B1)) == [e.Record("delivered", "b", "n1")]
    assert life.tell(e.Delivered(A1)) == [e.Record("delivered", "a", "n1"), e.Compute("m1")]
    assert life.tell(e.Computed("m1")) == [e.Record("merged", stage_id="m1"), e.Compute("f1")]
    assert life.tell(e.Computed("f1")) == [e.Conclude()]
    assert life.tell(e.Concluded()) == [e.End(State.FINISHED)]
    assert life.query.state is State.FINISHED


def test_independent_stages_start_together_and_dependent_ones_wait() -> None:
    plan = plan_of(
        "f",
        (
            node_stage("n1", "a"),
            node_stage("n2", "b"),
            own_stage("m1", StageKind.MERGE, "e1"),
            node_stage("n3", "b", inputs=("e2",)),
            own_stage("f", StageKind.FINISH, "e3", "e4"),
        ),
        exchange("e1", "n1", "m1"),
        exchange("e2", "m1", "n3"),
        exchange("e3", "n2", "f"),
        exchange("e4", "n3", "f"),
    )
    life = Life(plan)
    sent = [i.task.stage_id for i in life.tell(e.Started(BOTH)) if isinstance(i, e.SendTask)]
    assert sent == ["n1", "n2"]
    life.tell(e.Delivered(TaskRef("n1", "a", 1)))
    assert e.SendTask(TaskRef("n3", "b", 1)) in life.tell(e.Computed("m1"))
    assert life.tell(e.Delivered(TaskRef("n3", "b", 1))) == [e.Record("delivered", "b", "n3")]
    assert e.Compute("f") in life.tell(e.Delivered(TaskRef("n2", "b", 1)))


def test_a_node_stage_can_be_the_result() -> None:
    life = Life(plan_of("n1", (node_stage("n1", "a"),))).running()
    assert life.tell(e.Delivered(A1))[-1] == e.Conclude()


def test_a_second_delivery_is_not_wanted_and_raises_with_the_story() -> None:
    life = Life().running()
    life.tell(e.Delivered(A1))
    assert not lifecycle.wants(life.query, A1)
    assert lifecycle.wants(life.query, B1)
    with pytest.raises(
        lifecycle.LifecycleError, match=r"query q, running: Started; Delivered n1@a#1; Delivered n1@a#1"
    ):
        life.tell(e.Delivered(A1))


@pytest.mark.parametrize(
    "event",
    [
        e.Delivered(TaskRef("n1", "c", 1)),
        e.Delivered(TaskRef("n1", "a", 2)),
        e.Refused(TaskRef("n9", "a", 1), errors.ErrorInfo(errors.INTERNAL, "x")),
        e.Computed("m1"),
        e.ComputeFailed("m1", errors.ErrorInfo(errors.INTERNAL, "x")),
        e.Concluded(),
        e.ConcludeFailed(errors.ErrorInfo(errors.INTERNAL, "x")),
        e.BackoffOver(A1),
        e.LingerOver(),
        e.Replanned(SIMPLE, BOTH),
        e.ReplanFailed(errors.ErrorInfo(errors.INTERNAL, "x")),
        e.Started(BOTH),
    ],
    ids=lambda event: type(event).__name__,
)
def test_an_event_that_answers_nothing_raises(event: e.Event) -> None:
    with pytest.raises(lifecycle.LifecycleError):
        Life().running().tell(event)


@pytest.mark.parametrize("state", [State.FINISHED, State.FAILED, State.CANCELLED])
@pytest.mark.parametrize(
    "signal", [e.CancelAsked(), e.DeadlinePassed(1), e.Interrupted(), e.NodeLost("a"), e.Broken()], ids=str
)
def test_signals_mean_nothing_to_a_query_that_has_ended(state: State, signal: e.Event) -> None:
    life = Life()
    life.query = replace(life.query, state=state)
    assert life.tell(signal) == []
    assert life.query.state is state


def test_a_cancelled_query_withdraws_what_is_out_and_nothing_else() -> None:
    life = Life().running()
    life.tell(e.Delivered(A1))
    instructions = life.tell(e.CancelAsked())
    assert instructions[0] == e.Withdraw(B1)
    assert end_of(instructions).state is State.CANCELLED
    assert error_of(instructions).code is errors.CANCELLED
    assert len(instructions) == 2


def test_a_queued_query_can_be_cancelled() -> None:
    instructions = Life().tell(e.CancelAsked())
    assert [type(i) for i in instructions] == [e.End]


@pytest.mark.parametrize(
    ("signal", "code"),
    [
        (e.DeadlinePassed(0.5), errors.TIMEOUT),
        (e.Interrupted(), errors.INTERRUPTED),
        (e.Broken(), errors.INTERNAL),
    ],
    ids=str,
)
def test_signals_fail_a_running_query_and_withdraw_its_tasks(signal: e.Event, code: errors.ErrorCode) -> None:
    instructions = Life().running().tell(signal)
    assert {i.task for i in instructions if isinstance(i, e.Withdraw)} == {A1, B1}
    assert error_of(instructions).code is code
    assert error_of(instructions).query_id == "q"


@pytest.mark.parametrize("code", [errors.NODE_BUSY, errors.NODE_CHANGED])
def test_a_busy_or_changed_node_is_asked_once_more_and_then_fails_the_query(code: errors.ErrorCode) -> None:
    life = Life().running()
    again = TaskRef("n1", "a", 2)
    problem = errors.ErrorInfo(code, "Not now.")
    assert life.tell(e.Refused(A1, problem)) == [e.RetryLater(again)]
    assert not lifecycle.wants(life.query, A1)
    assert life.tell(e.BackoffOver(again))[0] == e.SendTask(again)
    instructions = life.tell(e.Refused(again, problem))
    assert error_of(instructions).code is code
    assert error_of(instructions).node == "a"


def test_a_task_that_waits_to_be_tried_again_is_withdrawn_too() -> None:
    life = Life().running()
    life.tell(e.Refused(A1, errors.ErrorInfo(errors.NODE_BUSY, "Not now.")))
    withdrawn = {i.task for i in life.tell(e.CancelAsked()) if isinstance(i, e.Withdraw)}
    assert withdrawn == {TaskRef("n1", "a", 2), B1}


def test_a_refusal_fails_the_query_with_the_node_and_withdraws_the_others() -> None:
    life = Life().running()
    instructions = life.tell(e.Refused(A1, errors.ErrorInfo(errors.BORDER_REFUSED, "No.")))
    assert [i.task for i in instructions if isinstance(i, e.Withdraw)] == [B1]
    assert (error_of(instructions).code, error_of(instructions).node) == (errors.BORDER_REFUSED, "a")


def waits(number: int) -> errors.ErrorInfo:
    """Return what a node says at which a person must decide."""
    return errors.ErrorInfo(errors.APPROVAL_PENDING, f"This one waits there as {number}.", "Ask the holder.")


def test_where_persons_must_decide_the_other_nodes_may_ask_theirs_and_all_are_named() -> None:
    life = Life().running()
    assert life.tell(e.Refused(A1, waits(1))) == [e.Linger()]
    assert not lifecycle.wants(life.query, A1)
    assert life.tell(e.NodeLost("a")) == []
    instructions = life.tell(e.Refused(B1, waits(2)))
    assert [type(i) for i in instructions] == [e.End]
    told = error_of(instructions)
    assert (told.code, told.node, told.hint) == (errors.APPROVAL_PENDING, "a", "Ask the holder.")
    assert told.message == (
        "Persons at nodes 'a', 'b' must decide on this query. "
        "Node 'a': This one waits there as 1. Node 'b': This one waits there as 2."
    )


@pytest.mark.parametrize("last", [e.Delivered(B1), e.LingerOver(), e.DeadlinePassed(1)], ids=str)
def test_a_query_on_which_a_person_must_decide_waits_no_longer_than_the_others_take_or_may(last: e.Event) -> None:
    life = Life().running()
    life.tell(e.Refused(A1, waits(1)))
    instructions = life.tell(last)
    assert error_of(instructions) == replace(waits(1), node="a", query_id="q")
    withdrawn = [i.task for i in instructions if isinstance(i, e.Withdraw)]
    assert withdrawn == ([] if isinstance(last, e.Delivered) else [B1])


def test_a_query_on_which_a_person_must_decide_starts_nothing_more() -> None:
    plan = plan_of(
        "f",
        (
            node_stage("n1", "a"),
            own_stage("m1", StageKind.MERGE, "e1"),
            node_stage("n2", "b"),
            node_stage("n3", "c"),
            node_stage("n4", "a", inputs=("e2",)),
            own_stage("f", StageKind.FINISH, "e3", "e4", "e5"),
        ),
        exchange("e1", "n1", "m1"),
        exchange("e2", "m1", "n4"),
        exchange("e3", "n2", "f"),
        exchange("e4", "n3", "f"),
        exchange("e5", "n4", "f"),
    )
    life = Life(plan)
    life.tell(e.Started(frozenset("abc")), e.Delivered(TaskRef("n1", "a", 1)))
    life.tell(e.Refused(TaskRef("n2", "b", 1), waits(1)))
    assert life.tell(e.Computed("m1")) == [e.Record("merged", stage_id="m1")]
    instructions = life.tell(e.Delivered(TaskRef("n3", "c", 1)))
    assert error_of(instructions).code is errors.APPROVAL_PENDING


def test_what_no_person_can_change_ends_a_query_at_once_and_a_new_plan_asks_again() -> None:
    life = Life().running()
    life.tell(e.Refused(A1, waits(1)))
    assert error_of(life.tell(e.Refused(B1, errors.ErrorInfo(errors.BORDER_REFUSED, "No.")))).node == "b"

    life = Life(on_missing="partial").running()
    life.tell(e.Refused(A1, waits(1)))
    assert e.Replan(frozenset({"b"})) in life.tell(e.NodeLost("b"))
    (again,) = [i.task for i in life.tell(e.Replanned(WITHOUT_B, frozenset("a"))) if isinstance(i, e.SendTask)]
    assert life.tell(e.Delivered(again))[-1] == e.Compute("m1")


@pytest.mark.parametrize("on_missing", ["fail", "partial"])
def test_a_lost_node_that_owes_nothing_does_not_matter(on_missing: Literal["fail", "partial"]) -> None:
    life = Life(on_missing=on_missing).running()
    life.tell(e.Delivered(A1))
    assert life.tell(e.NodeLost("a"), e.NodeLost("c")) == []
    assert life.tell(e.Delivered(B1))[-1] == e.Compute("m1")


def test_a_lost_node_fails_a_query_that_wants_all() -> None:
    instructions = Life().running().tell(e.NodeLost("b"))
    assert (error_of(instructions).code, error_of(instructions).node) == (errors.NODE_UNAVAILABLE, "b")
    assert "'b'" in error_of(instructions).message


def test_a_node_that_is_away_at_the_start_fails_a_query_that_wants_all() -> None:
    instructions = Life().tell(e.Started(frozenset({"a"})))
    assert (error_of(instructions).code, error_of(instructions).node) == (errors.NODE_UNAVAILABLE, "b")
    assert not any(isinstance(i, e.SendTask) for i in instructions)


def test_a_partial_query_starts_again_without_a_lost_node_and_takes_nothing_of_the_first_round() -> None:
    life = Life(on_missing="partial").running()
    life.tell(e.Delivered(A1))
    assert life.tell(e.NodeLost("b")) == [e.Withdraw(B1), e.Replan(frozenset({"b"}))]
    instructions = life.tell(e.Replanned(WITHOUT_B, frozenset({"a"})))
    sent = next(i.task for i in instructions if isinstance(i, e.SendTask))
    assert sent.node == "a"
    assert sent.attempt not in (1, 2)
    assert not lifecycle.wants(life.query, A1)
    life.tell(e.Delivered(sent), e.Computed("m1"), e.Computed("f1"), e.Concluded())
    assert life.query.state is State.FINISHED
    assert life.query.missing == {"b"}


def test_a_node_that_says_it_is_unavailable_counts_as_lost() -> None:
    life = Life(on_missing="partial").running()
    problem = errors.ErrorInfo(errors.NODE_UNAVAILABLE, "The delivery broke off.")
    assert life.tell(e.Refused(B1, problem))[-1] == e.Replan(frozenset({"b"}))


def test_where_only_missing_nodes_hold_a_table_the_nodes_are_named_and_not_the_table() -> None:
    life = Life(on_missing="partial").running(frozenset())
    unknown = errors.ErrorInfo(errors.SQL_UNKNOWN_TABLE, "There is no table 'x'.")
    error = error_of(life.tell(e.ReplanFailed(unknown)))
    assert error.code is errors.NODE_UNAVAILABLE
    assert "'a', 'b'" in error.message


def test_starting_again_without_nodes_comes_to_an_end() -> None:
    life = Life(on_missing="partial").running()
    for round_number in range(lifecycle.MAX_RESTARTS):
        assert isinstance(life.tell(e.NodeLost("b"))[-1], e.Replan), round_number
        life.tell(e.Replanned(SIMPLE, BOTH))
    assert error_of(life.tell(e.NodeLost("b"))).code is errors.NODE_UNAVAILABLE


def test_a_stale_plan_is_made_anew_before_anything_is_sent() -> None:
    life = Life()
    assert life.tell(e.Started(BOTH, stale=True)) == [e.Replan(frozenset())]
    instructions = life.tell(e.Replanned(WITHOUT_B, BOTH))
    assert [i.task for i in instructions if isinstance(i, e.SendTask)] == [A1]
    assert life.query.missing == frozenset()


def test_queries_run_in_turn_and_no_more_are_taken_than_can_wait() -> None:
    admission = Admission(max_running=1, max_queued=2)
    admission, turn = admission.take("1")
    assert turn == ("1",)
    for query_id in ("2", "3"):
        admission, turn = admission.take(query_id)
        assert turn == ()
    with pytest.raises(errors.OperationalError) as problem:
        admission.take("4")
    assert problem.value.code == "TOO_MANY_QUERIES"
    admission, turn = admission.release("2")
    assert turn == ()
    admission, turn = admission.release("1")
    assert turn == ("3",)
    admission, turn = admission.release("3")
    assert (turn, admission.running, admission.queued) == ((), frozenset(), ())


# From nodes to nodes

SEALED = plan_of(
    "f1",
    (
        node_stage("n1", "a", "b"),
        node_stage("n2", "b", "c", inputs=("x1",)),
        own_stage("f1", StageKind.FINISH, "e2"),
    ),
    exchange("x1", "n1", "n2"),
    exchange("e2", "n2", "f1"),
)
B2, C2 = TaskRef("n2", "b", 1), TaskRef("n2", "c", 1)


def sealed_life(on_missing: Literal["fail", "partial"] = "fail") -> Life:
    """Return a query whose first stage is under way at a and b, and whose second is to follow at b and c."""
    life = Life(SEALED, on_missing)
    life.tell(e.Started(frozenset({"a", "b", "c"})))
    return life


def test_receivers_are_told_the_one_attempt_of_every_sender_and_only_when_all_have_sent() -> None:
    life = sealed_life()
    assert not [said for said in life.tell(e.Delivered(A1)) if isinstance(said, e.SendTask)]
    sent = [said for said in life.tell(e.Delivered(B1)) if isinstance(said, e.SendTask)]
    assert sent == [e.SendTask(B2, (A1, B1)), e.SendTask(C2, (A1, B1))]


def test_a_sender_that_tried_again_is_told_by_its_second_attempt_and_its_first_is_not_wanted() -> None:
    life = sealed_life()
    busy = errors.ErrorInfo(errors.NODE_BUSY, "No.")
    again = TaskRef("n1", "a", 2)
    life.tell(e.Refused(A1, busy), e.BackoffOver(again))
    assert not lifecycle.wants(life.query, A1)
    sent = [s for s in life.tell(e.Delivered(again), e.Delivered(B1)) if isinstance(s, e.SendTask)]
    assert {said.senders for said in sent} == {(again, B1)}
    with pytest.raises(lifecycle.LifecycleError):
        life.tell(e.Delivered(again))


def test_a_receiver_that_tries_again_gets_the_same_attempts() -> None:
    life = sealed_life()
    life.tell(e.Delivered(A1), e.Delivered(B1))
    again = TaskRef("n2", "c", 2)
    said = life.tell(e.Refused(C2, errors.ErrorInfo(errors.NODE_CHANGED, "No.")), e.BackoffOver(again))
    assert e.SendTask(again, (A1, B1)) in said


def test_a_cancel_withdraws_senders_that_send_and_receivers_that_compute() -> None:
    sending = sealed_life()
    assert e.Withdraw(B1) in sending.tell(e.Delivered(A1), e.CancelAsked())
    computing = sealed_life()
    computing.tell(e.Delivered(A1), e.Delivered(B1))
    said = computing.tell(e.DeadlinePassed(1.0))
    assert {e.Withdraw(B2), e.Withdraw(C2)} <= set(said)


def test_a_sender_may_go_when_it_has_sent_and_a_receiver_may_not() -> None:
    life = sealed_life()
    life.tell(e.Delivered(A1), e.Delivered(B1))
    assert life.tell(e.NodeLost("a")) == []
    assert life.query.state is State.RUNNING
    life.tell(e.NodeLost("c"))
    assert life.query.state is State.FAILED


def test_after_a_new_plan_no_attempt_of_the_first_round_is_told() -> None:
    life = sealed_life("partial")
    life.tell(e.Delivered(A1), e.Delivered(B1))
    life.tell(e.NodeLost("c"))
    smaller = replace(SEALED, stages=(SEALED.stages[0], node_stage("n2", "b", inputs=("x1",)), SEALED.stages[2]))
    life.tell(e.Replanned(smaller, frozenset({"a", "b"})))
    later = [TaskRef("n1", node, 3) for node in ("a", "b")]
    said = life.tell(*(e.Delivered(task) for task in later))
    assert e.SendTask(TaskRef("n2", "b", 3), tuple(later)) in said
