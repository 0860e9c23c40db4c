"""Runs tests/ocr where the extra `ocr` is installed, and looks at a gateway where it is not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ocr
from gateway.backends import ocr_worker
from gateway.backends.ocr_reader import NEEDS_EXTRA, OcrReader
from gateway.backends.ocr_worker import Bounds, is_installed
from gateway.privacy.profile import Images
from gateway.privacy.redact import DetectorMissing

HERE = Path(__file__).resolve().parent

lacking = pytest.mark.skipif(is_installed(), reason="the extra is there")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Card 4111 11111111 1111 exp 12/27", ["Card", "4111111111111111", "exp", "12/27"]),
        ("Card4111111111111111exp12/27", ["Card", "4111111111111111", "exp12/27"]),
        ("3782 822463 10005 12/27", ["378282246310005", "12/27"]),
        ("Order 4111 1111 1111 1112", ["Order", "4111", "1111", "1111", "1112"]),
        ("FI41 1111 1111 1111 11", ["FI41", "1111", "1111", "1111", "11"]),
        ("DE89 4111 1111 1111 1111 00", ["DE89", "4111", "1111", "1111", "1111", "00"]),
    ],
)
def test_a_card_s_number_is_one_word_whatever_spaces_are_read(line: str, words: list[str]) -> None:
    assert ocr_worker._split(line) == words


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


def test_where_the_extra_cannot_be_installed_a_sentence_says_so_and_nothing_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impossible = tmp_path / "requirements.txt"
    impossible.write_text(f"nothing @ {(tmp_path / 'nothing.whl').as_uri()}\n")
    monkeypatch.setattr(ocr, "ROOT", tmp_path)
    monkeypatch.setattr(ocr, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(ocr, "FOLDER", tmp_path / "ocr")
    monkeypatch.setattr(ocr, "PYTHON", tmp_path / "ocr" / "bin" / "python")
    monkeypatch.setattr(ocr, "REQUIREMENTS", impossible)
    with pytest.raises(SystemExit) as end:
        ocr.main()
    assert end.value.code == ocr.FAILED
    assert not ocr.is_ready()


@lacking
def test_without_the_extra_nothing_is_read_and_nobody_needs_to_try_again() -> None:
    async def main() -> None:
        reader = OcrReader(1, 60, Bounds(10**6, 1000, 60))
        try:
            assert await reader.prepare({Images.ALLOW}) == {}
            (said,) = (await reader.prepare({Images.OCR})).values()
            assert said.startswith("OCR: it cannot be loaded: No module named")
            with pytest.raises(DetectorMissing):
                await reader.read([b"a picture"])
        finally:
            await reader.aclose()

    asyncio.run(main())


@lacking
def test_without_the_extra_a_policy_that_needs_it_is_warned_of(
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
    assert done.returncode == 0
    said = (done.stdout + done.stderr).splitlines()
    assert [line for line in said if "more.yaml" in line and "never used" not in line] == [
        f"{tmp_path / 'more.yaml'}:2: warning: {NEEDS_EXTRA}"
    ]
    assert "Traceback" not in done.stderr
