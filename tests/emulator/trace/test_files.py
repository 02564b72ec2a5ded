"""Trace files: whole lines, bounded in size and number, private, and never in the way of a call."""

import os
import stat
import time

import pytest

from emulator.trace.files import TraceFiles


def test_lines_go_to_their_files_in_order(tmp_path):
    files = TraceFiles(tmp_path / "trace")
    for number in range(1000):
        files.write("call-a", b"%d\n" % number)
        files.write("emulator", b"x\n")
    files.close()
    assert (tmp_path / "trace" / "call-a.jsonl").read_text().split() == [str(n) for n in range(1000)]
    assert (tmp_path / "trace" / "emulator.jsonl").read_bytes() == b"x\n" * 1000
    assert files.lost == 0


def test_only_the_owner_can_read_them(tmp_path):
    files = TraceFiles(tmp_path / "trace")
    files.write("call-a", b"x\n")
    files.close()
    assert stat.S_IMODE((tmp_path / "trace").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "trace" / "call-a.jsonl").stat().st_mode) == 0o600


def test_a_full_file_is_set_aside_once_and_the_newest_lines_stay(tmp_path):
    files = TraceFiles(tmp_path, max_file=1000)
    for number in range(3000):
        files.write("call-a", b"%06d\n" % number)
        if number % 100 == 0:
            while not files.idle:
                time.sleep(0.001)
    files.close()
    old, new = tmp_path / "call-a.1.jsonl", tmp_path / "call-a.jsonl"
    lines = (old.read_text() + (new.read_text() if new.exists() else "")).split()
    assert lines == [f"{n:06d}" for n in range(3000 - len(lines), 3000)]
    assert len(list(tmp_path.iterdir())) <= 2
    assert old.stat().st_size < 3000


def test_only_the_newest_calls_are_kept_also_of_earlier_runs(tmp_path):
    (tmp_path / "notes.txt").write_text("not ours")
    for number, name in enumerate(("call-old", "call-older")):
        (tmp_path / f"{name}.jsonl").write_text("x\n")
        os.utime(tmp_path / f"{name}.jsonl", (1000 - number, 1000 - number))
    files = TraceFiles(tmp_path, max_calls=2)
    files.write("call-new", b"x\n")
    files.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "call-new.jsonl",
        "call-old.jsonl",
        "notes.txt",
    ]


def test_a_disk_that_fails_is_counted_and_said(tmp_path, caplog):
    files = TraceFiles(tmp_path)
    (tmp_path / "call-a.jsonl").mkdir()
    files.write("call-a", b"x\n")
    files.write("call-b", b"y\n")
    files.close()
    assert files.lost == 1
    assert "trace: 1 lines not written" in caplog.text
    assert (tmp_path / "call-b.jsonl").read_bytes() == b"y\n"


@pytest.mark.parametrize("times", [1, 2])
def test_close_can_be_repeated_and_what_comes_later_is_counted(tmp_path, times):
    files = TraceFiles(tmp_path)
    for _ in range(times):
        files.close()
    files.write("call-a", b"x\n")
    assert files.lost == 1
