"""The dashboards of the chart: whole, consistent, and about meters that exist."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from promql import RANGES, RATES, grouped, known_labels, labels_by_series, parsed, selectors

import dashboards  # scripts/dashboards.py

COUNTERS = ("_total", "_bucket", "_sum", "_count")
BUILT_IN = {"datasource", "__rate_interval", "__range", "__interval", "__url_time_range"}
LABELS = labels_by_series()
FILES = sorted(dashboards.FOLDER.glob("*.json"))
BOARDS: dict[str, Any] = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES}


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return (panel for panel in board["panels"] if panel["type"] != "row")


def variables(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in board["templating"]["list"] if one["type"] == "query"]


PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in panels(board)
]
EXPRESSIONS = [
    pytest.param(target["expr"], target["legendFormat"], id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in panels(board)
    for target in panel["targets"]
]
each_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
each_panel = pytest.mark.parametrize("panel", PANELS)
each_expression = pytest.mark.parametrize(("expr", "legend"), EXPRESSIONS)


def test_the_files_are_what_the_tables_say() -> None:
    assert {path: path.read_text(encoding="utf-8") for path in FILES} == dashboards.files(), (
        "run `make docs`"
    )


def test_dashboards_have_names_of_their_own() -> None:
    for key in ("uid", "title"):
        assert len({board[key] for board in BOARDS.values()}) == len(BOARDS) == 5
    for board in BOARDS.values():
        assert re.fullmatch(r"[a-z-]{1,40}", board["uid"])
        assert len(board["description"]) > 40
        assert "id" not in board  # Grafana gives one at import


@each_board
def test_panels_have_ids_and_titles_of_their_own(board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)


@each_board
def test_panels_lie_beside_each_other(board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        x, y, w, h = (panel["gridPos"][side] for side in "xywh")
        cells = set(itertools.product(range(x, x + w), range(y, y + h)))
        assert x + w <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@each_panel
def test_a_panel_says_what_it_is_about(panel: dict[str, Any]) -> None:
    fields = panel["fieldConfig"]["defaults"]
    assert panel["title"][0].isupper()
    assert len(panel["description"]) > 20
    assert panel["description"].endswith(".")
    assert fields["unit"] in ("none", "short", "s", "reqps", "ops", "percentunit", "bytes")
    steps = [step["value"] for step in fields["thresholds"]["steps"]]
    assert steps[0] is None
    assert steps[1:] == sorted(set(steps[1:]))


@each_panel
def test_a_panel_asks_the_chosen_data_source(panel: dict[str, Any]) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    assert panel["datasource"] == chosen
    assert all(target["datasource"] == chosen for target in panel["targets"])
    assert [target["refId"] for target in panel["targets"]] == list(
        "ABCDEFGH"[: len(panel["targets"])]
    )


@each_panel
def test_a_column_that_is_styled_exists(panel: dict[str, Any]) -> None:
    columns = {target["legendFormat"] for target in panel["targets"]}
    styled = {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]}
    assert styled <= columns
    if panel["type"] == "table":
        (renamed,) = (
            one["options"]["renameByName"]
            for one in panel["transformations"]
            if one["id"] == "organize"
        )
        labels = set.union(*(set(grouped(parsed(one["expr"]))) for one in panel["targets"]))
        assert columns <= set(renamed.values())
        assert {name for name in renamed if not name.startswith("Value")} <= labels


@each_expression
def test_an_expression_is_about_series_and_labels_that_exist(expr: str, legend: str) -> None:
    tree = parsed(expr)
    for one in selectors(tree):
        assert one.name in LABELS, one.name
        assert one.matchers.keys() <= LABELS[one.name] | {"job", "instance", "namespace"}
    known = known_labels(tree, LABELS)
    assert set(grouped(tree)) <= known | {"le"}
    assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= known


@each_expression
def test_an_expression_is_limited_to_what_was_chosen(expr: str, legend: str) -> None:
    """Of one process, of one job; recorded series are sums of a job's processes."""
    for one in selectors(parsed(expr)):
        if one.name.startswith(("gateway_", "process_")):
            assert one.matchers["job"] == "$job", one.name
            assert one.matchers["instance"] == "$instance", one.name
        elif one.name != "gateway:slo_objective:ratio":  # a number for all
            assert one.matchers["job"] in ("$job", "$job|"), one.name


