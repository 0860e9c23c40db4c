"""Install the tools of operations that `make ops-test` works with, where that can be done.

    python scripts/ops_tools.py

Debian's packages need root and apt; without these, what is missing is told at the end, loudly, and
the tests that need it are skipped with the same name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

DEBIAN = {
    "promtool": "prometheus",
    "alertmanager": "prometheus-alertmanager",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "unshare": "util-linux",
    "chromium": "chromium",
    "pngquant": "pngquant",
}
"""Commands that tests/ops asks for, and the package that brings each."""

ALIASES = {"alertmanager": ("prometheus-alertmanager", "alertmanager")}
INSTALL = ("apt-get", "install", "--yes", "--quiet", "--no-install-recommends")


def path_of(command: str) -> str | None:
    """Where `command` is, by any of the names it goes under, or None."""
    found = (shutil.which(name) for name in ALIASES.get(command, (command,)))
    return next((path for path in found if path), None)


def main() -> None:
    missing = [command for command in DEBIAN if path_of(command) is None]
    if missing and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        subprocess.run(["apt-get", "update", "--quiet"], env=quiet, stdout=subprocess.DEVNULL)
        for command in missing:
            subprocess.run([*INSTALL, DEBIAN[command]], env=quiet, stdout=subprocess.DEVNULL)
    for command in DEBIAN:
        if path_of(command) is None:
            print(f"MISSING: {command} (Debian's {DEBIAN[command]}): its tests are SKIPPED.")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
