"""The bill of materials is that of what is shipped: pins in, tools of development out."""

from __future__ import annotations

from typing import Any

import sbom  # scripts/sbom.py


def bill(*names: str, **dependencies: list[str]) -> dict[str, Any]:
    """A bill as the tool writes it of an environment."""
    root = {"ref": "root", "dependsOn": [f"{names[0]}==1"]}
    below = [
        {"ref": f"{name}==1", **({"dependsOn": dependencies[name]} if name in dependencies else {})}
        for name in names
    ]
    return {
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [{"bom-ref": f"{name}==1", "name": name} for name in names],
        "dependencies": [root, *below],
        "specVersion": "1.6",
    }


def test_names_are_read_however_pins_write_them() -> None:
    text = "# made by\nRuamel.yaml==1\nredis[hiredis]==8 ; python_version > '3'\n\nspacy==3  # x\n"
    assert sbom.pinned(text) == {"ruamel-yaml", "redis", "spacy"}


def test_what_is_not_shipped_is_left_out_with_what_depends_on_it() -> None:
    whole = bill("a", "B_c", "pytest", a=["B_c==1", "pytest==1"], pytest=["a==1"])
    kept = sbom.shipped(whole, {"a", "b-c"})
    assert [one["name"] for one in kept["components"]] == ["a", "B_c"]
    assert kept["dependencies"] == [
        {"ref": "root", "dependsOn": ["a==1"]},
        {"ref": "a==1", "dependsOn": ["B_c==1"]},
        {"ref": "B_c==1"},
    ]
    assert kept["specVersion"] == "1.6"


def test_the_pins_of_the_tool_are_whole() -> None:
    names = sbom.pinned(sbom.REQUIREMENTS.read_text())
    assert "cyclonedx-bom" in names
    assert all("==" in line for line in sbom.REQUIREMENTS.read_text().splitlines()[1:])
