"""What the documents for officers and reviewers name as proof is there: every test, every file, every link."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("threat-model.md", "data-protection.md", "security-testing.md", "audit.md")

_NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
_LINK = re.compile(r"\]\(([\w.-]+\.md)?(?:#([\w-]+))?\)")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_test_that_a_document_names_is_there(name: str) -> None:
    named = set(_NAMED.findall((ROOT / "docs" / name).read_text(encoding="utf-8")))
    assert named or name == "audit.md"
    for file, test in named:
        source = (ROOT / file).read_text(encoding="utf-8")
        assert not test or f"def {test}(" in source, f"{file}::{test}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name: str) -> None:
    for file, anchor in _LINK.findall((ROOT / "docs" / name).read_text(encoding="utf-8")):
        target = (ROOT / "docs" / (file or name)).read_text(encoding="utf-8")
        if anchor:
            assert anchor in {_anchor(line) for line in target.splitlines() if line.startswith("#")}, (
                name,
                file,
                anchor,
            )


def _anchor(heading: str) -> str:
    words = heading.lstrip("# ").strip().lower()
    return re.sub(r"[^\w -]", "", words).replace(" ", "-")
