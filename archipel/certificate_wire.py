"""Certificates to and from their protobuf message. Apart from ``archipel.wire``, which needs no parser of SQL."""

from __future__ import annotations

from archipel import wire
from archipel.certificate import Certificate
from archipel.v1 import common_pb2


def to_wire(certificate: Certificate, node: str) -> common_pb2.Certificate:
    """Return the message of a certificate for one node: of the rules, its own."""
    return common_pb2.Certificate(
        sql_sha256=certificate.sql_sha256,
        destinations=certificate.destinations,
        form=wire.form_to_wire(certificate.form),
        columns=certificate.columns,
        functions=certificate.functions,
        min_persons=certificate.min_persons,
        linkage=certificate.linkage,
        rules=[rule for rule in certificate.rules if rule.startswith(f"{node}: ")],
        part_column=certificate.part_column,
    )


def from_wire(message: common_pb2.Certificate) -> Certificate:
    """Return the certificate of a message."""
    return Certificate(
        sql_sha256=message.sql_sha256,
        destinations=tuple(message.destinations),
        form=wire.form_from_wire(message.form),
        columns=tuple(message.columns),
        functions=tuple(message.functions),
        min_persons=message.min_persons,
        linkage=message.linkage,
        rules=tuple(message.rules),
        part_column=message.part_column,
    )
