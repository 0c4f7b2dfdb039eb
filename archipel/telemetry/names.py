"""The names of everything that Archipel puts on spans and metrics: a written contract.

Where OpenTelemetry's semantic conventions have a stable name it is used (database client spans), and the release
candidate for RPC otherwise; ours begin with ``archipel.``. What is not named here is not exported.

No attribute ever holds a data value, a literal of a query, a person key or an error message. A node's spans also
hold no row count, no value and no bytes by group: those would tell what the border check withheld.
"""

from __future__ import annotations

from enum import StrEnum


class Attribute(StrEnum):
    """Keys of span and metric attributes."""

    QUERY_ID = "archipel.query.id"
    """The query's identifier, the same at every party."""
    QUERY_STATE = "archipel.query.state"
    """How a query ended: ``done``, ``failed`` or ``cancelled``."""
    STAGE_ID = "archipel.stage.id"
    STAGE_KIND = "archipel.stage.kind"
    """``node``, ``merge`` or ``finish``."""
    EXCHANGE_ID = "archipel.exchange.id"
    EXCHANGE_FORM = "archipel.exchange.form"
    """``aggregate``, ``sketch``, ``keys`` or ``rows``."""
    EXCHANGE_SEALED = "archipel.exchange.sealed"
    """Whether it went from node to node, encrypted for its receiver."""
    NODE = "archipel.node"
    """A node's name in the manifest."""
    ATTEMPT = "archipel.task.attempt"
    """Which attempt at a task, from 1."""
    POLICY_DECISION = "archipel.policy.decision"
    """``allowed`` or ``refused``."""
    POLICY_RULE = "archipel.policy.rule"
    """The border check's stable name of the rule, such as ``person-output``."""
    MERGE_EXECUTOR = "archipel.merge.executor"
    """``in-process`` or ``ray``."""
    MERGE_PARTITIONS = "archipel.merge.partitions"
    """Into how many parts a merge was cut."""
    MERGE_PARTITION = "archipel.merge.partition"
    """Which part, from 0."""
    AUDIT_KIND = "archipel.audit.kind"
    """Of an event: ``released``, ``refused``, ``failed``, and what else a node writes into its audit log."""
    AUDIT_RECORD = "archipel.audit.record"
    """Hash of the audit record that the event is about."""
    AUDIT_DURATION = "archipel.audit.duration"
    """Seconds from a task's arrival to its record."""
    PERMIT_ID = "archipel.permit.id"
    PROJECT = "archipel.project"
    DESTINATION = "archipel.destination"
    """``@coordinator`` or a node's name; several are joined by commas."""
    RELEASED_BYTES = "archipel.release.bytes"
    """Of a whole release; absent where rows about persons went to a node, whose size would tell how many they are."""
    ERROR_TYPE = "error.type"
    """A code of the error catalogue, a gRPC status or the class of an exception; never its message."""

    DB_SYSTEM_NAME = "db.system.name"
    DB_NAMESPACE = "db.namespace"
    DB_OPERATION_NAME = "db.operation.name"
    DB_COLLECTION_NAME = "db.collection.name"
    DB_QUERY_SUMMARY = "db.query.summary"
    """The operation and the tables, of low cardinality: ``SELECT stays hospitals``."""
    DB_QUERY_TEXT = "db.query.text"
    """Only what ``mask_sql`` returned."""

    RPC_SYSTEM_NAME = "rpc.system.name"
    RPC_METHOD = "rpc.method"
    """Service and method: ``archipel.v1.QueryService/Submit``."""
    RPC_STATUS_CODE = "rpc.status_code"
    """The status by name: ``OK``, ``CANCELLED``, …"""


AUDIT_EVENT = "archipel.audit"
"""Name of the events that a node sends of its audit records, where its operator has it do so."""


class Metric(StrEnum):
    """Names of the instruments; durations are histograms in seconds."""

    QUERIES = "archipel.queries"
    """Count of queries that ended, by ``archipel.query.state``."""
    QUERY_DURATION = "archipel.query.duration"
    """Submission to end, by ``archipel.query.state``."""
    EXCHANGE_BYTES = "archipel.exchange.bytes"
    """Bytes that a stage's output had on the wire, by form, whether sealed, and ``archipel.node``."""
    DB_OPERATION_DURATION = "db.client.operation.duration"
    """One statement in an engine, by ``db.operation.name`` and ``error.type``."""
    RPC_SERVER_DURATION = "rpc.server.call.duration"
    RPC_CLIENT_DURATION = "rpc.client.call.duration"


DURATION_BUCKETS_S = (
    *(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0),
    *(30.0, 60.0, 300.0, 900.0, 3600.0),
)
"""The convention's buckets end at 10 s; statements over years of claims take minutes, so ours go on to an hour."""
