"""Environments of tools that only measurements need, under .tools, made when first asked for.

A stamp says what an environment was made of, so that a repeat takes no time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

TOOLS = Path(__file__).resolve().parent.parent / ".tools"


def python_tool(name: str, *requirements: str) -> Path:
    """The folder of programs of a virtual environment with these. Raises CalledProcessError."""
    folder = TOOLS / name
    if not _is_made(folder, requirements):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(folder / "bin/python"), "-m", "pip", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--quiet", *requirements], check=True)
        _stamp(folder, requirements)
    return folder / "bin"


def node_tool(name: str, *requirements: str) -> Path:
    """The folder node_modules with these. Raises CalledProcessError, and FileNotFoundError
    where there is no npm."""
    folder = TOOLS / name
    if not _is_made(folder, requirements):
        subprocess.run(
            ["npm", "install", "--silent", "--prefix", folder, *requirements], check=True
        )
        _stamp(folder, requirements)
    return folder / "node_modules"


def _is_made(folder: Path, requirements: tuple[str, ...]) -> bool:
    """Whether it is; if not, what is left of another is gone."""
    stamp = folder / "stamp"
    if stamp.exists() and stamp.read_text() == _words(requirements):
        return True
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"making .tools/{folder.name}: {_words(requirements)}", flush=True)
    return False


def _stamp(folder: Path, requirements: tuple[str, ...]) -> None:
    (folder / "stamp").write_text(_words(requirements))


def _words(requirements: tuple[str, ...]) -> str:
    return " ".join(requirements)
