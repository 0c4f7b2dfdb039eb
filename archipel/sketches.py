"""Estimating how many distinct values there are over nodes: HyperLogLog registers, computed by the engine in plain SQL.

A node gives for each group a list of at most 4,096 numbers, ``bucket * 64 + rank``: of the values whose salted hash
begins with a bucket, the most leading zeros plus one of the rest. Registers of several nodes merge by their maximum,
whatever the order (Flajolet, Fusy, Gandouet and Meunier, 2007). The estimate is Ertl's ("New cardinality estimation
algorithms for HyperLogLog sketches", 2017, arXiv:1702.01284, section 4): without bias from none to 10^12, no tables.

Why not a library's sketches: numbers in a list can be checked as Arrow when they come from a node, are merged by SQL on
whichever executor, and give the same bits every time; the node needs no code of a library in its engine.

The salt is made from the permit, so that the registers of two permits have nothing in common. It is no secret: whoever
has registers of few values and a candidate for one of them can test for it. So sketches of protected tables leave only
where policy says ``sketch``, and persons are never counted so.
"""

from __future__ import annotations

import hashlib
import math

import sqlglot
from sqlglot import exp

FUNCTION = "archipel_hll"
"""What computes the registers of a group: ``archipel_hll(value, salt)``; NULL where it has no value."""

REGISTERS = 4096
STANDARD_ERROR = 1.04 / math.sqrt(REGISTERS)
"""Relative; 1.6 %."""

DEFINITION = """
CREATE MACRO archipel_hll(x, salt) AS list_transform(
    [list_sort(list(DISTINCT (
        (hash(md5(salt || CAST(x AS VARCHAR))) >> 52) * 64
        + 53 - length(bin(hash(md5(salt || CAST(x AS VARCHAR))) & 4503599627370495)))::UINTEGER
    ) FILTER (WHERE x IS NOT NULL))],
    lambda l: list_filter(l, lambda c, i: i = len(l) OR l[i + 1] // 64 <> c // 64)
)[1]
"""
"""Every engine that computes or describes registers gets this; 12 bits name the bucket, 52 are counted for the rank."""

_MERGED = "list_sort(flatten(list(p)))"
_REDUCED = "list_filter(p, lambda c, i: i = len(p) OR p[i + 1] // 64 <> c // 64)"
_EMPTY = "(4096 - len(p)) / 4096::DOUBLE"
_ESTIMATE = """
coalesce(round(CASE WHEN len(p) > 0 THEN 4096::DOUBLE * 4096 / (2 * ln(2)) / (
    list_sum(list_transform(p, lambda c: pow(2::DOUBLE, -(c % 64)::DOUBLE)))
    + 4096 * (empty + list_sum(list_transform(range(1, 21), lambda k: pow(empty, pow(2, k)) * pow(2, k - 1))))
) END), 0)
"""


def salt(permit_id: str) -> str:
    """Return the salt of a permit's sketches.

    >>> salt("a") == salt("a"), salt("a") == salt("b"), len(salt("a"))
    (True, False, 32)
    """
    return hashlib.sha256(b"archipel sketch\0" + permit_id.encode()).hexdigest()[:32]


def registers(value: exp.Expr, permit_id: str) -> exp.Expr:
    """Return the call that computes the registers of a group."""
    return exp.Anonymous(this=FUNCTION, expressions=[value, exp.Literal.string(salt(permit_id))])


def merged(partials: exp.Expr) -> exp.Expr:
    """Return the aggregate of several nodes' registers: all of them, sorted."""
    return _filled(_MERGED, p=partials)


def reduced(together: exp.Expr) -> exp.Expr:
    """Return of merged registers the largest of each bucket."""
    return _filled(_REDUCED, p=together)


def estimate(found: exp.Expr) -> exp.Expr:
    """Return how many distinct values gave these registers; 0 of NULL."""
    empty = exp.paren(_filled(_EMPTY, p=found))
    return _filled(_ESTIMATE, p=found, empty=empty)


def _filled(template: str, **parts: exp.Expr) -> exp.Expr:
    tree = sqlglot.parse_one(template, read="duckdb")
    for node in list(tree.find_all(exp.Column, exp.Identifier)):
        name = node.name
        if name in parts and not isinstance(node.parent, exp.Column):
            node.replace(parts[name].copy())
    return tree
