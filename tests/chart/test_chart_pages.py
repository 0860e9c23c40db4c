"""docs/operate/kubernetes.md and the chart's README: what stands there can be pasted, and works."""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from chart_values import SECRET
from charted import (
    CHART,
    NEWEST,
    PEPPER,
    ROOT,
    SHARED,
    changed,
    check,
    helm,
    kinds,
    loaded,
    notes,
    objects,
)

PAGES = (ROOT / "docs" / "operate" / "kubernetes.md", CHART / "README.md")


def blocks(language: str) -> list[str]:
    """The code blocks of both pages, those in lists too."""
    text = "".join(page.read_text("utf-8") for page in PAGES)
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", body, flags=re.MULTILINE) for indent, body in found]


def values_files() -> dict[str, dict[str, Any]]:
    """The blocks that begin with a comment that names their file."""
    named = [(re.match(r"# (values-[\w-]+\.yaml)\n", block), block) for block in blocks("yaml")]
    return {name[1]: helm.values_from_yaml(block) for name, block in named if name}


def commands() -> Iterator[list[str]]:
    """Every command of the pages, continued lines joined."""
    for block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words


def merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """As Helm merges values: maps into each other, the last one wins."""
    found = dict(one)
    for key, value in other.items():
        both_maps = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = merged(found[key], value) if both_maps else value
    return found


def told(words: list[str]) -> dict[str, Any]:
    """The values of a command of Helm."""
    values: dict[str, Any] = {}
    for flag, argument in pairwise(words):
        if flag == "--values":
            values = merged(values, values_files()[argument])
        elif flag == "--set":
            values = merged(values, helm.parse_set_string(argument))
    return values


INSTALLS = [words for words in commands() if words[:2] == ["helm", "upgrade"]]


@pytest.mark.parametrize("words", INSTALLS, ids=" ".join)
def test_an_installation_can_be_pasted(words: list[str]) -> None:
    name, chart = [word for word in words[2:] if not word.startswith("--")][:2]
    assert (ROOT / chart).resolve() == CHART
    assert words[words.index("--namespace") + 1] == "llm"
    found = objects(told(words), name=name)
    workload = next(one for one in found if one["kind"] in ("StatefulSet", "Deployment"))
    assert workload["metadata"]["name"] == "gateway-completion-gateway"


def test_the_pages_install_embedded_and_shared() -> None:
    assert len(INSTALLS) >= 4
    installed = [kinds(told(words)) for words in INSTALLS]
    assert any("StatefulSet" in found for found in installed)
    assert any("HorizontalPodAutoscaler" in found for found in installed)


@pytest.mark.parametrize("name", values_files())
def test_each_example_of_values_is_right_also_together_with_the_others(name: str) -> None:
    files = values_files()
    values = merged(PEPPER if name == "values-embedded.yaml" else SHARED, files[name])
    loaded().validate_schema(values)
    for one in objects(values):
        check(one, NEWEST)
    together: dict[str, Any] = {}
    for file in files.keys() - {"values-embedded.yaml"}:
        together = merged(together, files[file])
    assert {"Ingress", "HTTPRoute", "NetworkPolicy", "ServiceMonitor"} <= kinds(together)


def test_the_examples_are_those_of_the_matrix() -> None:
    wanted = ("embedded", "shared", "policies", "ingress", "gateway-api", "network-policy")
    assert {f"values-{name}.yaml" for name in (*wanted, "metrics", "settings")} == set(
        values_files()
    )


def test_the_stores_of_the_examples_are_valid() -> None:
    found = [
        one
        for block in blocks("yaml")
        if block.startswith("apiVersion")
        for one in yaml.safe_load_all(block)
    ]
    assert [one["kind"] for one in found] == ["Cluster", "Service", "StatefulSet"]
    for one in found:
        if one["kind"] != "Cluster":
            check(one, NEWEST)


def test_what_commands_name_is_what_the_chart_makes() -> None:
    """Workloads, Services and Secrets of the kubectl commands, and the Secrets' keys."""
    files = values_files()
    made = {
        f"{one['kind'].lower()}/{one['metadata']['name']}"
        for name in ("values-embedded.yaml", "values-shared.yaml")
        for one in objects(files[name], name="gateway")
    }
    text = " ".join(word for words in commands() for word in words)
    named = set(re.findall(r"\b(?:statefulset|deployment|service)/[\w-]+", text))
    assert named
    assert named <= made
    assert "service/gateway-completion-gateway-ops" in made
    assert "get endpoints gateway-completion-gateway-ops" in text
    created = dict(
        re.findall(r"create secret generic ([\w-]+)((?: --from-literal=\S+=\S*)+)", text)
    )
    shared = files["values-shared.yaml"]
    assert "pepper=" in created[shared["pepper"]["existingSecret"]]
    assert "OPENAI_API_KEY=" in created[shared["upstreamKeys"]["existingSecret"]]
    assert "url=" in created[shared["redis"]["existingSecret"]]


def test_the_backup_of_sqlite_is_a_copy_that_can_be_read(tmp_path: Path) -> None:
    (program,) = [words[-1] for words in commands() if "sqlite3" in words[-1]]
    with sqlite3.connect(tmp_path / "gateway.db") as database:
        database.execute("CREATE TABLE a (b)")
        database.execute("INSERT INTO a VALUES (42)")
    here = program.replace("/app/var", str(tmp_path))
    subprocess.run([sys.executable, "-c", here], check=True)
    with sqlite3.connect(tmp_path / "backup.db") as copied:
        assert copied.execute("SELECT b FROM a").fetchall() == [(42,)]


def test_the_table_of_messages_quotes_the_chart() -> None:
    assert "`there is no pepper`" in PAGES[0].read_text("utf-8")
    with pytest.raises(helm.HelmError, match="there is no pepper"):
        objects({})
    assert "The pepper is in the release's values" in notes(changed({}, "pepper.value", SECRET))
