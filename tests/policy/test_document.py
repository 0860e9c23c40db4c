"""YAML as a tree that knows its lines and guesses nothing."""

from gateway.policy.document import NODES_MAX, Block, Listing, Scalar, read_document
from gateway.policy.problems import Findings


def read(text: str) -> tuple[Block | None, list[str]]:
    findings = Findings()
    root = read_document("a.yaml", text.encode(), findings)
    return root, [str(problem) for problem in findings.in_order()]


def scalars(text: str) -> dict[str, tuple[str, bool]]:
    root, problems = read(text)
    assert problems == []
    assert root is not None
    return {k.text: (v.text, v.plain) for k, v in root.entries if isinstance(v, Scalar)}


def test_scalars_stay_as_they_were_written() -> None:
    found = scalars("a: no\nb: 1:30\nc: 010\nd: 1e3\ne: 2026-01-01\nf: ~\ng:\nh: =\n")
    assert [text for text, _ in found.values()] == [
        "no", "1:30", "010", "1e3", "2026-01-01", "~", "", "=",
    ]  # fmt: skip


def test_quotes_make_a_text() -> None:
    assert scalars("a: '1'\nb: \"2\"\nc: 3\nd: |\n  4\n") == {
        "a": ("1", False),
        "b": ("2", False),
        "c": ("3", True),
        "d": ("4\n", False),
    }


def test_every_node_knows_its_line_and_a_block_that_of_its_key() -> None:
    root, _ = read("# about\nfirst: 1\nsecond:\n\n  inner: 2\nthird:\n  - a\n  - b\n")
    assert root is not None
    values = {key.text: value for key, value in root.entries}
    assert [values[k].place.line for k in ("first", "second", "third")] == [2, 3, 6]
    assert isinstance(values["third"], Listing)
    assert [item.place.line for item in values["third"].items] == [7, 8]


def test_as_many_values_as_allowed_are_read_and_one_more_is_not() -> None:
    fits = "a: [" + "1, " * (NODES_MAX - 4) + "1]\n"
    root, problems = read(fits)
    assert problems == []
    assert root is not None
    root, problems = read(fits + "b: 1\n")
    assert root is None
    assert problems == [
        "a.yaml:2: error: over 50000 values, aliases counted as often as they are used; split the "
        "file into several"
    ]


def test_a_deep_nest_is_refused_before_it_is_built() -> None:
    root, problems = read("a: " + "[" * 100_000)
    assert root is None
    assert problems == ["a.yaml:1: error: nested deeper than 20; no policy needs that"]


def test_a_key_that_is_there_twice_is_told_at_any_depth() -> None:
    _, problems = read("a:\n  - {b: 1,\n     b: 2}\nc: 1\nc: 2\nc: 3\n")
    assert problems == [
        "a.yaml:3: error: the key `b` is there twice, first in line 2; keep one",
        "a.yaml:5: error: the key `c` is there twice, first in line 4; keep one",
        "a.yaml:6: error: the key `c` is there twice, first in line 4; keep one",
    ]
