"""The dashboards by Grafana's published types: what TypeScript says of them.

`@grafana/schema` and `typescript` of npm are installed into .tools/grafana, in pinned versions."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dashboards import FOLDER

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLS = ROOT / ".tools" / "grafana"
PACKAGES = {"@grafana/schema": "13.2.3", "typescript": "7.0.2"}
INSTALL_SECONDS = 300
TYPES = "./node_modules/@grafana/schema/dist/types"

pytestmark = [
    pytest.mark.ops,
    pytest.mark.skipif(shutil.which("npm") is None, reason="MISSING: npm (Debian's npm)"),
]

HEAD = f"""
import {{
  type AnnotationQuery, type Dashboard, type Panel, type RowPanel,
}} from '{TYPES}/index.gen';
import {{ type DataQuery }} from '{TYPES}/veneer/common.types';
import * as stat from '{TYPES}/raw/composable/stat/panelcfg/x/types.gen';
import * as timeseries from '{TYPES}/raw/composable/timeseries/panelcfg/x/types.gen';
import * as bargauge from '{TYPES}/raw/composable/bargauge/panelcfg/x/types.gen';
import * as table from '{TYPES}/raw/composable/table/panelcfg/x/types.gen';
import * as states from '{TYPES}/raw/composable/statetimeline/panelcfg/x/types.gen';

/** A type as JSON has it: members of an enum are its values. */
type Json<T> = T extends string ? `${{T}}`
  : T extends number ? (`${{T}}` extends `${{infer N extends number}}` ? N : number)
  : T extends boolean | null | undefined ? T
  : T extends (infer E)[] ? Json<E>[]
  : T extends object ? {{ [K in keyof T]: Json<T[K]> }}
  : T;
type Whole = Omit<Json<Dashboard>, 'panels' | 'annotations'>;
type Mark = Json<AnnotationQuery<DataQuery & {{ expr: string }}>>;
type One = Json<Panel> | Json<RowPanel>;
"""
KINDS = {
    "stat": ("stat.Options", None),
    "timeseries": ("timeseries.Options", "timeseries.FieldConfig"),
    "bargauge": ("bargauge.Options", None),
    "table": ("table.Options", "table.FieldConfig"),
    "state-timeline": ("states.Options", "states.FieldConfig"),
}


@pytest.fixture(scope="module")
def tsc() -> Path:
    """The compiler, beside the types."""
    command = TOOLS / "node_modules" / ".bin" / "tsc"
    wanted = json.dumps({"private": True, "type": "module", "dependencies": PACKAGES})
    told = TOOLS / "package.json"
    if not command.exists() or not told.exists() or told.read_text() != wanted:
        shutil.rmtree(TOOLS, ignore_errors=True)
        TOOLS.mkdir(parents=True)
        told.write_text(wanted)
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund"], cwd=TOOLS, capture_output=True,
            text=True, check=False, timeout=INSTALL_SECONDS,
        )  # fmt: skip
        if done.returncode:
            told.unlink()
            pytest.skip(f"MISSING: {', '.join(PACKAGES)} of npm: {done.stderr[-300:]}")
    return command


def source_of(board: dict[str, Any]) -> str:
    """The dashboard as TypeScript: each part declared to be of its type, so that the compiler
    refuses a wrong value, one that is missing, and a key that is not in the schema."""
    apart = ("panels", "annotations")
    whole = {name: value for name, value in board.items() if name not in apart}
    lines = [
        HEAD,
        f"export const whole: Whole = {json.dumps(whole)};",
        f"export const marks: Mark[] = {json.dumps(board['annotations']['list'])};",
    ]
    for panel in board["panels"]:
        id = panel["id"]
        lines.append(f"export const panel{id}: One = {json.dumps(panel)};")
        if panel["type"] == "row":
            continue
        options, look = KINDS[panel["type"]]
        custom = panel["fieldConfig"]["defaults"]["custom"]
        lines.append(f"export const options{id}: Json<{options}> = {json.dumps(panel['options'])};")
        if look:
            lines.append(f"export const look{id}: Json<{look}> = {json.dumps(custom)};")
        else:
            assert custom == {}
    return "\n".join(lines)


def refused(tsc: Path, name: str, source: str) -> str:
    """What the compiler has against it."""
    path = TOOLS / f"{name}.ts"
    path.write_text(source, encoding="utf-8")
    words = [
        str(tsc), "--noEmit", "--strict", "--skipLibCheck", "--module", "esnext",
        "--moduleResolution", "bundler", path.name,
    ]  # fmt: skip
    done = subprocess.run(words, cwd=TOOLS, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode else ""


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.stem)
def test_a_dashboard_is_of_grafanas_types(tsc: Path, path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    assert refused(tsc, path.stem, source_of(board)) == ""


@pytest.mark.parametrize("fault", ["wrong type", "wrong word", "unknown key", "wrong option"])
def test_the_types_refuse_what_is_wrong(tsc: Path, fault: str) -> None:
    board = json.loads((FOLDER / "overview.json").read_text(encoding="utf-8"))
    panel = board["panels"][1]
    if fault == "wrong type":
        board["schemaVersion"] = "39"
    elif fault == "wrong word":
        panel["fieldConfig"]["defaults"]["thresholds"]["mode"] = "relative"
    elif fault == "unknown key":
        panel["fieldConfig"]["defaults"]["units"] = "s"
    else:
        panel["options"]["colorMode"] = "rainbow"
    assert "error TS" in refused(tsc, "wrong", source_of(board))
