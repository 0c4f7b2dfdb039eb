"""The command line without a coordinator: output forms, exit codes, errors with their place, signed documents."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import json
import re
import subprocess
import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

from archipel import errors, permit, receipt
from archipel.cli.app import build
from archipel.cli.exits import Exit, exit_code, show
from archipel.cli.queries import parameters_from, write
from archipel.identity import load_signing_key
from archipel.policy import Policy
from coordinator.config import CoordinatorConfig
from node_agent.config import NodeConfig

ROOT = Path(__file__).parents[2]
TABLE = pa.table(
    {
        "region": ["Bretagne", None],
        "n": pa.array([12, 7], pa.int64()),
        "cost": pa.array([decimal.Decimal("1.50"), None], pa.decimal128(9, 2)),
        "day": [dt.date(2023, 1, 31), None],
        "share": [0.5, float("nan")],
        "codes": [["E10", "E11"], []],
    }
)


def archipel(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, without the variables that name a coordinator."""
    return subprocess.run(
        [sys.executable, "-m", "archipel.cli", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200", "LANG": "C.UTF-8"},
    )


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A development federation that the command itself has made."""
    out = tmp_path_factory.mktemp("cli") / "dev"
    done = archipel("federation", "init", str(out), "--node", "cnam=CNAM", "--node", 'hospital_a="CHU de Lille"')
    assert done.returncode == 0, done.stderr
    return out


# --- output ------------------------------------------------------------------------------------------------------


def test_the_table_form_is_for_reading(capsys: pytest.CaptureFixture[str]) -> None:
    write(TABLE.select(["region", "n", "cost"]), "table", None)
    assert capsys.readouterr().out == (
        "region    n   cost\n--------  --  ----\nBretagne  12  1.50\nNULL      7   NULL\n(2 rows)\n"
    )


def test_json_is_valid_for_every_type_and_keeps_columns_of_one_name(tmp_path: Path) -> None:
    write(TABLE, "json", tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text(), parse_constant=lambda name: pytest.fail(name)) == [
        {"region": "Bretagne", "n": 12, "cost": "1.50", "day": "2023-01-31", "share": 0.5, "codes": ["E10", "E11"]},
        {"region": None, "n": 7, "cost": None, "day": None, "share": "nan", "codes": []},
    ]
    twins = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["a", "a", "a_1"])
    write(twins, "json", tmp_path / "twins.json")
    assert json.loads((tmp_path / "twins.json").read_text()) == [{"a": 1, "a_1": 2, "a_1_1": 3}]


def test_csv_writes_every_type(tmp_path: Path) -> None:
    write(TABLE, "csv", tmp_path / "r.csv")
    assert (tmp_path / "r.csv").read_text() == (
        '"region","n","cost","day","share","codes"\n'
        "\"Bretagne\",12,1.50,2023-01-31,0.5,\"['E10', 'E11']\"\n"
        ',7,,,nan,"[]"\n'
    )


def test_parquet_and_arrow_keep_types_and_values(tmp_path: Path) -> None:
    write(TABLE, "parquet", tmp_path / "r.parquet")
    assert pq.read_table(tmp_path / "r.parquet").equals(TABLE) or (
        pq.read_table(tmp_path / "r.parquet").to_pylist().__repr__() == TABLE.to_pylist().__repr__()
    )
    write(TABLE, "arrow", tmp_path / "r.arrow")
    with pa.ipc.open_file(tmp_path / "r.arrow") as reader:
        assert reader.read_all().schema.equals(TABLE.schema)


def test_binary_forms_go_to_a_redirected_output_but_not_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    for form in ("parquet", "arrow"):
        with pytest.raises(typer.BadParameter, match="binary"):
            write(TABLE, form, None)


def test_an_output_that_cannot_be_written_is_a_usage_error(tmp_path: Path) -> None:
    for form in ("table", "json", "csv", "parquet", "arrow"):
        with pytest.raises(typer.BadParameter, match="cannot be written"):
            write(TABLE, form, tmp_path / "absent" / "r")


# --- parameters --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (None, []),
        (["1", "1.5", "true", "null", "text"], [1, 1.5, True, None, "text"]),
        (["007", '"2023"', "NaN", "Infinity", "[1]", "{}", ""], ["007", "2023", "NaN", "Infinity", "[1]", "{}", ""]),
        (["year=2023", "r=Île=de=France"], {"year": 2023, "r": "Île=de=France"}),
        (["a<=b"], ["a<=b"]),
    ],
)
def test_parameters_are_read_as_json_or_text(texts: list[str] | None, values: object) -> None:
    assert parameters_from(texts) == values


def test_named_and_positional_parameters_do_not_mix() -> None:
    with pytest.raises(typer.BadParameter, match="NAME=VALUE"):
        parameters_from(["a=1", "2"])


# --- errors and exit codes ---------------------------------------------------------------------------------------


def test_an_error_is_shown_with_its_place_underlined(capsys: pytest.CaptureFixture[str]) -> None:
    problem = errors.error(
        errors.SQL_UNKNOWN_COLUMN,
        "There is no column 'regoin'.",
        hint="Did you mean 'region'?",
        position=errors.Position(2, 8),
        node="cnam",
        query_id="q1",
    )
    show(problem, "WITH s AS (SELECT 1)\nSELECT regoin\nFROM s")
    assert capsys.readouterr().err == (
        "error SQL_UNKNOWN_COLUMN (line 2, column 8) [node cnam]: There is no column 'regoin'.\n"
        "  SELECT regoin\n"
        "         ^\n"
        "hint: Did you mean 'region'?\n"
        "query: q1\n"
    )


def test_a_refusal_of_the_border_names_its_rule(capsys: pytest.CaptureFixture[str]) -> None:
    show(errors.error(errors.BORDER_REFUSED, "No.", hint="Count.", rule="person-output"))
    assert capsys.readouterr().err == "error BORDER_REFUSED: No.\nrule: person-output\nhint: Count.\n"


def test_the_caret_stands_below_its_place_behind_tabs_and_beyond_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    problem = errors.error(errors.SQL_SYNTAX, "x", position=errors.Position(1, 3))
    show(problem, "\t\tSELEC 1")
    lines = capsys.readouterr().err.splitlines()
    assert lines[2].expandtabs().index("^") == lines[1].expandtabs().index("S")
    show(errors.error(errors.SQL_SYNTAX, "x", position=errors.Position(9, 9)), "SELECT")
    assert "^" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (errors.SQL_SYNTAX, 3),
        (errors.CONFIG_INVALID, 3),
        (errors.PERMIT_SCOPE, 4),
        (errors.BORDER_REFUSED, 4),
        (errors.NODE_UNAVAILABLE, 5),
        (errors.AUDIT_UNAVAILABLE, 5),
        (errors.INTERNAL, 1),
    ],
)
def test_exit_codes_say_whose_fault_it_was(code: errors.ErrorCode, expected: int) -> None:
    assert exit_code(errors.error(code, "x")) == expected


def test_every_code_of_the_catalogue_has_an_exit_code() -> None:
    assert {exit_code(errors.error(code, "x")) for code in errors.all_codes()} == {1, 3, 4, 5}


def test_the_documented_exit_codes_are_those_of_the_program() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    section = text.split("## Exit codes")[1].split("\n## ")[0]
    documented = {name: int(code) for code, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", section, re.MULTILINE)}
    assert documented == {member.name: int(member) for member in Exit}


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    group = typer.main.get_command(build())
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        for path in [f"{name} {sub}" for sub in getattr(command, "commands", {})] or [name]:
            assert f"`archipel {path}" in text, path


def test_usage_errors_end_with_2_and_no_traceback() -> None:
    for arguments in (("query", "SELECT 1"), ("nonsense",), ("query", "--timeout", "soon")):
        done = archipel(*arguments)
        assert done.returncode == Exit.USAGE
        assert "Traceback" not in done.stderr


def test_an_unreachable_coordinator_ends_with_5(dev: Path) -> None:
    folder = dev / "researchers" / "alice"
    done = archipel(
        *("tables", "--address", "localhost:1"),
        *("--permit", str(folder / "permit.jwt"), "--key", str(folder / "alice.pem")),
    )
    assert done.returncode == Exit.OPERATION
    assert done.stderr.startswith("error COORDINATOR_UNAVAILABLE")
    assert "Traceback" not in done.stderr


def test_a_file_that_is_missing_ends_with_3(dev: Path) -> None:
    done = archipel("node", "run", "--config", str(dev / "absent.yaml"))
    assert done.returncode == Exit.REQUEST
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_module_that_is_not_installed_is_named_with_the_extra_that_brings_it() -> None:
    code = (
        "import sys\n"
        "sys.modules['duckdb'] = None\n"
        "from archipel.cli.app import main\n"
        "sys.argv = ['archipel', 'node', 'check-config', '--config', sys.argv[1]]\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "x.yaml"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == Exit.USAGE
    assert "archipel[node]" in done.stderr


def test_the_catalogue_and_the_version_are_printed() -> None:
    listed = CliRunner().invoke(build(), ["errors"])
    assert {line.split()[0] for line in listed.stdout.splitlines()} == {code.name for code in errors.all_codes()}
    assert CliRunner().invoke(build(), ["--version"]).stdout.startswith("archipel 0.")


# --- federation, permits, receipts -------------------------------------------------------------------------------


def test_the_first_permit_of_a_development_federation_grants_every_table(dev: Path) -> None:
    token = (dev / "researchers" / "alice" / "permit.jwt").read_text().strip()
    first = permit.Permit.model_validate(permit.read_unverified(token))
    assert first.allows_table("anything")
    assert first.allows_column("anything", "any")
    assert first.nodes == ("cnam", "hospital_a")
    for secret in ("authority/authority.pem", "authority/ca.key", "nodes/cnam/tls.key", "researchers/alice/alice.pem"):
        assert (dev / secret).stat().st_mode & 0o077 == 0


def test_a_folder_in_use_is_not_overwritten(dev: Path) -> None:
    before = (dev / "authority" / "authority.pem").read_bytes()
    done = archipel("federation", "init", str(dev), "--node", "cnam")
    assert done.returncode == Exit.REQUEST
    assert "not empty" in done.stderr
    assert (dev / "authority" / "authority.pem").read_bytes() == before


def test_another_researcher_is_created_and_their_key_is_what_a_permit_names(dev: Path) -> None:
    done = archipel("federation", "researcher", str(dev), "bob")
    assert done.returncode == 0, done.stderr
    printed = archipel("permit", "key", str(dev / "researchers" / "bob" / "bob.pem")).stdout.strip()
    assert printed in done.stdout
    assert yaml.safe_load(printed)["name"] == "bob"
    for name, told in (("bob", "already"), ("../x", "cannot be a name")):
        again = archipel("federation", "researcher", str(dev), name)
        assert (again.returncode, told in again.stderr) == (Exit.REQUEST, True)
    nowhere = archipel("federation", "researcher", str(dev / "nodes"), "carol")
    assert "no development federation" in nowhere.stderr


@pytest.mark.parametrize("name", ["Bad", "1st", "a b", "", "../x", "x" * 64])
def test_names_that_cannot_be_are_refused(tmp_path: Path, name: str) -> None:
    done = archipel("federation", "init", str(tmp_path / "f"), "--node", f"{name}=Holder")
    assert done.returncode == Exit.REQUEST
    assert "cannot be a name" in done.stderr
    assert not (tmp_path / "f").exists()


def description(dev: Path, **changes: object) -> dict[str, object]:
    token = (dev / "researchers" / "alice" / "permit.jwt").read_text().strip()
    first = permit.read_unverified(token)
    return {
        "permit_id": "CNIL-2026-042",
        "federation": "dev",
        "project": "readmission",
        "purpose": "Readmission within 30 days",
        "researchers": first["researchers"],
        "tables": [{"table": "T_MCOaaB", "columns": ["SEJ_NBJ", "AGE_ANN"]}],
        "nodes": ["hospital_a"],
        "not_before": "2026-01-01",
        "expires": "2099-01-01",
        "min_persons": 20,
        **changes,
    }


def issue(dev: Path, path: Path, content: dict[str, object]) -> subprocess.CompletedProcess[str]:
    path.with_suffix(".yaml").write_text(yaml.safe_dump(content))
    return archipel(
        *("permit", "issue", str(path.with_suffix(".yaml")), "--out", str(path)),
        *("--authority-key", str(dev / "authority" / "authority.pem")),
    )


def test_a_permit_is_issued_shown_and_verified(dev: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.jwt"
    done = issue(dev, path, description(dev))
    assert done.returncode == 0, done.stderr
    shown = json.loads(archipel("permit", "show", str(path)).stdout)
    assert (shown["min_persons"], shown["expires"]) == (20, "2099-01-01T00:00:00+00:00")
    verified = archipel("permit", "verify", str(path), "--authority-key", str(dev / "authority" / "authority.pub"))
    assert verified.returncode == 0
    assert "CNIL-2026-042" in verified.stdout


def test_dates_without_quotes_in_yaml_count_from_midnight_utc(dev: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.jwt"
    done = issue(dev, path, description(dev, expires=dt.date(2099, 1, 1), not_before=dt.datetime(2026, 1, 1)))
    assert done.returncode == 0, done.stderr
    assert permit.read_unverified(path.read_text().strip())["expires"] == 4070908800


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"min_persons": 5}, "min_persons"),
        ({"tables": [{"table": "*", "columns": ["*"]}]}, "development federation only"),
        ({"expires": "2020-01-01"}, "'expires' is not after 'not_before'"),
        ({"expires": "soon"}, "expires"),
        ({"researchers": []}, "researchers"),
        ({"purpos": "x"}, "purpos"),
        ({"nodes": []}, "nodes"),
    ],
)
def test_a_permit_that_should_not_be_is_not_signed(
    dev: Path, tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    done = issue(dev, tmp_path / "p.jwt", description(dev, **changes))
    assert done.returncode == Exit.REQUEST
    assert told in done.stderr
    assert not (tmp_path / "p.jwt").exists()


def test_an_expired_a_foreign_and_a_broken_permit_do_not_verify(dev: Path, tmp_path: Path) -> None:
    key = str(dev / "authority" / "authority.pub")
    old = tmp_path / "old.jwt"
    assert issue(dev, old, description(dev, not_before="2020-01-01", expires="2021-01-01")).returncode == 0
    expired = archipel("permit", "verify", str(old), "--authority-key", key)
    assert (expired.returncode, "PERMIT_EXPIRED" in expired.stderr) == (Exit.NOT_ALLOWED, True)
    other = tmp_path / "other"
    assert archipel("federation", "init", str(other), "--node", "cnam").returncode == 0
    foreign = archipel("permit", "verify", str(other / "researchers/alice/permit.jwt"), "--authority-key", key)
    assert (foreign.returncode, "PERMIT_INVALID" in foreign.stderr) == (Exit.NOT_ALLOWED, True)
    (tmp_path / "noise").write_text("this is no permit")
    assert archipel("permit", "show", str(tmp_path / "noise")).returncode == Exit.NOT_ALLOWED
    assert archipel("permit", "show", str(dev / "manifest.jwt")).returncode == Exit.NOT_ALLOWED


def sample_receipt(node: str) -> receipt.ReceiptContent:
    digest = "0" * 64
    return receipt.ReceiptContent(
        node=node,
        query_id="q1",
        stage_id="s1",
        attempt=1,
        permit_id="p",
        request_sha256=digest,
        sql_sha256=digest,
        form="aggregate",
        rule="r",
        min_persons=11,
        bytes=10,
        content_sha256=digest,
        audit_record=digest,
        time=0,
    )


def test_receipts_are_verified_with_the_manifest(dev: Path, tmp_path: Path) -> None:
    genuine = receipt.sign(sample_receipt("cnam"), load_signing_key(dev / "nodes/cnam/signing.pem"))
    forged = receipt.sign(sample_receipt("cnam"), load_signing_key(dev / "nodes/hospital_a/signing.pem"))
    stranger = receipt.sign(sample_receipt("nobody"), load_signing_key(dev / "nodes/cnam/signing.pem"))

    def verify(*tokens: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "receipts").write_text("".join(f"{token}\n" for token in tokens))
        return archipel(
            *("receipt", "verify", str(tmp_path / "receipts"), "--manifest", str(dev / "manifest.jwt")),
            *("--authority-key", str(dev / "authority" / "authority.pub"), "--json"),
        )

    good = verify(genuine, genuine)
    assert good.returncode == 0, good.stderr
    assert [json.loads(line)["node"] for line in good.stdout.splitlines()] == ["cnam", "cnam"]
    for bad in (forged, stranger, "noise", (dev / "manifest.jwt").read_text().strip()):
        done = verify(genuine, bad)
        assert done.returncode == Exit.REQUEST
        assert "Traceback" not in done.stderr


# --- the documents -----------------------------------------------------------------------------------------------


def yaml_in(name: str) -> list[str]:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)


def test_the_examples_in_the_documents_are_valid(tmp_path: Path) -> None:
    from archipel import configuration
    from archipel.policy import Policy
    from node_agent.config import NodeConfig

    for name, model in (("operator-guide.md", NodeConfig), ("policy-reference.md", Policy)):
        examples = yaml_in(name)
        assert examples
        for example in examples:
            (tmp_path / "example.yaml").write_text(example, encoding="utf-8")
            configuration.load(tmp_path / "example.yaml", model)
    (example,) = yaml_in("cli.md")
    content = yaml.safe_load(example)
    keys = set(permit.Permit.model_fields)
    assert set(content) == keys


def test_the_generated_references_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "generate_reference.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_reference_of_configuration_files_names_every_key_of_every_section() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    parts = page.split("\n## ")
    telemetry = next(part for part in parts if part.startswith("The section telemetry"))
    for title, model in (("node.yaml", NodeConfig), ("coordinator.yaml", CoordinatorConfig), ("policy.yaml", Policy)):
        own = next(part for part in parts if part.startswith(title))
        named = set(re.findall(r"^\| `([\w.\[\]]+)` \|", f"{own}\n{telemetry}", re.MULTILINE))
        assert set(_keys(model)) - named == set()


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Yield every key of a model and of the sections in it, as the reference writes them."""
    for attribute, field in model.model_fields.items():
        name = f"{prefix}{field.alias or attribute}"
        yield name
        yield from _keys_within(field.annotation, name)


def _keys_within(annotation: Any, name: str) -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _keys(annotation, f"{name}.")
        return
    origin = typing.get_origin(annotation)
    many = "[]" if origin is tuple else ".NAME" if origin is Mapping else ""
    for part in typing.get_args(annotation):
        yield from _keys_within(part, name + many)


def test_links_between_documents_lead_somewhere() -> None:
    for page in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
