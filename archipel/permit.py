"""The permit: who may ask what, of which nodes, for how long. Signed by the authority, checked by every party.

The coordinator's check serves the researcher (an early, clear refusal); the node's own check is what protects.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archipel import errors, tokens
from archipel.schema import MIN_PERSONS_FLOOR

PERMIT_KIND = "archipel-permit+jwt"

MAX_KEPT_CHARS = 64 * 1024
"""A longer permit is read anew each time, so that what is kept stays small."""

EVERY = "*"
"""Stands for every column of a table, and, in the first permit of a development federation only, for every table."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Researcher(_Model):
    """A named permit holder and the public key that signs their requests (base64url, raw Ed25519)."""

    name: str = Field(min_length=1)
    key: str


class TableGrant(_Model):
    """Columns of one table. ``("*",)`` grants every column that the holder's policy does not hide.

    The table ``"*"`` is every table: for development federations only, ``archipel permit issue`` signs no such permit.
    """

    table: str = Field(min_length=1)
    columns: tuple[str, ...] = Field(min_length=1, strict=False)


class Permit(_Model):
    """The payload of a permit. Times are Unix seconds."""

    permit_id: str = Field(min_length=1)
    federation: str = Field(min_length=1)
    project: str = Field(min_length=1)
    purpose: str = Field(min_length=1)
    researchers: tuple[Researcher, ...] = Field(min_length=1, strict=False)
    tables: tuple[TableGrant, ...] = Field(min_length=1, strict=False)
    nodes: tuple[str, ...] = Field(min_length=1, strict=False)
    not_before: int
    expires: int
    min_persons: int = Field(default=MIN_PERSONS_FLOOR, ge=MIN_PERSONS_FLOOR)
    linkage: bool = False
    intersection: bool = False
    """Whether nodes that link tell each other only of persons whom both have."""
    max_queries: int | None = Field(default=None, ge=1)
    """Questions about protected tables that may be asked of each node; what the node's policy allows, when absent."""
    max_cells: int | None = Field(default=None, ge=1)
    """Groups of answers about protected tables that each node may release; the same."""

    def allows_column(self, table: str, column: str) -> bool:
        """Whether the permit names the column, case-insensitively."""
        folded = column.lower()
        return any(c == EVERY or c.lower() == folded for grant in self._grants_of(table) for c in grant.columns)

    def allows_table(self, table: str) -> bool:
        """Whether the permit names the table, case-insensitively."""
        return bool(self._grants_of(table))

    def _grants_of(self, table: str) -> list[TableGrant]:
        folded = table.lower()
        return [grant for grant in self.tables if grant.table == EVERY or grant.table.lower() == folded]

    def researcher_for(self, kid: str) -> tuple[str, Ed25519PublicKey] | None:
        """Return the name and key of the researcher whose key has the identifier ``kid``."""
        for researcher in self.researchers:
            key, identifier = _key_and_id(researcher.key)
            if identifier == kid:
                return researcher.name, key
        return None


@lru_cache(maxsize=1024)
def _key_and_id(text: str) -> tuple[Ed25519PublicKey, str]:
    key = tokens.decode_public_key(text)
    return key, tokens.key_id(key)


@dataclass(frozen=True, slots=True)
class VerifiedPermit:
    """A permit whose signature and dates were checked, with the token it came in."""

    permit: Permit
    token: str


def issue(permit: Permit, authority_key: Ed25519PrivateKey) -> str:
    """Return the permit as a token signed by the authority."""
    return tokens.sign(permit.model_dump(mode="json"), PERMIT_KIND, authority_key)


def verify(token: str, authority_key: Ed25519PublicKey, *, federation: str, now: float) -> VerifiedPermit:
    """Return the permit in ``token`` after checking signature, federation and dates at ``now`` (Unix seconds).

    Raises:
        ArchipelError: PERMIT_INVALID, or PERMIT_EXPIRED when it is not valid any more or not yet.
    """
    signed = _signed if len(token) <= MAX_KEPT_CHARS else _signed.__wrapped__
    try:
        permit = signed(token, authority_key.public_bytes_raw())
    except (tokens.TokenError, ValidationError) as cause:
        raise errors.error(errors.PERMIT_INVALID, "The permit is not signed by this federation's authority.") from cause
    if permit.federation != federation:
        raise errors.error(errors.PERMIT_INVALID, "The permit is for another federation.")
    if now >= permit.expires:
        raise errors.error(errors.PERMIT_EXPIRED, "The permit has expired.")
    if now < permit.not_before - tokens.CLOCK_SKEW_S:
        raise errors.error(
            errors.PERMIT_EXPIRED,
            "The permit is not valid yet.",
            hint="Wait until its first day, or check this machine's clock.",
        )
    return VerifiedPermit(permit, token)


@lru_cache(maxsize=256)
def _signed(token: str, authority: bytes) -> Permit:
    """Return the permit in a token that the authority signed, whatever its dates.

    Remembered, since it depends on nothing but the two: a permit comes with every query, and every one of its tasks.
    What is not signed is not remembered.
    """
    permit = Permit.model_validate(tokens.verify(token, PERMIT_KIND, Ed25519PublicKey.from_public_bytes(authority)))
    for researcher in permit.researchers:
        tokens.decode_public_key(researcher.key)
    return permit


def read_unverified(token: str) -> dict[str, Any]:
    """Return a permit's payload without checking anything: for showing it, never for deciding."""
    import jwt

    try:
        payload = jwt.decode(token, options={"verify_signature": False, "verify_exp": False})
        kind = jwt.get_unverified_header(token).get("typ")
    except jwt.PyJWTError as cause:
        raise errors.error(errors.PERMIT_INVALID, "The file holds no permit.") from cause
    if kind != PERMIT_KIND:
        raise errors.error(errors.PERMIT_INVALID, "The file holds a signed document, but no permit.")
    return dict(payload)
