"""Make the environment in which tests/ocr runs: the extra `ocr`, beside what .venv has.

    python scripts/ocr.py

`.tools/ocr` gets what requirements-ocr.txt has more than .venv, which stays as small as it is. Like
the environments of scripts/sdks.py, it is left alone while its stamp is right. Where it cannot be
made, this ends with a sentence and fails: no test is passed over.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import sysconfig
from pathlib import Path

from sdks import ENVIRONMENTS, ROOT, install

FOLDER = ENVIRONMENTS / "ocr"
PYTHON = FOLDER / "bin" / "python"
REQUIREMENTS = ROOT / "requirements-ocr.txt"
FAILED = (
    "The extra `ocr` cannot be installed (see above), and without it tests/ocr cannot run. Let pip "
    f"reach a package index that has the pins of {REQUIREMENTS.name}, and run this again."
)


def digest() -> str:
    """What the environment depends on: the pins, and where the interpreter and .venv are."""
    where = f"{sys.version} {sys.prefix}".encode()
    return hashlib.sha256(REQUIREMENTS.read_bytes() + where).hexdigest()


def is_ready() -> bool:
    stamp = FOLDER / "stamp"
    return stamp.exists() and stamp.read_text() == digest()


def see_packages_of_venv() -> None:
    asked = [str(PYTHON), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    own = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    seen = dict.fromkeys((str(ROOT), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    Path(own, "of_venv.pth").write_text("\n".join(seen) + "\n")


def main() -> None:
    ENVIRONMENTS.mkdir(exist_ok=True)
    with (ENVIRONMENTS / "ocr.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_ready():
            print(f"making {FOLDER.relative_to(ROOT)} (once; about a minute)", flush=True)
            try:
                install(FOLDER, REQUIREMENTS, see_packages_of_venv)
            except (OSError, subprocess.CalledProcessError):
                sys.exit(FAILED)
            (FOLDER / "stamp").write_text(digest())


if __name__ == "__main__":
    main()
