"""The researcher's signed request: the SQL and how it is to be answered, under the key that the permit names.

The coordinator hands it on to every node, so that a node sees which question a stage claims to serve.
"""

from __future__ import annotations

from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from archipel import errors, tokens
from archipel.permit import Permit

REQUEST_KIND = "archipel-request+jwt"
MAX_SQL_BYTES = 1024 * 1024
REQUEST_LIFETIME_S = 24 * 3600
"""A request older than this is refused by coordinator and nodes."""

Parameter = str | int | FiniteFloat | bool | None
"""What a parameter may be; dates and decimals travel as text that the SQL casts."""


class Privacy(BaseModel):
    """That an answer be differentially private: ``epsilon`` is what each node may tell of a person by it.

    A person is taken to be in no more than ``groups_per_person`` groups, and to have no more than ``rows_per_person``
    rows in each, if these are less than what the holders say; what a person has beyond is left out. Fewer mean less
    noise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epsilon: FiniteFloat = Field(ge=0.001, le=1_000_000)
    groups_per_person: int | None = Field(default=None, ge=1)
    rows_per_person: int | None = Field(default=None, ge=1)


class Request(BaseModel):
    """The payload of a request. ``issued`` is Unix seconds; ``request_id`` makes a repeated Submit count once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request_id: str = Field(min_length=8, max_length=64)
    permit_id: str
    sql: str
    dialect: str = "duckdb"
    parameters: list[Parameter] | dict[str, Parameter] = Field(default_factory=list)
    on_missing: Literal["fail", "partial"] = "fail"
    timeout_s: float = Field(default=300.0, gt=0, le=24 * 3600)
    max_rows: int | None = Field(default=None, ge=0)
    threshold_scope: Literal["node", "federation"] = "node"
    privacy: Privacy | None = None
    issued: int

    @model_validator(mode="after")
    def _one_way(self) -> Request:
        if self.privacy is not None and self.threshold_scope != "node":
            raise ValueError("differential privacy is each node's own")
        return self


def sign(request: Request, key: Ed25519PrivateKey) -> str:
    """Return the request as a token signed by the researcher."""
    return tokens.sign(request.model_dump(mode="json"), REQUEST_KIND, key)


def verify(token: str, permit: Permit, *, now: float) -> tuple[Request, str]:
    """Return the request and the researcher's name, after checking that the permit names the signing key.

    Raises:
        ArchipelError: REQUEST_SIGNATURE, CLOCK_SKEW or BAD_REQUEST.
    """
    try:
        found = permit.researcher_for(tokens.unverified_key_id(token))
        if found is None:
            raise errors.error(errors.REQUEST_SIGNATURE, "The permit does not name the key that signed this request.")
        name, key = found
        payload: dict[str, Any] = tokens.verify(token, REQUEST_KIND, key)
    except tokens.TokenError as cause:
        raise errors.error(errors.REQUEST_SIGNATURE, "The request's signature does not hold.") from cause
    try:
        request = Request.model_validate(payload)
    except ValidationError as cause:
        fields = ", ".join(".".join(str(p) for p in e["loc"]) or "privacy" for e in cause.errors())
        raise errors.error(errors.BAD_REQUEST, f"The request is malformed in: {fields}.") from cause
    if request.permit_id != permit.permit_id:
        raise errors.error(errors.REQUEST_SIGNATURE, "The request was signed for another permit.")
    if request.issued > now + tokens.CLOCK_SKEW_S:
        raise errors.error(errors.CLOCK_SKEW, "The request was signed in the future: the clocks are apart.")
    if request.issued < now - REQUEST_LIFETIME_S:
        raise errors.error(errors.REQUEST_SIGNATURE, "The request is too old.", hint="Send it anew.")
    if len(request.sql.encode()) > MAX_SQL_BYTES:
        raise errors.error(errors.SQL_TOO_LARGE, f"The SQL is longer than {MAX_SQL_BYTES} bytes.")
    return request, name
