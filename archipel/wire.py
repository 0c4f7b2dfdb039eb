"""Tables and errors to and from their protobuf messages, and error details on gRPC statuses.

An error crosses as a standard gRPC status with one ``ErrorDetail`` inside ``google.rpc.Status``.
"""

from __future__ import annotations

from typing import Any, NoReturn

import grpc
from google.protobuf import any_pb2
from google.rpc import status_pb2
from grpc_status import rpc_status

from archipel import errors, schema
from archipel.v1 import common_pb2

_DISTRIBUTION_TO_WIRE = {
    schema.Distribution.SHARDED: common_pb2.DISTRIBUTION_SHARDED,
    schema.Distribution.REPLICATED: common_pb2.DISTRIBUTION_REPLICATED,
}
_FORM_TO_WIRE: dict[schema.Form, common_pb2.Form.ValueType] = {
    schema.Form.NONE: common_pb2.FORM_NONE,
    schema.Form.AGGREGATE: common_pb2.FORM_AGGREGATE,
    schema.Form.SKETCH: common_pb2.FORM_SKETCH,
    schema.Form.KEYS: common_pb2.FORM_KEYS,
    schema.Form.ROWS: common_pb2.FORM_ROWS,
}


def table_to_wire(table: schema.Table) -> common_pb2.Table:
    """Return the message of a table."""
    return common_pb2.Table(
        name=table.name,
        description=table.description,
        columns=[column_to_wire(c) for c in table.columns],
        distribution=_DISTRIBUTION_TO_WIRE[table.distribution],
        person_column=table.person_column or "",
        person_domain=table.person_domain or "",
        site_keys=[
            common_pb2.SiteKey(name=k.name, columns=k.columns, never_null=not k.nullable) for k in table.site_keys
        ],
        policy=common_pb2.TablePolicy(
            coordinator_form=form_to_wire(table.policy.coordinator_form),
            protected=table.policy.protected,
            min_persons=table.policy.min_persons,
            column_roles=[common_pb2.ColumnRole(column=c, role=r.value) for c, r in table.policy.roles],
            tell_withheld_count=table.policy.tell_withheld_count,
            peer_forms=[common_pb2.PeerForm(peer=p, form=form_to_wire(f)) for p, f in table.policy.peer_forms],
            rows_where=table.policy.rows_where,
            bins=[common_pb2.ColumnBin(column=c, bin=b) for c, b in table.policy.bins],
            dominance=common_pb2.Dominance(
                top=table.policy.dominance.top,
                share=table.policy.dominance.share,
                p_percent=table.policy.dominance.p_percent,
                min_degrees=table.policy.dominance.min_degrees,
            ),
            sensitive=[
                common_pb2.SensitiveCodes(column=s.column, prefixes=s.prefixes, min_persons=s.min_persons)
                for s in table.policy.sensitive
            ],
            intersection_peers=table.policy.intersection_peers,
            tell_match_rates=table.policy.tell_match_rates,
            rounding=table.policy.rounding,
            scopes=[scope.value for scope in table.policy.scopes],
            privacy=_limits_to_wire(table.policy.privacy),
            deviation=table.policy.deviation,
        ),
        approximate_rows=table.approximate_rows,
        approximate_bytes=table.approximate_bytes,
        content_digest=table.content_digest,
        ranges=[
            common_pb2.ColumnRange(column=r.column, least=r.least, greatest=r.greatest, has_null=r.has_null)
            for r in table.ranges
        ],
    )


def table_from_wire(message: common_pb2.Table) -> schema.Table:
    """Return the table of a message; what the message leaves open takes the strictest value.

    Raises:
        ArchipelError: BAD_REQUEST for a role or distribution that does not exist.
    """
    try:
        roles = tuple((r.column, schema.Role(r.role)) for r in message.policy.column_roles)
        scopes = tuple(schema.Scope(scope) for scope in message.policy.scopes) or (schema.Scope.NODE,)
    except ValueError as cause:
        text = "A table registers a column role or a scope of the threshold that does not exist."
        raise errors.error(errors.BAD_REQUEST, text) from cause
    distributions = {wire: d for d, wire in _DISTRIBUTION_TO_WIRE.items()}
    if message.distribution not in distributions:
        raise errors.error(errors.BAD_REQUEST, "A table registers no distribution.")
    return schema.Table(
        name=message.name,
        description=message.description,
        columns=tuple(column_from_wire(c) for c in message.columns),
        distribution=distributions[message.distribution],
        person_column=message.person_column or None,
        person_domain=message.person_domain or None,
        site_keys=tuple(schema.SiteKey(k.name, tuple(k.columns), not k.never_null) for k in message.site_keys),
        policy=schema.TablePolicy(
            protected=message.policy.protected,
            coordinator_form=form_from_wire(message.policy.coordinator_form),
            min_persons=message.policy.min_persons,
            roles=roles,
            tell_withheld_count=message.policy.tell_withheld_count,
            peer_forms=tuple((p.peer, form_from_wire(p.form)) for p in message.policy.peer_forms),
            rows_where=message.policy.rows_where,
            bins=tuple((b.column, b.bin) for b in message.policy.bins),
            dominance=_dominance(message.policy),
            sensitive=tuple(
                schema.SensitiveCodes(s.column, tuple(s.prefixes), s.min_persons) for s in message.policy.sensitive
            ),
            intersection_peers=tuple(message.policy.intersection_peers),
            tell_match_rates=message.policy.tell_match_rates,
            rounding=message.policy.rounding,
            scopes=scopes,
            privacy=_limits_from_wire(message.policy),
            deviation=message.policy.deviation,
        ),
        approximate_rows=message.approximate_rows,
        approximate_bytes=message.approximate_bytes,
        content_digest=message.content_digest,
        ranges=tuple(schema.ColumnRange(r.column, r.least, r.greatest, r.has_null) for r in message.ranges),
    )


