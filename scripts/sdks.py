"""Make the environments of the official OpenAI clients that tests/journeys runs.

    python scripts/sdks.py

Each `tests/journeys/requirements-<version>.txt` gets a virtual environment `.tools/sdk-<version>`.
An environment whose stamp has the digest of its requirements is left alone, so that a repeat takes
no time. A lock makes it safe to start this twice at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "tests" / "journeys"
ENVIRONMENTS = ROOT / ".tools"
PREFIX = "requirements-"


def versions() -> list[str]:
    """The SDK versions that the journeys cover, by their requirements files."""
    return sorted(path.stem.removeprefix(PREFIX) for path in REQUIREMENTS.glob(f"{PREFIX}*.txt"))


def environment_of(version: str) -> Path:
    return ENVIRONMENTS / f"sdk-{version}"


def python_of(version: str) -> Path:
    return environment_of(version) / "bin" / "python"


def digest_of(version: str) -> str:
    """What an environment depends on: its requirements and the interpreter."""
    text = (REQUIREMENTS / f"{PREFIX}{version}.txt").read_bytes()
    return hashlib.sha256(text + sys.version.encode() + sys.base_prefix.encode()).hexdigest()


def is_ready(version: str) -> bool:
    stamp = environment_of(version) / "stamp"
    return stamp.exists() and stamp.read_text() == digest_of(version)


def make(version: str) -> None:
    """Build the environment anew; the stamp comes last, so a broken build is built again."""
    folder = environment_of(version)
    install(folder, REQUIREMENTS / f"{PREFIX}{version}.txt")
    (folder / "stamp").write_text(digest_of(version))


def install(folder: Path, requirements: Path, prepare: Callable[[], None] = lambda: None) -> None:
    """A new virtual environment with the pins of a file; `prepare` is done between."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    prepare()
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "--quiet", "--no-deps", "-r", str(requirements)], check=True)


def main() -> None:
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / "sdks.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for version in versions():
            if not is_ready(version):
                print(f"making {environment_of(version).relative_to(ROOT)}", flush=True)
                make(version)


if __name__ == "__main__":
    main()
