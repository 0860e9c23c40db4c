"""Install what tests/ops tries the chart with: the schemas of CRDs, and a security linter.

    python scripts/chart_tools.py

`.tools/crds` gets the packages of tests/ops/crds/package.json, by npm; `.tools/checkov` is an
environment with the pins of tests/ops/requirements-checkov.txt, as it wants older packages than we.
Each is left alone while its stamp is right. What cannot be had is told, loudly, and the tests that
need it are skipped with the same name.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from sdks import ENVIRONMENTS, ROOT, install

OPS = ROOT / "tests" / "ops"
CRDS, CRD_SOURCES = ENVIRONMENTS / "crds", OPS / "crds"
CHECKOV, CHECKOV_PINS = ENVIRONMENTS / "checkov", OPS / "requirements-checkov.txt"
NPM_INSTALL = ("install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund")


def digest_of(*files: Path) -> str:
    content = b"".join(file.read_bytes() for file in files)
    return hashlib.sha256(content + sys.version.encode()).hexdigest()


def is_ready(folder: Path, digest: str) -> bool:
    stamp = folder / "stamp"
    return stamp.exists() and stamp.read_text() == digest


def crds_digest() -> str:
    return digest_of(*sorted(CRD_SOURCES.iterdir()))


def checkov_digest() -> str:
    return digest_of(CHECKOV_PINS)


def install_crds() -> None:
    """Raises FileNotFoundError without npm, and CalledProcessError where it fails."""
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    shutil.rmtree(CRDS, ignore_errors=True)
    shutil.copytree(CRD_SOURCES, CRDS)
    subprocess.run([npm, *NPM_INSTALL, "--loglevel=error"], cwd=CRDS, check=True)


def install_checkov() -> None:
    install(CHECKOV, CHECKOV_PINS)


def provide(folder: Path, digest: str, how: Callable[[], None], what: str) -> None:
    if is_ready(folder, digest):
        return
    print(f"making {folder.relative_to(ROOT)} (once)", flush=True)
    try:
        how()
    except (OSError, subprocess.CalledProcessError) as problem:
        print(f"MISSING: {what} ({problem}): its tests are SKIPPED.", flush=True)
        return
    (folder / "stamp").write_text(digest)


def main() -> None:
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / "chart.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        provide(CRDS, crds_digest(), install_crds, "schemas of CRDs, by npm")
        provide(CHECKOV, checkov_digest(), install_checkov, "checkov")


if __name__ == "__main__":
    main()
