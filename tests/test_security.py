"""Each measure that SECURITY.md claims names tests, and these exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ([STRIDE]) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
REFERENCE = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
ROWS = ROW.findall(TEXT)


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return frozenset(node.name for node in tree.body if isinstance(node, functions))


def test_every_line_of_the_tables_of_threats_is_read() -> None:
    threats = TEXT.split("\n## Threats\n")[1].split("\n## ")[0]
    lines = [line for line in threats.splitlines() if line.startswith("|")]
    heads = [line for line in lines if line.startswith(("| |", "|---"))]
    assert len(ROWS) == len(lines) - len(heads)
    assert {kind for kind, *_ in ROWS} == set("STRIDE")


@pytest.mark.parametrize("row", ROWS, ids=[threat for _, threat, *_ in ROWS])
def test_a_measure_is_shown_by_tests_that_exist(row: tuple[str, str, str, str]) -> None:
    _, _, measure, tests = row
    references = REFERENCE.findall(tests)
    assert measure
    assert references, "it names no test"
    assert REFERENCE.sub("", tests).strip() == "", "it names something else"
    for file, name in references:
        assert name in names_in(ROOT / file), f"{file} has no {name}"


def test_it_says_how_to_report_and_what_is_supported() -> None:
    headings = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    assert headings == [
        "Report a vulnerability",
        "Supported versions",
        "What is protected",
        "Who acts, and where trust ends",
        "Threats",
        "What is left",
    ]


def test_the_supported_version_is_this_one() -> None:
    from gateway import __version__

    minor = ".".join(__version__.split(".")[:2])
    assert f"| {minor}, the newest release | yes |" in TEXT
