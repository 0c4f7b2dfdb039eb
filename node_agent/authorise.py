"""Is this task asked by somebody who may ask? The node's own check of permit and request; trusts nobody's word.

Pure but for the keys it was given: time comes in as an argument.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from archipel import errors, permit, request


@dataclass(frozen=True, slots=True)
class Asked:
    """A task's permit and request after both were checked."""

    permit: permit.Permit
    request: request.Request
    researcher: str


def authorise(
    permit_token: str,
    request_token: str,
    *,
    node: str,
    federation: str,
    authority_key: Ed25519PublicKey,
    now: float,
) -> Asked:
    """Return who asks, what, under which permit.

    Raises:
        ArchipelError: PERMIT_..., REQUEST_SIGNATURE, CLOCK_SKEW or BAD_REQUEST.
    """
    verified = permit.verify(permit_token, authority_key, federation=federation, now=now)
    if node not in verified.permit.nodes:
        raise errors.error(errors.PERMIT_SCOPE, "The permit does not name this node.", node=node)
    asked, researcher = request.verify(request_token, verified.permit, now=now)
    return Asked(verified.permit, asked, researcher)
