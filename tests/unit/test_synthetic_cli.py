"""The ``archipel synthetic`` command, as a person types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from archipel.cli.exits import Exit
from archipel.synthetic.cli import synthetic_command

app = typer.Typer()
app.command("synthetic")(synthetic_command)


def test_it_tells_what_it_made(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--persons", "1_000", "--hospitals", "2", "--seed", "3", "--out", str(tmp_path)])
    assert result.exit_code == Exit.OK, result.output
    assert (tmp_path / "WORLD.json").exists()
    lines = result.output.splitlines()
    assert [line for line in lines if line.endswith("/")] == ["cnam/", "hospital_a/", "hospital_b/", "reference/"]
    assert any("ER_PRS_F" in line and "rows" in line and "MB" in line for line in lines)
    assert "(seed 3)" in lines[-1]


@pytest.mark.parametrize("persons", ["1e6", "many", "-5", "1.5", ""])
def test_a_number_that_is_none_is_named(tmp_path: Path, persons: str) -> None:
    result = CliRunner().invoke(app, ["--persons", persons, "--out", str(tmp_path)])
    assert result.exit_code == Exit.USAGE
    assert "--persons" in result.output
    assert not any(tmp_path.iterdir())


def test_too_few_persons_and_foreign_folders_end_with_a_message_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for arguments, told in ((["--persons", "10"], "at least 200"), (["--persons", "300"], "not empty")):
        result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path)])
        assert result.exit_code == Exit.REQUEST
        assert "CONFIG_INVALID" in result.output
        assert told in result.output
        assert isinstance(result.exception, SystemExit)


def test_the_command_loads_without_numpy_and_says_what_to_install(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['numpy'] = None\n"  # an import of numpy now fails as if it were not installed
        "from archipel.cli.app import main\n"
        "sys.argv = ['archipel', 'synthetic', '--persons', '300', '--out', sys.argv[1]]\n"
        "main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "new")], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == Exit.REQUEST, ended.stderr
    assert "archipel[synthetic]" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_importing_the_command_imports_no_numpy() -> None:
    script = "import sys, archipel.synthetic.cli; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=60, check=False).returncode == 0
