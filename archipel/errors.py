"""The one catalogue of errors, and the exception that carries an entry of it.

Every failure that crosses a border is an ``ArchipelError``: a code from this catalogue, a message without
any data value, a hint, and where it helps a position in the researcher's SQL. Inner detail belongs in the
log of the party where it happened, never in these texts.

    ArchipelError
        InterfaceError      the client was used wrongly (PEP 249)
        DatabaseError
            ProgrammingError    the SQL or the request is wrong
            NotAllowedError     permit or policy forbids it
            OperationalError    a node, a limit, the network
            InternalError       our own bug
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import grpc


class Fault(Enum):
    """Whose fault an error is; decides the exception class and the exit code of the CLI."""

    REQUEST = "request"
    PERMISSION = "permission"
    OPERATION = "operation"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One entry of the catalogue: its name, its gRPC status, whose fault it is and the usual hint."""

    name: str
    status: grpc.StatusCode
    fault: Fault
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the researcher's SQL, counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


_CATALOG: dict[str, ErrorCode] = {}


def _entry(name: str, status: grpc.StatusCode, fault: Fault, hint: str = "") -> ErrorCode:
    code = ErrorCode(name, status, fault, hint)
    _CATALOG[name] = code
    return code


_S = grpc.StatusCode
_F = Fault

# The SQL
SQL_SYNTAX = _entry("SQL_SYNTAX", _S.INVALID_ARGUMENT, _F.REQUEST)
SQL_UNKNOWN_TABLE = _entry("SQL_UNKNOWN_TABLE", _S.INVALID_ARGUMENT, _F.REQUEST)
SQL_UNKNOWN_COLUMN = _entry("SQL_UNKNOWN_COLUMN", _S.INVALID_ARGUMENT, _F.REQUEST)
SQL_AMBIGUOUS_COLUMN = _entry(
    "SQL_AMBIGUOUS_COLUMN",
    _S.INVALID_ARGUMENT,
    _F.REQUEST,
    "Write the table's name or alias before the column.",
)
SQL_UNKNOWN_FUNCTION = _entry("SQL_UNKNOWN_FUNCTION", _S.INVALID_ARGUMENT, _F.REQUEST)
SQL_TYPE = _entry("SQL_TYPE", _S.INVALID_ARGUMENT, _F.REQUEST)
SQL_NOT_A_QUERY = _entry(
    "SQL_NOT_A_QUERY",
    _S.INVALID_ARGUMENT,
    _F.REQUEST,
    "Send one SELECT statement (WITH, UNION and the like included).",
)
SQL_UNSUPPORTED = _entry("SQL_UNSUPPORTED", _S.UNIMPLEMENTED, _F.REQUEST)
SQL_TOO_LARGE = _entry("SQL_TOO_LARGE", _S.INVALID_ARGUMENT, _F.REQUEST)
SQL_PARAMETER = _entry("SQL_PARAMETER", _S.INVALID_ARGUMENT, _F.REQUEST)
SQL_EXECUTION = _entry("SQL_EXECUTION", _S.INVALID_ARGUMENT, _F.REQUEST)
BAD_REQUEST = _entry("BAD_REQUEST", _S.INVALID_ARGUMENT, _F.REQUEST)

