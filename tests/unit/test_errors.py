"""The error catalogue and the exceptions that carry its entries."""

from __future__ import annotations

import pickle

import grpc
import pytest

from archipel import errors, schema


def test_names_are_unique_and_found() -> None:
    codes = errors.all_codes()
    assert len({code.name for code in codes}) == len(codes)
    for code in codes:
        assert errors.code_named(code.name) is code
        assert getattr(errors, code.name) is code
        assert code.status is not grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errors.SQL_SYNTAX, errors.ProgrammingError),
        (errors.PERMIT_SCOPE, errors.NotAllowedError),
        (errors.TIMEOUT, errors.OperationalError),
        (errors.INTERNAL, errors.InternalError),
    ],
)
def test_the_class_says_whose_fault_it_is(code: errors.ErrorCode, kind: type[errors.ArchipelError]) -> None:
    problem = errors.error(code, "x")
    assert type(problem) is kind
    assert isinstance(problem, errors.DatabaseError)


def test_the_text_holds_message_place_node_and_hint() -> None:
    problem = errors.error(errors.SQL_SYNTAX, "Bad.", hint="Do.", position=errors.Position(1, 2), node="cnam")
    assert str(problem) == "Bad. At line 1, column 2. Node: cnam. Hint: Do."
    assert str(errors.error(errors.SQL_SYNTAX, "Bad.")) == "Bad."


def test_the_catalogues_hint_is_used_unless_another_is_given() -> None:
    assert errors.error(errors.NODE_CHANGED, "x").hint == "Run the query again."
    assert errors.error(errors.NODE_CHANGED, "x", hint="").hint == ""


def test_context_is_added_only_where_it_was_missing() -> None:
    told = errors.with_context(errors.error(errors.TIMEOUT, "x", node="a"), node="b", query_id="q")
    assert (told.node, told.query_id, told.code) == ("a", "q", "TIMEOUT")


def test_errors_survive_pickling_as_across_process_borders() -> None:
    problem = errors.error(errors.SQL_SYNTAX, "x", position=errors.Position(1, 2))
    copy = pickle.loads(pickle.dumps(problem))
    assert (type(copy), copy.info) == (type(problem), problem.info)


def test_what_a_policy_does_not_name_is_hidden_when_protected() -> None:
    policy = schema.TablePolicy(roles=(("Region", schema.Role.GROUP),))
    assert policy.role_of("REGION") is schema.Role.GROUP
    assert policy.role_of("person") is schema.Role.HIDDEN
    assert schema.TablePolicy(protected=False).role_of("x") is schema.Role.PUBLIC
    assert schema.TablePolicy().coordinator_form is schema.Form.NONE


def test_columns_are_found_whatever_their_case() -> None:
    table = schema.Table("t", (schema.Column("BEN_IDT_ANO", "VARCHAR"),))
    assert table.column("ben_idt_ano") == table.columns[0]
    assert table.column("ben") is None
