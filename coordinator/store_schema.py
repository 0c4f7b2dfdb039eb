"""The tables of the coordinator's store, in SQL that SQLite and PostgreSQL share.

Nothing here is about a patient: researchers' own SQL, plans, what nodes registered, and results: aggregates, or
rows of tables that a holder's policy lets go.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION = 1

metadata = MetaData()

versions = Table("archipel_store", metadata, Column("version", Integer, primary_key=True))

queries = Table(
    "queries",
    metadata,
    Column("query_id", String(64), primary_key=True),
    Column("request_id", String(64), nullable=False),
    Column("request_sha256", String(64), nullable=False),
    Column("permit_id", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("researcher", Text, nullable=False),
    Column("sql", Text, nullable=False),
    Column("dialect", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False, default=0),
    Column("error", Text, nullable=False, default=""),
    Column("plan", Text, nullable=False),
    UniqueConstraint("permit_id", "researcher", "request_id"),
    Index("queries_of_researcher", "researcher", "created_ms"),
)

events = Table(
    "events",
    metadata,
    Column("query_id", ForeignKey("queries.query_id", ondelete="CASCADE"), primary_key=True),
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("node", String(64), nullable=False),
    Column("stage_id", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("error", Text, nullable=False),
)

results = Table(
    "results",
    metadata,
    Column("query_id", ForeignKey("queries.query_id", ondelete="CASCADE"), primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("info", LargeBinary, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("expires_ms", BigInteger, nullable=False, index=True),
)

chunks = Table(
    "result_chunks",
    metadata,
    Column("query_id", ForeignKey("results.query_id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

registrations = Table(
    "registrations",
    metadata,
    Column("node", String(64), primary_key=True),
    Column("hello", LargeBinary, nullable=False),
    Column("last_seen_ms", BigInteger, nullable=False),
)
