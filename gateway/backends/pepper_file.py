"""The pepper: the secret of the server under which keys are hashed.

Whoever has the database but not the pepper can neither use nor guess a key. Lost, every key is
lost with it, so that it wants a backup, in another place than the database's.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from gateway.settings import Settings

CHARACTERS_MIN = 32


class PepperProblem(Exception):
    """There is no pepper that can be used; the message says what to do."""


def load_pepper(settings: Settings) -> bytes:
    """The setting, else the file; with SQLite, a file that is not there is made.

    Postgres may have several gateways, on several machines, that must share one pepper: there
    nothing is made up. Raises PepperProblem."""
    if settings.pepper is not None:
        return _checked(settings.pepper, "GATEWAY_PEPPER")
    path = Path(settings.pepper_file)
    try:
        if not path.exists():
            if not settings.database_url.startswith("sqlite:"):
                raise PepperProblem(
                    f"There is no pepper, the secret under which keys are hashed: set "
                    f"GATEWAY_PEPPER to at least {CHARACTERS_MIN} random characters, the same for "
                    f"every gateway of this database (or put them into {path})."
                )
            _make(path)
        return _checked(path.read_text("utf-8"), f"the pepper file {path}")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise PepperProblem(
            f"The pepper file {path} cannot be used: {reason}. Let this user read and write it, or "
            "set GATEWAY_PEPPER."
        ) from error


def _checked(text: str, where: str) -> bytes:
    pepper = text.strip()
    if len(pepper) < CHARACTERS_MIN:
        raise PepperProblem(
            f"The pepper is too short: {where} has {len(pepper)} characters, expected at least "
            f"{CHARACTERS_MIN} random ones."
        )
    return pepper.encode()


def _make(path: Path) -> None:
    """Write a new pepper, whole and readable by its owner only, or leave the one that another
    process made in the meantime."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".pepper-")  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)  # unlike a rename, never over an existing file
    finally:
        os.unlink(draft)  # noqa: PTH108
