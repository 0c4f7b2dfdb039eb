"""Tables and errors to messages and back, and an error through a real gRPC call."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest

from archipel import errors, schema, wire
from archipel.v1 import common_pb2, query_pb2, query_pb2_grpc

TABLE = schema.Table(
    name="stays",
    columns=(schema.Column("person", "BIGINT"), schema.Column("days", "INTEGER", "length in days")),
    distribution=schema.Distribution.REPLICATED,
    description="Stays",
    person_column="person",
    person_domain="nir",
    site_keys=(schema.SiteKey("stay", ("finess", "number")), schema.SiteKey("ticket", ("ticket",), nullable=True)),
    policy=schema.TablePolicy(
        protected=True,
        coordinator_form=schema.Form.AGGREGATE,
        min_persons=20,
        roles=(("person", schema.Role.GROUP), ("days", schema.Role.MEASURE)),
        tell_withheld_count=True,
    ),
    approximate_rows=1200,
    approximate_bytes=34000,
    content_digest="d",
    ranges=(schema.ColumnRange("days", "-1", "300", has_null=False),),
)


def test_a_table_survives_the_wire() -> None:
    assert wire.table_from_wire(wire.table_to_wire(TABLE)) == TABLE
    plain = schema.Table("t", (schema.Column("a", "INTEGER"),))
    assert wire.table_from_wire(wire.table_to_wire(plain)) == plain


def test_what_a_message_leaves_open_is_strict() -> None:
    message = common_pb2.Table(name="t", distribution=common_pb2.DISTRIBUTION_SHARDED)
    assert wire.table_from_wire(message).policy.coordinator_form is schema.Form.NONE
    message.policy.coordinator_form = 77  # type: ignore[assignment]
    assert wire.table_from_wire(message).policy.coordinator_form is schema.Form.NONE


def test_a_role_or_distribution_that_does_not_exist_is_refused() -> None:
    message = wire.table_to_wire(TABLE)
    message.policy.column_roles.add(column="x", role="everything")
    unset = wire.table_to_wire(TABLE)
    unset.distribution = common_pb2.DISTRIBUTION_UNSPECIFIED
    for bad in (message, unset):
        with pytest.raises(errors.ProgrammingError) as problem:
            wire.table_from_wire(bad)
        assert problem.value.code == "BAD_REQUEST"


FULL = errors.ErrorInfo(
    errors.SQL_UNKNOWN_COLUMN,
    "There is no 'é'.",
    "Try 'e'.",
    errors.Position(2, 7),
    node="cnam",
    query_id="q1",
    rule="r",
)


def test_an_error_survives_the_wire() -> None:
    for info in (FULL, errors.ErrorInfo(errors.INTERNAL, "x")):
        assert wire.error_from_wire(wire.error_to_wire(info)).info == info


def test_an_unknown_code_of_a_newer_peer_is_internal() -> None:
    found = wire.error_from_wire(common_pb2.ErrorDetail(code="FROM_THE_FUTURE", message="x"))
    assert isinstance(found, errors.InternalError)


class Refusing(query_pb2_grpc.QueryServiceServicer):
    async def Cancel(self, message: query_pb2.CancelRequest, context: Any) -> query_pb2.CancelResponse:
        await wire.abort_with(context, errors.raised(FULL))

    async def ListNodes(self, message: query_pb2.ListNodesRequest, context: Any) -> query_pb2.ListNodesResponse:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "without detail")
        raise AssertionError("unreachable")

    async def Explain(self, message: query_pb2.ExplainRequest, context: Any) -> query_pb2.ExplainResponse:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")


async def _calls() -> tuple[errors.ArchipelError, errors.ArchipelError, errors.ArchipelError]:
    server = grpc.aio.server()
    query_pb2_grpc.add_QueryServiceServicer_to_server(Refusing(), server)
    port = server.add_insecure_port("localhost:0")
    await server.start()
    found = []
    async with grpc.aio.insecure_channel(f"localhost:{port}") as channel:
        stub = query_pb2_grpc.QueryServiceStub(channel)
        for call in (
            lambda: stub.Cancel(query_pb2.CancelRequest(), timeout=5),
            lambda: stub.ListNodes(query_pb2.ListNodesRequest(), timeout=5),
            lambda: stub.Explain(query_pb2.ExplainRequest(), timeout=0.1),
        ):
            with pytest.raises(grpc.RpcError) as problem:
                await call()
            found.append(wire.from_rpc_error(problem.value))
    await server.stop(0)
    return found[0], found[1], found[2]


def test_an_error_crosses_a_call_with_its_detail_and_statuses_without_one_are_explained() -> None:
    detailed, plain, late = asyncio.run(_calls())
    assert detailed.info == FULL
    assert isinstance(detailed, errors.ProgrammingError)
    assert (plain.code, plain.info.message) == ("INTERNAL", "The call failed with status PERMISSION_DENIED.")
    assert late.code == "TIMEOUT"
