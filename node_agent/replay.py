"""Plays a decision of the audit log again: from what was kept of it, by the software that is here now.

What is played again is what a node derives from documents alone: permit, request, border check. What it decides from
its state of the moment (how often somebody has asked, what they were answered before, whether a person approved,
whether the engine failed) is not in a document; there the record is all that is known, and the replay says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archipel import __version__, errors, permit, tokens
from archipel.border.decision import Release
from archipel.schema import COORDINATOR, Column, Scope, Table
from node_agent import evidence
from node_agent.authorise import Asked, authorise
from node_agent.decisions import Decisions

Record = Mapping[str, Any]


@dataclass(slots=True)
class Replay:
    """The steps of a replay in words, and whether they end where the record does.

    ``same`` is None where the decision was one that cannot be played again.
    """

    steps: list[str] = field(default_factory=list)
    same: bool | None = None

    def say(self, text: str) -> None:
        """Add a step."""
        self.steps.append(text)


def replay(record: Record, folder: Path) -> Replay:
    """Return how the decision of a record is reached over the documents in ``folder``.

    Raises:
        ArchipelError: BAD_REQUEST when it is no record of a task's decision.
    """
    if record.get("kind") not in {"released", "refused", "failed"} or "asked_sql" not in record:
        raise errors.error(errors.BAD_REQUEST, "The record is not about the decision on a task.")
    played = Replay()
    found = _documents(record, folder, played)
    if found is None:
        return played
    setting = json.loads(found["setting"])
    _say_setting(record, setting, played)
    try:
        asked = _authorised(record, found, setting)
    except errors.ArchipelError as problem:
        played.say(f"Permit and request: refused with {problem.code}: {problem.info.message}")
        _compare_refusal(record, problem, played)
        return played
    _say_asked(asked, played)
    if "round" in record or asked.request.threshold_scope == Scope.FEDERATION.value:
        step = record.get("round_step", "a step")
        played.say(
            f"It is '{step}' of a total over several nodes: what nodes mask for one another is not played again."
        )
        played.say(f"The record says: {_ended(record)}")
        return played
    if "intersection_step" in record:
        played.say(
            f"It is '{record['intersection_step']}' of a private set intersection: who is in both is not played again, "
            "but whether its statement may go, of persons in both only."
        )
    try:
        releases = _decided(record, found, setting, asked)
    except errors.ArchipelError as problem:
        rule = f" by its rule '{problem.rule}'" if problem.rule else ""
        played.say(f"The border check refuses the statement{rule}, with {problem.code}: {problem.info.message}")
        _compare_refusal(record, problem, played)
        return played
    release = next(iter(releases.values()))
    for destination, allowed in releases.items():
        whom = "the coordinator" if destination == COORDINATOR else destination
        played.say(f"The border check lets {allowed.form.name.lower()}s go to {whom}, by the rule: {allowed.rule}")
    played.say(f"What it reads: {', '.join(release.columns) or 'no column'}")
    _compare_release(record, release, played)
    return played


def _documents(record: Record, folder: Path, played: Replay) -> dict[str, str] | None:
    found = {}
    for kind in ("permit", "request", "policy", "setting", "inputs"):
        digest = record.get(f"{kind}_sha256")
        if digest is None:
            continue
        text = evidence.find(folder, str(digest))
        if text is not None:
            found[kind] = text
    for kind in ("permit", "request", "setting"):
        if kind not in found:
            if "setting_sha256" not in record:
                played.say(
                    "Nothing was kept for it: permit or request were not believed, or the node kept nothing then."
                )
                played.say(f"The record says: {_ended(record)}")
            else:
                played.say(f"The {kind} that the record names is not kept any more, or was altered.")
            return None
    played.say("Permit, request and the node's setting are those that the record names by their SHA-256.")
    if "policy" not in found:
        played.say("The policy file itself is not kept any more; what it said of the tables is in the setting.")
    return found


def _say_setting(record: Record, setting: Mapping[str, Any], played: Replay) -> None:
    digest = str(record.get("policy_sha256", setting["policy_sha256"]))
    played.say(f"In force at {setting['node']}: the policy file with the SHA-256 {digest}.")
    then = setting["software"]
    if then.get("archipel") != __version__:
        played.say(f"Decided by Archipel {then.get('archipel')}; played again by {__version__}.")
    else:
        played.say(f"Decided, and played again, by Archipel {__version__}.")


def _authorised(record: Record, found: Mapping[str, str], setting: Mapping[str, Any]) -> Asked:
    return authorise(
        found["permit"],
        found["request"],
        node=setting["node"],
        federation=setting["federation"],
        authority_key=tokens.decode_public_key(setting["authority_key"]),
        now=float(record["time"]),
    )


def _say_asked(asked: Asked, played: Replay) -> None:
    granted = asked.permit
    tables = ", ".join("every table" if grant.table == permit.EVERY else grant.table for grant in granted.tables)
    played.say(
        f"The permit {granted.permit_id} holds: signed by the authority, in force then, for {granted.project}; it "
        f"names {tables}, and asks for groups of at least {granted.min_persons} persons."
    )
    played.say(f"The request is signed by {asked.researcher}, whom the permit names: {_one_line(asked.request.sql)}")


def _decided(record: Record, found: Mapping[str, str], setting: Mapping[str, Any], asked: Asked) -> dict[str, Release]:
    tables = tuple(evidence.table_from(document) for document in setting["tables"])
    plain: Mapping[str, tuple[Column, ...]] = {}
    received: Mapping[str, Table] = {}
    if "inputs" in found:
        plain, received = evidence.inputs_from(found["inputs"])
    decisions = Decisions(setting["node"])
    return {
        str(destination): decisions.decide(
            str(record["asked_sql"]),
            tables,
            plain,
            asked.permit,
            received=received,
            destination=str(destination),
            privacy=asked.request.privacy,
            intersected="intersection_step" in record,
        )
        for destination in record.get("destinations", (COORDINATOR,))
    }


def _compare_refusal(record: Record, problem: errors.ArchipelError, played: Replay) -> None:
    same = record["kind"] != "released" and (record.get("code"), record.get("refused_by", "")) == (
        problem.code,
        problem.rule,
    )
    _end(record, played, same)


def _compare_release(record: Record, release: Release, played: Replay) -> None:
    if record["kind"] != "released" and "executed_sql" not in record and "rule" not in record:
        later = record.get("code")
        played.say(f"So the border check would let it through; what the record says was decided elsewhere: {later}.")
        played.say("Such a decision rests on the node's state of the moment and is not played again.")
        played.say(f"The record says: {_ended(record)}")
        return
    now: dict[str, Any] = {
        "rule": release.rule,
        "form": release.form.name.lower(),
        "tables": list(release.tables),
        "columns": list(release.columns),
        "executed_sql": release.sql,
    }
    differing = [name for name, value in now.items() if record.get(name) != value]
    for name in differing:
        played.say(f"It DIFFERS in '{name}': then {_one_line(record.get(name))}; now {_one_line(now[name])}")
    if not differing:
        played.say("Rule, form, tables, columns and the statement that may run are the same, to the letter.")
    if record["kind"] != "released":
        played.say(f"After that, which is not played again: {_ended(record)}")
        played.same = False if differing else None
        return
    if record.get("min_persons") is not None:
        played.say(
            f"When it ran, the smallest group that left had {record.get('fewest_persons_of_a_group')} persons; "
            f"{record.get('withheld_groups')} groups were withheld; {record.get('rows')} rows left."
        )
    _end(record, played, not differing)


def _end(record: Record, played: Replay, same: bool) -> None:
    played.same = same
    played.say(f"The record says: {_ended(record)}")


def _ended(record: Record) -> str:
    if record["kind"] == "released":
        return f"released, {record.get('bytes')} bytes."
    rule = f", by the rule '{record['refused_by']}'" if record.get("refused_by") else ""
    return f"{record['kind']} with {record.get('code')}{rule}: {record.get('reason')}"


def _one_line(value: object) -> str:
    text = " ".join(str(value).split())
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
