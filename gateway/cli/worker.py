"""What each worker runs: `gateway serve`, until SIGTERM or until its supervisor is gone.

A worker's standard input is a pipe whose other end only the supervisor (workers.py) holds. It ends
when the supervisor does, be it by kill -9; the worker drains then, as after SIGTERM.
"""

from __future__ import annotations

import os
import signal
import threading

from gateway.cli.main import app


def leave_with_supervisor() -> None:
    """From now on, this process gets SIGTERM when its standard input ends."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    leave_with_supervisor()
    app(["serve"], prog_name="gateway")
