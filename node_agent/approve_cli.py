"""``archipel node approve``: a person at the node looks at what is asked, and decides.

What researchers wrote is shown with every character that could deceive the eye written out: the person must decide on
what will run, not on what a terminal makes of it.
"""

from __future__ import annotations

import time
import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from archipel import errors

if TYPE_CHECKING:
    from node_agent.approval import Decided, Desk, Question

_DECEIVING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
SHOWN_SQL_LINES = 40


def approve(
    config: Annotated[Path, typer.Option("--config", help="The node's configuration file.")],
    identifier: Annotated[str | None, typer.Argument(metavar="ID", help="The question to approve.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="Show what waits for a decision.")] = False,
    show: Annotated[str | None, typer.Option("--show", metavar="ID", help="Show a question whole.")] = None,
    refuse: Annotated[str | None, typer.Option("--refuse", metavar="ID", help="Refuse this question.")] = None,
    because: Annotated[
        str, typer.Option("--because", help="Why. The researcher reads it: write no patient's data into it.")
    ] = "",
    days: Annotated[
        int | None,
        typer.Option(
            "--days",
            min=1,
            max=3650,
            help="How long the decision holds, at most as long as the permit. Without it: an approved statement 7 "
            "days, everything else as long as the permit.",
        ),
    ] = None,
    by: Annotated[str, typer.Option("--by", help="Who decides; without it the name of the account.")] = "",
) -> None:
    """Look at questions that wait for a person, and approve or refuse them. The running agent obeys at once."""
    from node_agent import config as configuration
    from node_agent.approval import APPROVED, FOLDER, REFUSED, Desk

    chosen = [part for part in (identifier, show, refuse, "list" if listing else None) if part is not None]
    if len(chosen) != 1:
        raise errors.error(errors.BAD_REQUEST, "One of --list, --show ID, ID or --refuse ID is needed, and one only.")
    desk = Desk(configuration.load(config).state_dir / FOLDER)
    if listing:
        _list(desk)
    elif show is not None:
        print("\n".join(_whole(desk.find(show))))
    elif refuse is not None:
        if not because.strip():
            raise errors.error(errors.BAD_REQUEST, "A refusal needs a reason: --because TEXT.")
        _decide(desk, desk.find(refuse), REFUSED, because, days, by)
    elif identifier is not None:
        _decide(desk, desk.find(identifier), APPROVED, because, days, by)


def _decide(desk: Desk, question: Question, what: str, because: str, days: int | None, by: str) -> None:
    from node_agent.approval import APPROVED, APPROVED_DAYS, DAY_S, Decision, shown
    from node_agent.switches import signed

    now = time.time()
    if days is None and what == APPROVED and question.covers == "every-query":
        days = APPROVED_DAYS
    until = min(question.permit_expires, now + days * DAY_S if days is not None else question.permit_expires)
    if until <= now:
        raise errors.error(errors.BAD_REQUEST, "The permit of this question has expired: there is nothing to decide.")
    who = signed(by)
    decision = Decision(question.digest(), what, who, because.strip(), round(now, 3), float(until))
    print("\n".join(_whole(question)))
    try:
        desk.decide(decision)
    except OSError as cause:
        text = f"The decision cannot be written: {cause.strerror}."
        raise errors.error(errors.CONFIG_INVALID, text, hint="Run it as the agent's user.") from None
    scope = "this statement" if question.covers == "every-query" else "these tables, this researcher and permit"
    print(f"\n{what} {shown(question)} by {plain(who)} for {scope}, until {_when(until)}.")


def _list(desk: Desk) -> None:
    from node_agent.approval import APPROVED, shown

    waiting = desk.pending()
    for pending in waiting:
        question = pending.question
        covers = "this statement" if question.covers == "every-query" else "first use"
        print(f"{shown(question)}  asked {_when(pending.time)}  decision on: {covers}")
        print("\n".join(f"    {line}" for line in _summary(question)))
    unread = len(desk.unread())
    if not waiting:
        print("Nothing waits for a decision.")
    if unread:
        print(f"{unread} decisions are not read by the agent yet: it reads them within seconds, or when it starts.")
    in_force = [d for d in desk.decided() if d.decision.expires > time.time()]
    if in_force:
        print("\nDecisions in force:")
    for decided in in_force:
        what = "approved" if decided.decision.decision == APPROVED else "refused"
        print(f"{shown(decided.question)}  {what} by {_told(decided)}")


def _told(decided: Decided) -> str:
    decision, question = decided.decision, decided.question
    return plain(
        f"{decision.by} on {_when(decision.time)}, until {_when(decision.expires)}: {question.researcher}, permit "
        f"{question.permit_id}, {', '.join(question.tables)}"
    )


def _facts(question: Question) -> list[str]:
    to = "the coordinator" if question.destinations == ("@coordinator",) else ", ".join(question.destinations)
    least = f", of at least {question.min_persons} persons a group" if question.min_persons else ""
    return [
        plain(line)
        for line in (
            f"researcher: {question.researcher}",
            f"project:    {question.project}: {question.purpose}",
            f"permit:     {question.permit_id}, until {_when(question.permit_expires)}",
            f"leaves:     {question.form}{least}, to {to}",
            f"tables:     {', '.join(question.tables)}",
            f"columns:    {', '.join(question.columns)}",
            *(f"handed in:  {name}, {what}" for name, what in question.inputs.items()),
        )
    ]


def _summary(question: Question) -> list[str]:
    lines = question.researcher_sql.splitlines()
    cut = [f"    ... {len(lines) - SHOWN_SQL_LINES} more lines: --show"] if len(lines) > SHOWN_SQL_LINES else []
    return [*_facts(question), "what the researcher wrote:", *_sql("\n".join(lines[:SHOWN_SQL_LINES])), *cut]


def _whole(question: Question) -> list[str]:
    return [
        f"question {question.digest()}",
        *_facts(question),
        "what the researcher wrote:",
        *_sql(question.researcher_sql),
        "what would run here, with the threshold in it:",
        *_sql(question.sql),
    ]


def _sql(text: str) -> list[str]:
    return [plain(f"    {line}") for line in text.splitlines()]


def plain(text: str) -> str:
    r"""Return a text with everything written out that could deceive: control characters, marks of writing direction.

    >>> print(plain("SELECT 1 \x1b[8m-- hidden"))
    SELECT 1 \x1b[8m-- hidden
    """
    return "".join(
        char if unicodedata.category(char) not in _DECEIVING else char.encode("unicode_escape").decode()
        for char in text
    )


def _when(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%Y-%m-%d %H:%M} UTC"
