"""Write the bill of materials of what is shipped: CycloneDX as JSON.

    python scripts/sbom.py [FILE]          (`make sbom`; FILE is dist/sbom.cdx.json)

The packages are those of requirements.txt, with the versions, licences and dependencies of what is
installed in .venv. The tool has an environment of its own, `.tools/sbom`, made once; after that
nothing is fetched. What it writes is checked against the schema of CycloneDX.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from sdks import ENVIRONMENTS, ROOT, install

FOLDER = ENVIRONMENTS / "sbom"
TOOL = FOLDER / "bin" / "cyclonedx-py"
REQUIREMENTS = ROOT / "scripts" / "requirements-sbom.txt"
BILL = ROOT / "dist" / "sbom.cdx.json"
OURS = "completion-gateway"
FAILED = (
    "The tool that writes the bill cannot be installed (see above). Let pip reach a package index "
    f"that has the pins of scripts/{REQUIREMENTS.name}, and run this again."
)
VALID = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(str(problem) if problem else 0)
"""


def name_of(name: str) -> str:
    """As pins and installed packages may write it differently (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(requirements: str) -> set[str]:
    """The names in a file of pins, markers and extras aside."""
    lines = (line.split("#")[0].strip() for line in requirements.splitlines())
    return {name_of(re.split(r"[\[=;\s]", line)[0]) for line in lines if line}


def shipped(bill: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The bill of a whole environment, without what is not among these names."""
    kept = [one for one in bill["components"] if name_of(one["name"]) in names]
    refs = {one["bom-ref"] for one in kept} | {bill["metadata"]["component"]["bom-ref"]}
    dependencies = [
        one | ({"dependsOn": below} if below else {})
        for one in bill["dependencies"]
        if one["ref"] in refs
        for below in [[ref for ref in one.pop("dependsOn", ()) if ref in refs]]
    ]
    return bill | {"components": kept, "dependencies": dependencies}


def ready() -> None:
    """Make the tool's environment where it is not, or has other pins."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    stamp = FOLDER / "stamp"
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / "sbom.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == digest:
            return
        print(f"making {FOLDER.relative_to(ROOT)} (once)", flush=True)
        try:
            install(FOLDER, REQUIREMENTS)
        except (OSError, subprocess.CalledProcessError):
            sys.exit(FAILED)
        stamp.write_text(digest)


def bill_of_materials() -> str:
    command = [
        str(TOOL),
        "environment",
        sys.executable,
        "--pyproject",
        str(ROOT / "pyproject.toml"),
    ]
    options = ["--output-reproducible", "--sv", "1.6", "--of", "JSON", "-o", "-"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    names = pinned((ROOT / "requirements.txt").read_text())
    text = json.dumps(shipped(json.loads(done.stdout), names), indent=2, ensure_ascii=False) + "\n"
    checked = subprocess.run([str(FOLDER / "bin" / "python"), "-c", VALID], input=text, text=True)
    if checked.returncode:
        sys.exit("The bill is not valid CycloneDX; see above.")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the bill of materials as CycloneDX.")
    parser.add_argument("file", nargs="?", type=Path, default=BILL, help="dist/sbom.cdx.json")
    file = parser.parse_args().file
    ready()
    text = bill_of_materials()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    print(f"{file}: {len(json.loads(text)['components'])} packages, valid CycloneDX 1.6")


if __name__ == "__main__":
    main()
