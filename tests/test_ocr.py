"""Runs tests/ocr where the extra `ocr` is installed, and looks at a gateway where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ocr
from gateway.backends.ocr_reader import NEEDS_EXTRA
from gateway.backends.ocr_worker import is_installed

HERE = Path(__file__).resolve().parent

lacking = pytest.mark.skipif(is_installed(), reason="the extra is there")


@lacking
def test_pictures_are_read_and_covered_where_the_extra_is_installed(tmp_path: Path) -> None:
    assert ocr.is_ready(), "There is no environment for it. Run: python scripts/ocr.py"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [str(ocr.PYTHON), "-m", "pytest", "tests/ocr", "-p", "no:cacheprovider"],
        cwd=HERE.parent,
        env=kept | {"HOME": str(tmp_path), "HTTPS_PROXY": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@lacking
def test_without_the_extra_a_policy_that_needs_it_is_refused_in_one_sentence(
    tmp_path: Path,
) -> None:
    profile = "\nredaction: {seen: {images: ocr, entities: {EMAIL_ADDRESS: mask}}}\n"
    (tmp_path / "more.yaml").write_text(profile)
    for path in (HERE.parent / "policies").glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "check", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if "error" in line] == [
        f"{tmp_path / 'more.yaml'}:2: error: {NEEDS_EXTRA}"
    ]
    assert "Traceback" not in done.stderr
