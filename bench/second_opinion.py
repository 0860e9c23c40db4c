"""What wrk, where it is installed, gets out of the same servers with the same requests.

It does not look at answers, so that it may be faster; that ours is not what holds a gateway up is
seen where both get the same from it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cases import JSON_BUSY
from kernel_counts import on_core
from load_request import SERIAL_LETTERS, request_parts
from yard import Contestant, Yard

FIRST = 2 * 10**8  # of its requests' numbers: none that was sent before
SCRIPT = """
local before, behind, number = {before}, {behind}, {first}
function request()
  local n, letters = number, {{}}
  for place = {letters}, 1, -1 do
    letters[place] = string.char(97 + n % 26)
    n = math.floor(n / 26)
  end
  number = number + 1
  return before .. "ada." .. table.concat(letters) .. "@example.com" .. behind
end
"""


def second_opinion(
    yard: Yard, contestants: Sequence[Contestant], seconds: float
) -> dict[str, float] | None:
    """Requests per second by wrk in the busy JSON case; None without wrk. Entries of those that it
    gives up at its end are nobody's, so that it comes after they were counted.

    Raises RuntimeError for an answer that is no success."""
    program = shutil.which("wrk")
    if program is None:
        return None
    return {
        one.name: _rate(program, yard.folder / f"{one.name}.lua", one, yard.cores.load, seconds)
        for one in contestants
        if not one.is_peer
    }


def _rate(program: str, script: Path, one: Contestant, core: int, seconds: float) -> float:
    before, behind = request_parts(JSON_BUSY.load(one.port, one.headers, seconds, FIRST))
    script.write_text(
        SCRIPT.format(
            before=json.dumps(before.decode()),
            behind=json.dumps(behind.decode()),
            first=FIRST,
            letters=SERIAL_LETTERS,
        )
    )
    words = ["-t1", f"-c{JSON_BUSY.connections}", f"-d{max(1, round(seconds))}s", "-s", str(script)]
    with on_core(core):
        done = subprocess.run(
            [program, *words, f"http://127.0.0.1:{one.port}"],
            capture_output=True,
            text=True,
            check=True,
        )
    rate = re.search(r"Requests/sec: +([\d.]+)", done.stdout)
    if rate is None or "Non-2xx" in done.stdout:
        raise RuntimeError(f"wrk on {one.name}: {done.stdout}")
    return float(rate[1])
