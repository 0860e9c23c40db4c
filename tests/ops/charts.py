"""The chart's renderings, from tests/chart, for the tools that look at them here."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "chart"))
