"""`make sbom` with the real tool: valid CycloneDX that names every pin, and the same each time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import sbom  # scripts/sbom.py
from gateway import __version__

pytestmark = pytest.mark.ops


def test_the_bill_names_every_pin(tmp_path: Path) -> None:
    texts = []
    for name in ("first", "second"):
        file = tmp_path / name / "sbom.json"
        command = [sys.executable, str(sbom.ROOT / "scripts" / "sbom.py"), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "valid CycloneDX" in done.stdout
        texts.append(file.read_text())
    assert texts[0] == texts[1]
    bill = json.loads(texts[0])
    main = bill["metadata"]["component"]
    assert (main["name"], main["type"]) == (sbom.OURS, "application")
    text = (sbom.ROOT / "requirements.txt").read_text()
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    pins = [Requirement(line) for line in lines if line]
    found = {sbom.name_of(one["name"]): one for one in bill["components"]}
    needed = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    assert len(needed) > 60
    for pin in needed:
        version = str(pin.specifier).removeprefix("==")
        one = found[sbom.name_of(pin.name)]
        assert one["version"] == version
        assert one["purl"].endswith(f"@{version}")
    assert not found.keys() & {"pytest", "mypy", "ruff", "hypothesis"}
    assert str(sbom.ROOT) not in texts[0]
    assert main.get("version", __version__) == __version__