@each_expression
def test_rates_are_over_grafanas_intervals_and_of_counters(expr: str, legend: str) -> None:
    assert set(re.findall(r"(?<=[}\w])\[([^\]]*)\]", expr)) <= RANGES.keys() - {"$__interval"}
    for one in selectors(parsed(expr)):
        if one.name.startswith("gateway:"):
            assert not RATES & set(one.within), one.name
        else:
            is_counter = one.name.endswith(COUNTERS)
            assert is_counter == bool(RATES & set(one.within)), one.name
    if "rate(" in expr:
        assert "[$__rate_interval]" in expr


@each_expression
def test_quantiles_are_of_buckets(expr: str, legend: str) -> None:
    for one in selectors(parsed(expr)):
        assert ("histogram_quantile" in one.within) == one.name.endswith("_bucket")
    assert expr.count("histogram_quantile(") == expr.count("sum by (le")


@each_board
def test_variables_exist_and_are_used(board: dict[str, Any]) -> None:
    asked = [target["expr"] for panel in panels(board) for target in panel["targets"]]
    asked += [one["query"]["query"] for one in variables(board)]
    asked += [one["target"]["expr"] for one in board["annotations"]["list"]]
    used = set(re.findall(r"\$(\w+)", " ".join(asked))) - BUILT_IN
    assert used == {one["name"] for one in variables(board)}
    (source,) = (one for one in board["templating"]["list"] if one["type"] == "datasource")
    assert (source["name"], source["query"]) == ("datasource", "prometheus")


@each_board
def test_a_variable_lists_the_values_of_a_label(board: dict[str, Any]) -> None:
    for one in variables(board):
        found = re.fullmatch(r"label_values\((.+), (\w+)\)", one["query"]["query"])
        assert found is not None
        (selector,) = selectors(parsed(found[1]))
        assert found[2] in LABELS[selector.name] | {"job", "instance"}
        assert one["description"]
        assert one["multi"]
        assert one["includeAll"]


def test_the_dashboards_lead_to_each_other() -> None:
    uids = {board["uid"] for board in BOARDS.values()}
    for board in BOARDS.values():
        (link,) = board["links"]
        assert set(link["tags"]) <= set(board["tags"])
        assert link["keepTime"]
        assert link["includeVars"]
    urls = [
        link["url"]
        for board in BOARDS.values()
        for panel in panels(board)
        for link in panel.get("links", ())
    ]
    assert urls
    assert {url.removeprefix("/d/").partition("?")[0] for url in urls} <= uids


def test_every_meter_that_tells_of_trouble_is_on_a_panel() -> None:
    """What nobody looks at, nobody needs; the rest is for programs, or an option."""
    shown = {
        one.name
        for board in BOARDS.values()
        for panel in panels(board)
        for target in panel["targets"]
        for one in selectors(parsed(target["expr"]))
    }
    optional = ("gateway_key_", "gen_ai_")
    elsewhere = {
        "gateway_upstream_requests_total", "gateway_limit_warnings_total",
        "gateway_circuit_opened_total", "gateway_series_refused_total",
        "gateway_telemetry_lost_total",
        "gateway_limit_reset_timestamp_seconds", "gateway_policy_reload_timestamp_seconds",
    }  # fmt: skip
    missing = {
        name
        for name in LABELS
        if name.startswith("gateway_")
        and not name.endswith(("_bucket", "_sum", "_count"))
        and not name.startswith(optional)
    } - shown
    assert missing <= elsewhere
