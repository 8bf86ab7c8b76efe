"""Disks that are full, or cannot be written."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kept_rows import rows_of

from hgenv.cli.main import main

TOY = ["--env", "hgenv/ToyShading-v0", "--train-steps", "2", "--batch-size", "4", "--no-figures"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk, whose size `resized` sets."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(path)], capture_output=True)
    if mounted.returncode:
        pytest.skip("a small disk cannot be mounted: needs root")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def resized(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{size}", str(disk)], check=True)


def a_full_disk(disk: Path, whole: Path, kib: int, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A run on a disk of so many KiB names the file, leaves no half one, and goes on when there is room."""
    resized(disk, f"size={kib}k")
    out = disk / "run"
    status = main(["run", *words, "--out", str(out)])
    error = capsys.readouterr().err
    if status:
        assert status == 2
        assert f"{disk}" in error
        assert "No space left" in error
        assert error.count("\n") == 1
        assert not list(disk.rglob("*.partial*"))
        resized(disk, "size=100m")
        command = ["resume", str(out)] if out.exists() else ["run", *words, "--out", str(out)]
        assert main(command) == 0
    assert rows_of(out) == rows_of(whole)
    subprocess.run(["rm", "-r", str(out)], check=True)
    capsys.readouterr()


def test_full_disks(disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evolution", *TOY, "--max-steps", "8", "--checkpoint-steps", "3"]
    assert main(["run", *words, "--out", str(tmp_path / "whole")]) == 0
    for kib in (4, 20, 32, 44):
        a_full_disk(disk, tmp_path / "whole", kib, words, capsys)


@pytest.mark.long
def test_full_disks_of_any_size(disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for player in (["evolution"], ["nevergrad"], ["sb3"]):
        words = [*player, *TOY, "--max-steps", "30", "--checkpoint-steps", "3"]
        whole = tmp_path / player[0]
        assert main(["run", *words, "--out", str(whole)]) == 0
        size = sum(path.stat().st_size for path in whole.iterdir()) // 1024
        for k in range(20):
            a_full_disk(disk, whole, 4 + k * size // 18, words, capsys)


def test_a_disk_that_cannot_be_written(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resized(disk, "ro")
    assert main(["run", "fixed", *TOY, "--max-steps", "1", "--out", str(disk / "run")]) == 2
    error = capsys.readouterr().err
    assert str(disk / "run") in error
    assert error.count("\n") == 1
    resized(disk, "rw")
    assert os.listdir(disk) == []


def test_what_was_made_before_a_start_failed_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    assert main(["run", "nevergrad", "--name", "Foo", *TOY, "--max-steps", "1", "--out", str(out)]) == 2
    assert "no optimizer 'Foo'" in capsys.readouterr().err
    assert not out.exists()
    assert main(["run", "nevergrad", "--name", "DE", *TOY, "--max-steps", "1", "--out", str(out)]) == 0
