"""Makes the proofs that a node gives of its audit log: that a record is in it, and that it only grew."""

from __future__ import annotations

from pathlib import Path

from archipel import errors, merkle, proof
from node_agent import audit_reading


def newest_checkpoint(directory: Path) -> str:
    """Return the last checkpoint of a log.

    Raises:
        ArchipelError: BAD_REQUEST when there is none.
    """
    tokens = audit_reading.checkpoint_tokens(directory)
    if not tokens:
        raise errors.error(
            errors.BAD_REQUEST,
            "The log has no checkpoint yet.",
            hint="The agent writes one at its start and its end.",
        )
    return tokens[-1]


def inclusion(directory: Path, record: str, checkpoint: str) -> proof.Inclusion:
    """Return the proof that a record is among those of a checkpoint.

    Raises:
        ArchipelError: BAD_REQUEST when it is not, or was purged, or when the log is not the checkpoint's.
    """
    content = proof.read_checkpoint(checkpoint)
    tree, hashes = audit_reading.tree_of(directory)
    _check(tree, content)
    try:
        index = hashes.index(record) + tree.size - len(hashes)
    except ValueError:
        raise errors.error(errors.BAD_REQUEST, "There is no record with that hash in the log.") from None
    if index >= content.size:
        raise errors.error(
            errors.BAD_REQUEST,
            "The record is newer than the checkpoint.",
            hint="Take a later checkpoint: the agent writes one every hour and at its end.",
        )
    path = tuple(part.hex() for part in tree.inclusion(index, content.size))
    return proof.Inclusion(record=record, index=index, path=path, checkpoint=checkpoint)


def consistency(directory: Path, first: str, second: str) -> proof.Consistency:
    """Return the proof that the log of checkpoint ``first`` is the beginning of that of ``second``.

    Raises:
        ArchipelError: BAD_REQUEST when the log is not that of both, or too little is known since a purge.
    """
    older, newer = proof.read_checkpoint(first), proof.read_checkpoint(second)
    if older.size > newer.size:
        raise errors.error(errors.BAD_REQUEST, "The first checkpoint is the later one.")
    tree, _ = audit_reading.tree_of(directory)
    _check(tree, older)
    _check(tree, newer)
    try:
        path = tuple(part.hex() for part in tree.consistency(older.size, newer.size))
    except merkle.Missing:
        raise _purged() from None
    return proof.Consistency(path=path, first=first, second=second)


def _check(tree: merkle.Tree, content: proof.Checkpoint) -> None:
    if content.size > tree.size:
        raise errors.error(errors.BAD_REQUEST, "The log has fewer records than the checkpoint counts.")
    try:
        root = tree.root(content.size)
    except merkle.Missing:
        raise _purged() from None
    if root.hex() != content.root:
        raise errors.error(errors.BAD_REQUEST, "The checkpoint is not of this log.")


def _purged() -> errors.ArchipelError:
    return errors.error(
        errors.BAD_REQUEST,
        "The records of the checkpoint were purged, and it was none of those that the log kept then.",
        hint="Name one of 'archipel audit checkpoints'.",
    )
