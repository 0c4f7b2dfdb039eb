"""Project pseudonyms: the keyed hash under which a person is known to the holders of one project, and to nobody else.

Holders that link share a secret; the coordinator and researchers never have it. From the secret, the permit's id and
the key epoch comes a project's key (HKDF-SHA256, RFC 5869); a pseudonym is the HMAC-SHA256 (RFC 2104) of the person's
text under it. So the same person has the same pseudonym at every holder within a project, and unrelated ones in two.

The engine computes the HMAC itself, as two nested SHA-256 over the padded keys. These stand in a table of one row that
the node registers for the statement, and never in SQL text, plans or logs.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field

from archipel import configuration, errors, identity

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp

PADS_TABLE = "archipel_pads"
"""The table of one row with the padded keys: columns ``inner`` and ``outer``, 64 bytes each."""

PERSON_TYPE = "BLOB"
"""The type of a pseudonym, in DuckDB's spelling; 32 bytes."""

MIN_SECRET_BYTES = 32
MAX_EPOCH = 2**32 - 1

_BLOCK_BYTES = 64  # of SHA-256
_KEY_BYTES = 32
_OTHERS = stat.S_IRWXO | stat.S_IWGRP


@dataclass(frozen=True, slots=True)
class Linkage:
    """The holders' shared secret, of at least 32 random bytes, and the epoch it belongs to. Never leaves the node."""

    secret: bytes = field(repr=False)
    epoch: int

    def __post_init__(self) -> None:
        if len(self.secret) < MIN_SECRET_BYTES:
            raise ValueError(f"a linkage secret has at least {MIN_SECRET_BYTES} bytes")
        if not 1 <= self.epoch <= MAX_EPOCH:
            raise ValueError(f"a key epoch is between 1 and {MAX_EPOCH}")

    def key(self, permit_id: str) -> bytes:
        """Return the key of one project: HKDF over the secret, bound to permit and epoch."""
        purpose = json.dumps(["archipel", "pseudonym", 1, self.epoch, permit_id]).encode()
        return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=purpose).derive(self.secret)

    def pads(self, permit_id: str) -> pa.Table:
        """Return the table to register as ``PADS_TABLE`` for a statement under the permit."""
        import pyarrow as pa

        key = self.key(permit_id).ljust(_BLOCK_BYTES, b"\0")
        padded = {"inner": bytes(byte ^ 0x36 for byte in key), "outer": bytes(byte ^ 0x5C for byte in key)}
        return pa.table({name: pa.array([pad], pa.binary()) for name, pad in padded.items()})


def pseudonym(value: exp.Expr) -> exp.Expr:
    """Return SQL for the pseudonym of a person: 32 bytes, NULL for NULL. ``PADS_TABLE`` must be in FROM under its name.

    The person's text is what the engine's CAST to VARCHAR gives, so that 42 and '42' are one person.

    >>> from sqlglot import exp
    >>> pseudonym(exp.column("pid", "stays")).sql("duckdb").count("SHA256")
    2
    """
    from sqlglot import exp  # the client makes secrets' files and has no sqlglot

    def call(name: str, argument: exp.Expr) -> exp.Expr:
        return exp.Anonymous(this=name, expressions=[argument])

    def digest(pad: str, message: exp.Expr) -> exp.Expr:
        padded = exp.DPipe(this=exp.column(pad, PADS_TABLE, quoted=True), expression=message)
        return call("UNHEX", call("SHA256", padded))

    text = exp.cast(value.copy(), "VARCHAR", dialect="duckdb")
    return digest("outer", digest("inner", call("ENCODE", text)))


_HAVE_PSEUDONYMS = re.compile(r"VARCHAR|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|UUID|DECIMAL\(\d+, ?0\)", re.IGNORECASE)


def has_pseudonym(person_type: str) -> bool:
    """Whether persons of that type, in DuckDB's spelling, have one text wherever they are: texts and whole numbers do.

    >>> has_pseudonym("BIGINT"), has_pseudonym("DOUBLE")
    (True, False)
    """
    return _HAVE_PSEUDONYMS.fullmatch(person_type) is not None


def project_domain(domain: str, permit_id: str) -> str:
    """Return the person domain of pseudonyms: they compare with those of the same domain and permit, with nothing else.

    >>> project_domain("patient", "p-1")
    'project p-1: patient'
    """
    return f"{_of_project(permit_id)}{domain}"


def is_of_project(domain: str | None, permit_id: str) -> bool:
    """Whether a person domain is one of pseudonyms under the permit."""
    return domain is not None and domain.startswith(_of_project(permit_id))


def _of_project(permit_id: str) -> str:
    return f"project {permit_id}: "


# The secret's file


class _File(configuration.Section):
    epoch: int = Field(strict=True, ge=1, le=MAX_EPOCH)
    """Counts up with each new secret; holders of different epochs cannot link."""
    secret: str = Field(strict=True)
    """The secret in base64, at least 32 random bytes."""


def load(path: Path) -> Linkage:
    """Return the secret in a file: YAML or JSON with ``epoch`` and ``secret`` (base64).

    Raises:
        ArchipelError: CONFIG_INVALID when the file cannot be read, may be read by others than its owner and group, or
            holds anything else.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as cause:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"The linkage secret {path} cannot be read.",
            hint="Check the path and its permissions.",
        ) from cause
    if not stat.S_ISREG(mode) or mode & _OTHERS:
        raise errors.error(
            errors.CONFIG_INVALID,
            f"The linkage secret {path} may be read or changed by others.",
            hint=f"chmod 600 {path}; if others could read it, agree on a new secret with the other holders.",
        )
    content = configuration.load(path, _File)
    try:
        return Linkage(base64.b64decode(content.secret, validate=True), content.epoch)
    except (binascii.Error, ValueError):
        # The cause would quote what was read.
        raise errors.error(
            errors.CONFIG_INVALID,
            f"{path}: 'secret' is not the base64 of at least {MIN_SECRET_BYTES} bytes.",
            hint="Was the file copied whole?",
        ) from None


def create(epoch: int = 1) -> Linkage:
    """Return a new random secret, to be agreed on among the holders."""
    return Linkage(secrets.token_bytes(MIN_SECRET_BYTES), epoch)


def write(path: Path, linkage: Linkage) -> None:
    """Write a secret's file, readable by its owner only."""
    content = {"epoch": linkage.epoch, "secret": base64.b64encode(linkage.secret).decode()}
    identity.write_private(path, (json.dumps(content) + "\n").encode())
