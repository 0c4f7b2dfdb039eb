"""Whether nodes have what an exchange between them needs: sealing keys, and linkage secrets of one epoch.

The nodes refuse by themselves what they have no keys for. Asked beforehand, it closes one way of a plan, and others are
tried before the researcher is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archipel import errors
from coordinator.catalog import Catalog

NO_SEALING_KEY, NO_LINKAGE_SECRET, EPOCHS_DIFFER = "no-sealing-key", "no-linkage-secret", "linkage-epochs-differ"
NO_INTERSECTION = "no-intersection"
RULES = frozenset({NO_SEALING_KEY, NO_LINKAGE_SECRET, EPOCHS_DIFFER, NO_INTERSECTION})

_HINT = "Aggregate each table first in a WITH part, and join the groups; or ask the holders' operators for {missing}."


def check_sealing(nodes: Iterable[str], catalog: Catalog) -> None:
    """Make sure that all these nodes can send rows sealed, and take them.

    Raises:
        ArchipelError: POLICY_REFUSED for the first one that cannot.
    """
    without = next((node for node in nodes if not catalog.means_of(node).seals), None)
    if without is not None:
        raise _refused(
            NO_SEALING_KEY,
            f"'{without}' can neither send rows to other nodes nor take theirs: its operator has configured no "
            "sealing key.",
            missing="one",
        )


def check_linkage(sites: Sequence[str], senders: Sequence[str], catalog: Catalog, *, pseudonymised: bool) -> None:
    """Make sure that a statement meets persons only under pseudonyms that were made with one secret.

    ``senders`` made those that it reads; when it is ``pseudonymised`` it makes those of the sites' own persons. A site
    that has a secret takes no pseudonyms of another one, whether or not it makes any.

    Raises:
        ArchipelError: POLICY_REFUSED.
    """
    without = next((site for site in sites if pseudonymised and not catalog.means_of(site).linkage_epoch), None)
    if without is not None:
        raise _refused(
            NO_LINKAGE_SECRET,
            f"The persons of '{without}' cannot be brought together with those of other nodes: its operator has "
            "configured no linkage secret.",
            missing="one",
        )
    if not senders:
        return
    for site in sites:
        epochs: dict[int, str] = {}
        for node in (*senders, site):
            epochs.setdefault(catalog.means_of(node).linkage_epoch, node)
        epochs.pop(0, None)
        if len(epochs) > 1:
            (one, first), (other, second) = list(epochs.items())[:2]
            raise _refused(
                EPOCHS_DIFFER,
                f"The persons of '{first}' and '{second}' cannot be brought together: these nodes' linkage secrets are "
                f"of different epochs, {one} and {other}.",
                missing="the same secret",
            )


def check_intersecting(nodes: Iterable[str], catalog: Catalog) -> None:
    """Make sure that all these nodes take the steps of a private set intersection.

    Raises:
        ArchipelError: POLICY_REFUSED for the first one that does not.
    """
    without = next((node for node in nodes if not catalog.means_of(node).intersects), None)
    if without is not None:
        raise _refused(
            NO_INTERSECTION,
            f"'{without}' does not take part in private set intersections, and one is required.",
            missing="a version of the node that does",
        )


def _refused(rule: str, message: str, *, missing: str) -> errors.ArchipelError:
    return errors.error(errors.POLICY_REFUSED, message, hint=_HINT.format(missing=missing), rule=rule)