# Permit, policy, identity
PERMIT_INVALID = _entry(
    "PERMIT_INVALID",
    _S.UNAUTHENTICATED,
    _F.PERMISSION,
    "Ask the authority for a permit signed for this federation.",
)
PERMIT_EXPIRED = _entry("PERMIT_EXPIRED", _S.PERMISSION_DENIED, _F.PERMISSION, "Ask the authority for a new permit.")
PERMIT_SCOPE = _entry("PERMIT_SCOPE", _S.PERMISSION_DENIED, _F.PERMISSION, "Ask the authority to widen the permit.")
REQUEST_SIGNATURE = _entry(
    "REQUEST_SIGNATURE", _S.UNAUTHENTICATED, _F.PERMISSION, "Sign with the key that the permit names."
)
IDENTITY = _entry("IDENTITY", _S.UNAUTHENTICATED, _F.PERMISSION)
POLICY_REFUSED = _entry("POLICY_REFUSED", _S.PERMISSION_DENIED, _F.PERMISSION)
BORDER_REFUSED = _entry("BORDER_REFUSED", _S.PERMISSION_DENIED, _F.PERMISSION)
DIFFERENCING_REFUSED = _entry(
    "DIFFERENCING_REFUSED",
    _S.PERMISSION_DENIED,
    _F.PERMISSION,
    "Ask for the same groups as before, or for groups that differ from them by more persons.",
)
BUDGET_EXHAUSTED = _entry(
    "BUDGET_EXHAUSTED", _S.RESOURCE_EXHAUSTED, _F.PERMISSION, "Repeat earlier questions, or ask the authority for more."
)
PERMIT_LOCKED = _entry(
    "PERMIT_LOCKED", _S.PERMISSION_DENIED, _F.PERMISSION, "The node's operator looks into it and unlocks the permit."
)
OPERATOR_STOPPED = _entry(
    "OPERATOR_STOPPED", _S.PERMISSION_DENIED, _F.PERMISSION, "Ask the node's operator why, and when it goes on."
)
OUTSIDE_HOURS = _entry("OUTSIDE_HOURS", _S.FAILED_PRECONDITION, _F.PERMISSION, "Run the query again at that time.")
RATE_LIMITED = _entry("RATE_LIMITED", _S.RESOURCE_EXHAUSTED, _F.PERMISSION, "Run the query again at that time.")
APPROVAL_PENDING = _entry(
    "APPROVAL_PENDING",
    _S.FAILED_PRECONDITION,
    _F.PERMISSION,
    "Ask the holder to decide ('archipel node approve'), then run the same query again.",
)
APPROVAL_REFUSED = _entry(
    "APPROVAL_REFUSED", _S.PERMISSION_DENIED, _F.PERMISSION, "Talk to the holder; a refusal can be taken back there."
)
SNAPSHOT_CHANGED = _entry(
    "SNAPSHOT_CHANGED",
    _S.FAILED_PRECONDITION,
    _F.PERMISSION,
    "The holder pins the table's new state in its policy, or puts the old one back.",
)

# Operation
NODE_UNAVAILABLE = _entry(
    "NODE_UNAVAILABLE",
    _S.UNAVAILABLE,
    _F.OPERATION,
    'Try again when the node is back, or ask with on_missing="partial".',
)
NODE_CHANGED = _entry("NODE_CHANGED", _S.ABORTED, _F.OPERATION, "Run the query again.")
NODE_SOURCE = _entry("NODE_SOURCE", _S.UNAVAILABLE, _F.OPERATION, "The node's operator finds the cause in its log.")
NODE_BUSY = _entry("NODE_BUSY", _S.RESOURCE_EXHAUSTED, _F.OPERATION, "Run the query again later.")
NODE_EXECUTION = _entry("NODE_EXECUTION", _S.ABORTED, _F.OPERATION, "The node's operator finds the cause in its log.")
NODE_RESOURCES = _entry("NODE_RESOURCES", _S.RESOURCE_EXHAUSTED, _F.OPERATION)
EXCHANGE_REFUSED = _entry(
    "EXCHANGE_REFUSED",
    _S.DATA_LOSS,
    _F.OPERATION,
    "Run the query again; when it happens again, the node's and the coordinator's operators find out who alters data.",
)
AUDIT_UNAVAILABLE = _entry(
    "AUDIT_UNAVAILABLE",
    _S.UNAVAILABLE,
    _F.OPERATION,
    "The node releases nothing until its operator has seen to the audit log.",
)
LEDGER_UNAVAILABLE = _entry(
    "LEDGER_UNAVAILABLE",
    _S.UNAVAILABLE,
    _F.OPERATION,
    "The node releases nothing until its operator has seen to the ledger.",
)
SCHEMA_CONFLICT = _entry("SCHEMA_CONFLICT", _S.FAILED_PRECONDITION, _F.OPERATION)
RESULT_TOO_LARGE = _entry(
    "RESULT_TOO_LARGE", _S.RESOURCE_EXHAUSTED, _F.OPERATION, "Aggregate more, filter, or add a LIMIT."
)
TIMEOUT = _entry("TIMEOUT", _S.DEADLINE_EXCEEDED, _F.OPERATION, "Ask for less, or raise timeout_s.")
CANCELLED = _entry("CANCELLED", _S.CANCELLED, _F.OPERATION)
INTERRUPTED = _entry("INTERRUPTED", _S.ABORTED, _F.OPERATION, "Run the query again.")
QUERY_NOT_FOUND = _entry("QUERY_NOT_FOUND", _S.NOT_FOUND, _F.REQUEST)
QUERY_NOT_FINISHED = _entry("QUERY_NOT_FINISHED", _S.FAILED_PRECONDITION, _F.REQUEST)
RESULT_EXPIRED = _entry("RESULT_EXPIRED", _S.NOT_FOUND, _F.OPERATION, "Run the query again.")
CLOCK_SKEW = _entry("CLOCK_SKEW", _S.FAILED_PRECONDITION, _F.OPERATION, "Set the clocks by NTP.")
MERGE_FAILED = _entry("MERGE_FAILED", _S.ABORTED, _F.OPERATION, "Run the query again.")
RAY_UNAVAILABLE = _entry("RAY_UNAVAILABLE", _S.UNAVAILABLE, _F.OPERATION)
COORDINATOR_UNAVAILABLE = _entry("COORDINATOR_UNAVAILABLE", _S.UNAVAILABLE, _F.OPERATION)
TOO_MANY_QUERIES = _entry("TOO_MANY_QUERIES", _S.RESOURCE_EXHAUSTED, _F.OPERATION, "Wait for a running query to end.")
CONFIG_INVALID = _entry("CONFIG_INVALID", _S.FAILED_PRECONDITION, _F.REQUEST)
INTERNAL = _entry("INTERNAL", _S.INTERNAL, _F.INTERNAL, "This is a fault of Archipel; the query's id helps to find it.")


