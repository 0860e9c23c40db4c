"""Write the dashboards of the chart, out of the tables in scripts/boards.

python scripts/dashboards.py
"""

from __future__ import annotations

import json
from pathlib import Path

from boards import ledger, overview, privacy, quotas, upstreams
from boards.grafana import written

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "helm" / "completion-gateway" / "files" / "dashboards"
RULES = FOLDER.parent / "rules"
BOARDS = (overview.BOARD, quotas.BOARD, privacy.BOARD, upstreams.BOARD, ledger.BOARD)


def files() -> dict[Path, str]:
    """Each file, and what belongs into it."""
    return {
        FOLDER / f"{board.uid.removeprefix('gateway-')}.json": json.dumps(
            written(board), indent=2, ensure_ascii=False
        )
        + "\n"
        for board in BOARDS
    }


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