def _dominance(policy: common_pb2.TablePolicy) -> schema.Dominance:
    if not policy.HasField("dominance"):
        return schema.Dominance()
    said = policy.dominance
    return schema.Dominance(said.top, said.share, said.p_percent, said.min_degrees)


def _limits_to_wire(limits: schema.PrivacyLimits | None) -> common_pb2.PrivacyLimits | None:
    if limits is None:
        return None
    return common_pb2.PrivacyLimits(
        max_epsilon=limits.max_epsilon,
        delta=limits.delta,
        groups_per_person=limits.groups_per_person,
        rows_per_person=limits.rows_per_person,
        bounds=[common_pb2.PrivacyBound(column=b.column, low=b.low, high=b.high, unit=b.unit) for b in limits.bounds],
        only=limits.only,
    )


def _limits_from_wire(policy: common_pb2.TablePolicy) -> schema.PrivacyLimits | None:
    if not policy.HasField("privacy"):
        return None
    said = policy.privacy
    return schema.PrivacyLimits(
        max_epsilon=said.max_epsilon,
        delta=said.delta,
        groups_per_person=said.groups_per_person,
        rows_per_person=said.rows_per_person,
        bounds=tuple(schema.Bound(b.column, b.low, b.high, b.unit) for b in said.bounds),
        only=said.only,
    )


def column_to_wire(column: schema.Column) -> common_pb2.Column:
    """Return the message of a column."""
    return common_pb2.Column(name=column.name, type=column.type, description=column.description)


def column_from_wire(message: common_pb2.Column) -> schema.Column:
    """Return the column of a message."""
    return schema.Column(message.name, message.type, message.description)


def form_to_wire(form: schema.Form) -> common_pb2.Form.ValueType:
    """Return the message value of a form."""
    return _FORM_TO_WIRE[form]


def form_from_wire(value: int) -> schema.Form:
    """Return the form of a message value; what is unknown is NONE."""
    return next((form for form, wire in _FORM_TO_WIRE.items() if wire == value), schema.Form.NONE)


def error_to_wire(info: errors.ErrorInfo) -> common_pb2.ErrorDetail:
    """Return the message of an error."""
    detail = common_pb2.ErrorDetail(
        code=info.code.name,
        message=info.message,
        hint=info.hint,
        node=info.node,
        query_id=info.query_id,
        rule=info.rule,
    )
    if info.position is not None:
        detail.position.line = info.position.line
        detail.position.column = info.position.column
    return detail


def error_from_wire(detail: common_pb2.ErrorDetail) -> errors.ArchipelError:
    """Return the exception of an error message."""
    position = errors.Position(detail.position.line, detail.position.column) if detail.HasField("position") else None
    return errors.error(
        errors.code_named(detail.code),
        detail.message,
        hint=detail.hint,
        position=position,
        node=detail.node,
        query_id=detail.query_id,
        rule=detail.rule,
    )


async def abort_with(context: Any, problem: errors.ArchipelError) -> NoReturn:
    """End a grpc.aio call with the error's status and detail."""
    packed = any_pb2.Any()
    packed.Pack(error_to_wire(problem.info))
    status = status_pb2.Status(code=problem.info.code.status.value[0], message=problem.info.message, details=[packed])
    converted = rpc_status.to_status(status)
    await context.abort(converted.code, converted.details, converted.trailing_metadata)
    raise AssertionError("abort returned")


def from_rpc_error(cause: grpc.RpcError) -> errors.ArchipelError:
    """Return the error that a failed call carries; a status without our detail is explained by its code."""
    trailing = _trailing_status(cause)
    if trailing is not None:
        for packed in trailing.details:
            detail = common_pb2.ErrorDetail()
            if packed.Is(common_pb2.ErrorDetail.DESCRIPTOR) and packed.Unpack(detail):
                return error_from_wire(detail)
    code = cause.code() if hasattr(cause, "code") else grpc.StatusCode.UNKNOWN
    if code is grpc.StatusCode.UNAVAILABLE:
        return errors.error(
            errors.COORDINATOR_UNAVAILABLE,
            "The coordinator cannot be reached, or does not accept this certificate.",
            hint="Check address and network, and that key and coordinator belong to the same federation.",
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return errors.error(errors.TIMEOUT, "The coordinator did not answer in time.")
    if code is grpc.StatusCode.CANCELLED:
        return errors.error(errors.CANCELLED, "The call was cancelled.")
    return errors.error(errors.INTERNAL, f"The call failed with status {code.name}.")


def _trailing_status(cause: grpc.RpcError) -> status_pb2.Status | None:
    metadata: Any = cause.trailing_metadata() if hasattr(cause, "trailing_metadata") else None
    for key, value in metadata or ():
        if key == "grpc-status-details-bin":
            try:
                return status_pb2.Status.FromString(value)
            except ValueError:
                return None
    return None
