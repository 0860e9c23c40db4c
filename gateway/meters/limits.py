"""The meters of limits: what each one said of a request, and how full it is.

A claim that is kept (policy/matches.py) is the same object for each request; so is, then, where its
figures are counted.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.meters.maker import Maker
from gateway.meters.tallies import Cell
from gateway.quota.ledger import Claim, Standing, home_of
from gateway.quota.limit import Level, Mode, Window

_SHARED = frozenset({Level.ORGANIZATION, Level.PROJECT})
CALENDAR = frozenset(Window) - {Window.SECOND, Window.MINUTE, Window.HOUR, Window.NONE}
CLAIMS_MAX = 4_000
"""Claims whose cells are kept; all are forgotten when there are more. Those of end users, and those
that a grant raised, are made anew for each request, and only pass through."""


class _Cells:
    """Those of one claim, which is held so that no other one can have its identity."""

    __slots__ = ("admitted", "claim", "is_shared", "organization", "ratio", "reset", "tells_reset")

    def __init__(self, claim: Claim) -> None:
        self.claim, limit = claim, claim.limit
        self.organization = home_of(claim.subject)[0]
        self.is_shared = limit.level in _SHARED
        self.tells_reset = limit.window in CALENDAR
        self.admitted: Cell | None = None
        self.ratio: Cell | None = None
        self.reset: Cell | None = None


class LimitMeters:
    """`admitted` or `decided` once a request, `stand` when it ended."""

    def __init__(self, make: Maker) -> None:
        self._kept: dict[int, _Cells] = {}
        self._decisions = make.tally(
            "limit_decisions",
            "What each limit said: admitted, refused, would_refuse (modes observe and "
            "soft), or not_asked, where another limit refused.",
            "organization",
            "limit",
            "decision",
        )
        self._used_ratio = make.gauge_tally(
            "limit_used_ratio",
            "Used and reserved over the amount, as a request last ended, for limits of "
            "organizations and projects.",
            "organization",
            "project",
            "limit",
        )
        self._reset = make.gauge_tally(
            "limit_reset_timestamp_seconds",
            "When a budget's window ends, in unix seconds, for limits of organizations and "
            "projects by calendar.",
            "organization",
            "project",
            "limit",
        )

    def decided(self, standings: Iterable[Standing], granted: bool) -> None:
        """Count what each limit said of one request."""
        for claim, _, _, _, _, refused, _, _ in standings:
            cells = self._kept.get(id(claim)) or self._cells_of(claim)
            decision = "admitted" if granted else "not_asked"
            if refused:
                decision = "refused" if claim.limit.mode is Mode.ENFORCE else "would_refuse"
            self._decisions.add((cells.organization, claim.limit.name, decision))

    def admitted(self, claims: Iterable[Claim], times: int) -> None:
        """Count so many requests for which each of these limits had room."""
        for claim in claims:
            cells = self._kept.get(id(claim)) or self._cells_of(claim)
            if cells.admitted is not None:
                cells.admitted[0] += times
            else:
                labels = (cells.organization, claim.limit.name, "admitted")
                cells.admitted = self._decisions.add(labels, times)

    def stand(self, standings: Iterable[Standing]) -> None:
        """Show how full limits are, where they are shared by a whole organization or project."""
        for claim, amount, used, reserved, _, _, resets_at, _ in standings:
            cells = self._kept.get(id(claim)) or self._cells_of(claim)
            if not cells.is_shared or not amount:
                continue
            ratio = (used + reserved) / amount
            if cells.ratio is not None:
                cells.ratio[0] = ratio
            else:
                cells.ratio = self._used_ratio.set(_labels(claim), ratio)
            if resets_at is not None and cells.tells_reset:
                if cells.reset is not None:
                    cells.reset[0] = resets_at
                else:
                    cells.reset = self._reset.set(_labels(claim), resets_at)

    def forget(self) -> None:
        """Show nothing of limits of another policy."""
        self._kept.clear()
        self._used_ratio.clear()
        self._reset.clear()

    def _cells_of(self, claim: Claim) -> _Cells:
        if len(self._kept) >= CLAIMS_MAX:
            self._kept.clear()
        cells = self._kept[id(claim)] = _Cells(claim)
        return cells


def _labels(claim: Claim) -> tuple[str, str, str]:
    return (*home_of(claim.subject), claim.limit.name)