def code_named(name: str) -> ErrorCode:
    """Return the entry of that name; an unknown name (a newer peer's) is INTERNAL."""
    return _CATALOG.get(name, INTERNAL)


def all_codes() -> tuple[ErrorCode, ...]:
    """Return the whole catalogue, in the order of its definition."""
    return tuple(_CATALOG.values())


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """What an error says: a catalogue code and texts that hold no data value.

    ``rule`` is the stable name of the border check's rule that refused, such as ``person-output``.
    """

    code: ErrorCode
    message: str
    hint: str = ""
    position: Position | None = None
    node: str = ""
    query_id: str = ""
    rule: str = ""


class ArchipelError(Exception):
    """Base of all errors of the product. ``str()`` gives message, position, node and hint."""

    def __init__(self, info: ErrorInfo) -> None:
        super().__init__(info.message)
        self.info = info

    @property
    def code(self) -> str:
        """The catalogue code's name."""
        return self.info.code.name

    @property
    def hint(self) -> str:
        """What to do about it; may be empty."""
        return self.info.hint

    @property
    def position(self) -> Position | None:
        """Where in the SQL it is, if it is anywhere there."""
        return self.info.position

    @property
    def node(self) -> str:
        """The node that raised it; empty for the coordinator or the client."""
        return self.info.node

    @property
    def query_id(self) -> str:
        """The query it ended; empty when there is none yet."""
        return self.info.query_id

    @property
    def rule(self) -> str:
        """The border check's rule that refused; empty for every other error."""
        return self.info.rule

    def __str__(self) -> str:
        info = self.info
        parts = [info.message]
        if info.position is not None:
            parts.append(f"At {info.position}.")
        if info.node:
            parts.append(f"Node: {info.node}.")
        if info.hint:
            parts.append(f"Hint: {info.hint}")
        return " ".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross Ray's process borders by pickle.
        return (raised, (self.info,))


class InterfaceError(ArchipelError):
    """The client was used wrongly."""


class DatabaseError(ArchipelError):
    """Anything that happened beyond the client."""


class ProgrammingError(DatabaseError):
    """The SQL or the request is wrong."""


class NotAllowedError(DatabaseError):
    """The permit or a holder's policy forbids it."""


class OperationalError(DatabaseError):
    """A node, a limit or the network stood in the way."""


class InternalError(DatabaseError):
    """A fault of Archipel itself."""


_CLASS_BY_FAULT: dict[Fault, type[DatabaseError]] = {
    Fault.REQUEST: ProgrammingError,
    Fault.PERMISSION: NotAllowedError,
    Fault.OPERATION: OperationalError,
    Fault.INTERNAL: InternalError,
}


def raised(info: ErrorInfo) -> ArchipelError:
    """Return the exception of the class that fits ``info``."""
    return _CLASS_BY_FAULT[info.code.fault](info)


def error(
    code: ErrorCode,
    message: str,
    *,
    hint: str | None = None,
    position: Position | None = None,
    node: str = "",
    query_id: str = "",
    rule: str = "",
) -> ArchipelError:
    """Return a new error; the catalogue's hint is used when none is given.

    >>> str(error(SQL_UNKNOWN_TABLE, "There is no table 'stay'.", hint="Did you mean 'stays'?"))
    "There is no table 'stay'. Hint: Did you mean 'stays'?"
    """
    return raised(ErrorInfo(code, message, code.hint if hint is None else hint, position, node, query_id, rule))


def with_context(cause: ArchipelError, *, node: str = "", query_id: str = "") -> ArchipelError:
    """Return the same error with the node and query filled in where they were empty."""
    info = cause.info
    return raised(replace(info, node=info.node or node, query_id=info.query_id or query_id))


def without_position(cause: ArchipelError) -> ArchipelError:
    """Return the same error without a place in the SQL: for SQL that the reader did not write."""
    return raised(replace(cause.info, position=None))
