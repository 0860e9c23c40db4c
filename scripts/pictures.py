"""Draw the dashboards with the data of a Prometheus, for people without a Grafana at hand.

    python scripts/pictures.py http://127.0.0.1:9090 --minutes 60 --to pictures

Asks the Prometheus what each panel asks, lays the answers out as Grafana does, and has a headless
Chromium make a PNG of each dashboard.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from boards.frames import frame
from boards.page import WIDTH, page
from boards.panels import Board, panels
from boards.prometheus import Prometheus, Shown
from dashboards import BOARDS
from ops_tools import path_of

DRAW_SECONDS = 120
POINTS = 150


def draw(prometheus: Prometheus, shown: Shown, folder: Path, about: str) -> list[Path]:
    """A PNG of each dashboard. Raises RuntimeError without Chromium, Refused, and OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_drawn(board, prometheus, shown, folder, about) for board in BOARDS]


def _drawn(board: Board, prometheus: Prometheus, shown: Shown, folder: Path, about: str) -> Path:
    frames = [frame(panel, prometheus, shown) for panel in panels(board)]
    text, height = page(board, frames, shown, about)
    path = folder / f"{board.uid.removeprefix('gateway-')}.png"
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "page.html"
        source.write_text(text, encoding="utf-8")
        photograph(source, path, (WIDTH + 8, height))
    return path


def photograph(source: Path, path: Path, size: tuple[int, int]) -> None:
    """What Chromium shows of a page; in 256 colours where there is a pngquant."""
    chromium = path_of("chromium")
    if chromium is None:
        raise RuntimeError("there is no Chromium: install Debian's chromium")
    with tempfile.TemporaryDirectory() as profile:
        words = [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            "--disable-lcd-text",
            f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}",
            f"--screenshot={path}", source.as_uri(),
        ]  # fmt: skip
        subprocess.run(words, check=True, capture_output=True, timeout=DRAW_SECONDS)
    if smaller := path_of("pngquant"):
        words = [smaller, "--force", "--nofs", "--output", str(path), "--", str(path)]
        subprocess.run(words, check=True, timeout=DRAW_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="of the Prometheus")
    parser.add_argument("--minutes", type=float, default=60, help="how much of the past is shown")
    parser.add_argument("--to", type=Path, default=Path("pictures"), help="the folder")
    asked = parser.parse_args()
    end = time.time()
    seconds = asked.minutes * 60
    shown = Shown(end - seconds, end, max(1, seconds // POINTS), max(120, seconds / POINTS * 4))
    for path in draw(Prometheus(asked.url), shown, asked.to, f"The last {asked.minutes:g} minutes"):
        print(path, file=sys.stdout)


if __name__ == "__main__":
    main()
