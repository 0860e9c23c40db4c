"""Runs one of the programs beside it, as a person would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def run(program: str, *words: str) -> dict[str, Any]:
    """What it measured. Fails where it does not end with 0."""
    done = subprocess.run(
        [sys.executable, str(HERE / program), *words, "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured
