"""The federation manifest: who the parties are, signed by the authority.

Every party holds a copy and the authority's public key; nothing in it is taken on another party's word.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from archipel import errors, tokens

MANIFEST_KIND = "archipel-manifest+jwt"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NodeEntry(_Model):
    """A node: its holder, where it is hosted, and its public keys (base64url, raw)."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")
    holder: str
    jurisdiction: str = "FR"
    qualifications: tuple[str, ...] = ()
    signing_key: str
    """Ed25519: signs receipts."""
    sealing_key: str
    """X25519: what other nodes seal exchanges to."""
    certificate_sha256: str
    """SHA-256 of the SubjectPublicKeyInfo of its TLS certificate, hex."""

    @model_validator(mode="after")
    def _keys_are_keys(self) -> NodeEntry:
        tokens.decode_public_key(self.signing_key)
        return self


class Manifest(_Model):
    """The payload of a manifest. ``issued`` is Unix seconds."""

    federation: str = Field(min_length=1)
    serial: int = Field(ge=1)
    issued: int
    coordinator_certificate_sha256: str
    nodes: tuple[NodeEntry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _every_node_once(self) -> Manifest:
        if len({node.name for node in self.nodes}) < len(self.nodes):
            raise ValueError("a node stands twice")
        return self

    def node(self, name: str) -> NodeEntry | None:
        """Return the entry of that node."""
        return next((n for n in self.nodes if n.name == name), None)


def issue(manifest: Manifest, authority_key: Ed25519PrivateKey) -> str:
    """Return the manifest as a token signed by the authority."""
    return tokens.sign(manifest.model_dump(mode="json"), MANIFEST_KIND, authority_key)


def verify(token: str, authority_key: Ed25519PublicKey) -> Manifest:
    """Return the manifest in ``token``.

    Raises:
        ArchipelError: CONFIG_INVALID when it is not signed by the authority.
    """
    try:
        return Manifest.model_validate(tokens.verify(token, MANIFEST_KIND, authority_key))
    except (tokens.TokenError, ValidationError) as cause:
        raise errors.error(
            errors.CONFIG_INVALID,
            "The federation manifest is not signed by the authority whose key is configured.",
            hint="Get manifest and authority key from the authority again.",
        ) from cause
