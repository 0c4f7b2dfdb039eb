"""The audit log on a real disk: tampering shows, crashes are survived, a full disk stops releases and nothing else."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from archipel import errors, proof
from node_agent import audit, audit_head, audit_reading
from node_agent.audit import AuditLog


def fill(directory: Path, records: int = 5) -> Path:
    """Write a log and return its only file."""
    log = AuditLog(directory)
    for number in range(records):
        log.append("released", {"query": f"q{number}", "asked_sql": "SELECT 'é' AS x"})
    log.close()
    return directory / "audit-000001.jsonl"


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_an_untouched_log_verifies_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = fill(tmp_path)
    found = audit.verify(tmp_path)
    assert (found.records, found.problem, found.warning) == (5, "", "")
    log = AuditLog(tmp_path)
    assert log.head.count == 5
    log.append("refused", {})
    log.close()
    assert audit.verify(tmp_path).records == 6
    assert [record["sequence"] for record in audit.records(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert path.stat().st_mode & 0o077 == 0


def altered(path: Path) -> None:
    lines = lines_of(path)
    lines[2] = lines[2].replace(b'"q2"', b'"q9"')
    path.write_bytes(b"".join(lines))


def rehashed(path: Path) -> None:
    lines = lines_of(path)
    record = json.loads(lines[2])
    record["query"] = "q9"
    del record["hash"]
    record["hash"] = proof.record_hash(record)
    lines[2] = audit_reading.line_of(record)
    path.write_bytes(b"".join(lines))


def respaced(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"kind":"released"', b'"kind": "released"', 1))


def removed(path: Path) -> None:
    lines = lines_of(path)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))


def removed_at_the_front(path: Path) -> None:
    path.write_bytes(b"".join(lines_of(path)[1:]))


def removed_at_the_end(path: Path) -> None:
    path.write_bytes(b"".join(lines_of(path)[:-1]))


def removed_all(path: Path) -> None:
    path.unlink()


def swapped(path: Path) -> None:
    lines = lines_of(path)
    lines[1], lines[2] = lines[2], lines[1]
    path.write_bytes(b"".join(lines))


def doubled(path: Path) -> None:
    lines = lines_of(path)
    path.write_bytes(b"".join([*lines, lines[-1]]))


def chained(path: Path, count: int) -> None:
    lines = lines_of(path)
    for _ in range(count):
        last = json.loads(lines[-1])
        record = {"kind": "released", "sequence": last["sequence"] + 1, "previous": last["hash"]}
        lines.append(audit_reading.line_of({**record, "hash": proof.record_hash(record)}))
    path.write_bytes(b"".join(lines))


def added_two(path: Path) -> None:
    chained(path, 2)


def replaced_the_last(path: Path) -> None:
    removed_at_the_end(path)
    chained(path, 1)


def noise(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"hello\n")


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut_inside(path: Path) -> None:
    """Cut the last record and with it what HEAD names: that a crash cannot do, the record is older than HEAD."""
    path.write_bytes(path.read_bytes()[:-10])


def without_head(path: Path) -> None:
    (path.parent / "HEAD").unlink()


def broken_head(path: Path) -> None:
    (path.parent / "HEAD").write_text("five\n")


TAMPERINGS: list[tuple[Callable[[Path], None], str]] = [
    (altered, "line 3: the record was altered"),
    (rehashed, "line 4: a record before this one was removed, added or moved"),
    (respaced, "line 1: the record was altered"),
    (removed, "line 3: a record before this one was removed, added or moved"),
    (removed_at_the_front, "line 1: a record before this one was removed, added or moved"),
    (removed_at_the_end, "1 records at the end were removed"),
    (removed_all, "5 records at the end were removed"),
    (swapped, "line 2: a record before this one was removed, added or moved"),
    (doubled, "line 6: a record before this one was removed, added or moved"),
    (added_two, "records were added behind the one that HEAD names"),
    (replaced_the_last, "the last record is not the one that HEAD names"),
    (noise, "line 6: not a record"),
    (emptied, "5 records at the end were removed"),
    (cut_inside, "1 records at the end were removed"),
    (without_head, "HEAD is missing"),
    (broken_head, "HEAD cannot be read"),
]


@pytest.mark.parametrize(("tamper", "problem"), TAMPERINGS, ids=[t.__name__ for t, _ in TAMPERINGS])
def test_tampering_shows_and_the_node_does_not_go_on(
    tmp_path: Path, tamper: Callable[[Path], None], problem: str
) -> None:
    tamper(fill(tmp_path))
    assert problem in audit.verify(tmp_path).problem
    with pytest.raises(errors.OperationalError) as refused:
        AuditLog(tmp_path)
    assert refused.value.code == "AUDIT_UNAVAILABLE"
    assert problem in refused.value.info.message


def test_a_whole_file_that_was_removed_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MAX_FILE_BYTES", 300)
    fill(tmp_path, 9)
    names = sorted(path.name for path in tmp_path.glob("audit-*.jsonl"))
    assert len(names) > 3
    assert audit.verify(tmp_path).problem == ""
    (tmp_path / names[1]).unlink()
    assert "audit-000002.jsonl is missing" in audit.verify(tmp_path).problem


# --- crashes -----------------------------------------------------------------------------------------------------


def test_a_record_cut_short_by_a_crash_is_cut_off_and_the_recovery_recorded(tmp_path: Path) -> None:
    path = fill(tmp_path)
    path.write_bytes(path.read_bytes() + b'{"kind":"released","que')
    seen = audit.verify(tmp_path)
    assert (seen.problem, seen.records) == ("", 5)
    assert "cut short by a crash" in seen.warning
    log = AuditLog(tmp_path)
    log.append("released", {})
    log.close()
    assert audit.verify(tmp_path).problem == ""
    assert [record["kind"] for record in audit.records(tmp_path)][-2:] == ["recovered", "released"]


def test_crashes_between_record_and_head_are_survived_however_often(tmp_path: Path) -> None:
    fill(tmp_path)
    for _ in range(3):
        log = AuditLog(tmp_path)
        head = (tmp_path / "HEAD").read_bytes()
        log.append("released", {})
        log.close()
        (tmp_path / "HEAD").write_bytes(head)  # as if the process had died before it wrote HEAD
        assert audit.verify(tmp_path).problem == ""
    AuditLog(tmp_path).close()
    assert audit.verify(tmp_path).records == 8


WRITER = """
import sys
from functools import partial
from pathlib import Path
from node_agent.audit import AuditLog
log = AuditLog(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    log.append("released", {"asked_sql": "SELECT " + "x" * 2000})
"""


def test_a_log_whose_writer_was_killed_verifies(tmp_path: Path) -> None:
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        with writer.stdout as ready:
            assert ready.readline() == b"ready\n"
        while audit.verify(tmp_path).records % 50 < 20:  # until it is in the midst of writing
            pass
        writer.send_signal(signal.SIGKILL)
        assert writer.wait(10) == -signal.SIGKILL
        assert audit.verify(tmp_path, recover=True).problem == ""
    AuditLog(tmp_path).close()


def test_a_second_process_is_not_let_in(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "another process uses it" in done.stderr
    with pytest.raises(errors.OperationalError, match="another process uses it"):
        AuditLog(tmp_path)
    log.append("released", {})
    log.close()
    AuditLog(tmp_path).close()


def test_threads_append_one_after_the_other(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    hashes: list[str] = []
    threads = [
        threading.Thread(target=lambda: hashes.extend(log.append("released", {"n": n}) for n in range(10)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert (audit.verify(tmp_path).records, len(set(hashes))) == (40, 40)


# --- disks that fail ---------------------------------------------------------------------------------------------


def _limited(directory: Path, limit: int, answers: multiprocessing.Queue[object]) -> None:
    """In a process of its own: let files grow to ``limit`` bytes only, append until that fails, then lift it."""
    log = AuditLog(directory)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    written, problems = 0, []
    for number in range(20):
        try:
            log.append("released", {"number": number, "sql": "x" * 300})
            written += 1
        except errors.ArchipelError as problem:
            problems.append((problem.code, problem.info.message))
    verified_while_full = audit.verify(directory).problem
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.append("released", {"number": 99, "sql": "x" * 300})
    log.close()
    answers.put((written, problems, verified_while_full))


@pytest.mark.parametrize("limit", [2000, 2300, 2600, 50])
def test_a_disk_without_room_makes_records_fail_whole_and_the_log_goes_on_when_there_is_room(
    tmp_path: Path, limit: int
) -> None:
    """The file-size limit fails a write in its midst, as a full disk does; 50 bytes is too little for HEAD too."""
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[object] = context.Queue()
    process = context.Process(target=_limited, args=(tmp_path, limit, answers))
    process.start()
    written, problems, verified_while_full = answers.get(timeout=60)  # type: ignore[misc]
    process.join(20)
    assert process.exitcode == 0
    assert written + len(problems) == 20
    assert len(problems) >= 10
    assert {code for code, _ in problems} == {"AUDIT_UNAVAILABLE"}
    assert all(str(tmp_path) not in message for _, message in problems)
    assert verified_while_full == ""
    found = audit.verify(tmp_path)
    assert (found.problem, found.warning, found.records) == ("", "", written + 1)
    assert [record["number"] for record in audit.records(tmp_path)] == [*range(written), 99]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Path:
    """A real file system of 64 KiB."""
    point = tmp_path / "disk"
    point.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("no mount command here")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(point)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("file systems cannot be mounted here; the file-size limit stands in for it")
    yield point
    subprocess.run(["umount", str(point)], check=True)


def test_a_full_disk_refuses_and_room_heals(tiny_disk: Path) -> None:
    log = AuditLog(tiny_disk / "audit")
    written = 0

    def fill_up() -> None:
        nonlocal written
        while True:
            log.append("released", {"sql": "x" * 1000})
            written += 1

    with pytest.raises(errors.OperationalError) as problem:
        fill_up()
    assert problem.value.code == "AUDIT_UNAVAILABLE"
    assert "No space left on device" in problem.value.info.message
    with pytest.raises(errors.OperationalError):
        log.append("released", {"sql": "x" * 1000})
    subprocess.run(["mount", "-o", "remount,size=256k", str(tiny_disk)], check=True)
    log.append("released", {"sql": "x" * 1000})
    log.close()
    assert audit.verify(tiny_disk / "audit").records == written + 1
    assert audit.verify(tiny_disk / "audit").problem == ""


def test_a_head_that_cannot_be_written_takes_its_record_back(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.append("released", {"number": 1})
    (tmp_path / "HEAD").unlink()
    (tmp_path / ".HEAD").mkdir()  # what another HEAD is first written to
    with pytest.raises(errors.OperationalError) as problem:
        log.append("released", {"number": 2})
    assert problem.value.code == "AUDIT_UNAVAILABLE"
    assert audit.verify(tmp_path).records == 1
    (tmp_path / ".HEAD").rmdir()
    log.append("released", {"number": 3})
    log.close()
    assert [record["number"] for record in audit.records(tmp_path)] == [1, 3]
    assert audit.verify(tmp_path).problem == ""


def test_records_removed_under_a_running_node_stop_it(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.append("released", {})
    log.append("released", {})
    path = tmp_path / "audit-000001.jsonl"
    path.write_bytes(lines_of(path)[0])
    with pytest.raises(errors.OperationalError, match="records have been removed"):
        log.append("released", {})
    log.close()
    assert "1 records at the end were removed" in audit.verify(tmp_path).problem


def test_a_record_is_durable_before_append_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the disk was told, in order: the record, the folder if it names a new file, then HEAD."""
    log = AuditLog(tmp_path)
    synced: list[str] = []

    def recording(real: Callable[[int], None], descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        real(descriptor)

    for module, name in ((audit, "sync_data"), (audit_head, "sync_data"), (os, "fsync")):
        monkeypatch.setattr(module, name, partial(recording, getattr(module, name)))
    log.append("released", {})
    log.append("released", {})
    log.close()
    assert synced == ["audit-000001.jsonl", tmp_path.name, "HEAD", "audit-000001.jsonl", "HEAD"]


@pytest.mark.parametrize("torn", [1, 20, 60, 511])
def test_a_head_torn_by_a_power_cut_leaves_the_one_before(tmp_path: Path, torn: int) -> None:
    path = fill(tmp_path, 4).parent / "HEAD"
    before = path.read_bytes()
    log = AuditLog(tmp_path)
    log.append("released", {})
    log.close()
    after = path.read_bytes()
    slot = slice(5 % 2 * 512, 5 % 2 * 512 + torn)
    content = bytearray(before)
    content[slot] = after[slot]
    path.write_bytes(content)
    assert (audit.verify(tmp_path).problem, audit.verify(tmp_path).records) == ("", 5)
    lines_left = lines_of(tmp_path / "audit-000001.jsonl")[:3]
    (tmp_path / "audit-000001.jsonl").write_bytes(b"".join(lines_left))
    assert "records at the end were removed" in audit.verify(tmp_path).problem


def test_a_head_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    fill(tmp_path, 4)
    found = audit.verify(tmp_path)
    (tmp_path / "HEAD").write_text(f"{found.records} {found.head}\n")
    assert audit.verify(tmp_path).problem == ""
    (tmp_path / "HEAD").write_text(f"{found.records + 1} {found.head}\n")
    assert "1 records at the end were removed" in audit.verify(tmp_path).problem


def test_text_that_is_no_proper_unicode_is_kept_and_verifies(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.append("refused", {"asked_sql": "SELECT '\ud800'"})
    log.close()
    assert audit.verify(tmp_path).problem == ""


# --- the command -------------------------------------------------------------------------------------------------


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "archipel.cli", "audit", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_verifies_shows_and_looks_up_records(tmp_path: Path) -> None:
    path = fill(tmp_path / "audit", 3)
    digest = json.loads(lines_of(path)[1])["hash"]
    done = command("verify", str(tmp_path))
    assert (done.returncode, done.stdout.startswith("verified: 3 records")) == (0, True)
    assert command("verify", str(tmp_path), "--record", digest).returncode == 0
    absent = command("verify", str(tmp_path), "--record", "0" * 64)
    assert absent.returncode == 1
    assert "no record" in absent.stdout
    shown = command("show", str(tmp_path / "audit"), "--last", "2")
    assert [json.loads(line)["query"] for line in shown.stdout.splitlines()] == ["q1", "q2"]
    altered_lines = lines_of(path)
    altered_lines[0] = altered_lines[0].replace(b'"q0"', b'"qX"')
    path.write_bytes(b"".join(altered_lines))
    broken = command("verify", str(tmp_path))
    assert broken.returncode == 1
    assert "DOES NOT VERIFY" in broken.stdout


def test_the_command_says_where_there_is_no_log(tmp_path: Path) -> None:
    done = command("verify", str(tmp_path))
    assert done.returncode == 3
    assert "There is no audit log in" in done.stderr
    assert "Traceback" not in done.stderr
