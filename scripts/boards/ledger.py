"""What keeps accounts: reservations, the ledger, the journal, and parts that are not whole."""

from __future__ import annotations

from boards.panels import (
    GREEN,
    HERE,
    ORANGE,
    RED,
    YELLOW,
    Board,
    Column,
    Panel,
    series,
    stat,
    states,
    table,
)

RATE = "[$__rate_interval]"
RANGE = "[$__range]"
WHOLE = {0: ("well", GREEN), 1: ("not whole", RED)}
NONE_ALLOWED = ((None, GREEN), (1, RED))
FEW = ((None, GREEN), (1, ORANGE))


def quantile(share: float, stage: str) -> str:
    return (
        f"histogram_quantile({share}, sum by (le) "
        f'(rate(gateway_overhead_seconds_bucket{{{HERE},stage="{stage}"}}{RATE})))'
    )


NOW: tuple[Panel, ...] = (
    stat(
        "Lag",
        "Age of the oldest usage entry that is not in the database yet.",
        "s",
        f"max(gateway_journal_lag_seconds{{{HERE}}})",
        steps=((None, GREEN), (10, YELLOW), (60, RED)),
    ),
    stat(
        "Not written",
        "Usage entries that are not in the database yet.",
        "none",
        f"sum(gateway_journal_pending{{{HERE}}})",
        steps=((None, GREEN), (1000, YELLOW), (10000, RED)),
    ),
    stat(
        "Open reservations",
        "Requests that hold a reservation now. With nothing in work it should be 0.",
        "none",
        f"sum(gateway_reservations_open{{{HERE}}})",
    ),
    stat(
        "Abandoned",
        "Reservations of the time shown that nobody came back for; booked at their bound.",
        "none",
        f"sum(increase(gateway_reservations_abandoned_total{{{HERE}}}{RANGE}))",
        steps=FEW,
        decimals=0,
    ),
    stat(
        "Owed",
        "Requests that were served while the ledger was away, and wait to be booked.",
        "none",
        f"sum(gateway_ledger_owed{{{HERE}}})",
        steps=FEW,
    ),
    stat(
        "Set aside",
        "Usage entries that the database refused, and that are kept elsewhere.",
        "none",
        f"sum(gateway_journal_set_aside{{{HERE}}})",
        steps=NONE_ALLOWED,
    ),
)

PARTS: tuple[Panel, ...] = (
    states(
        "Degraded parts",
        "Each part of the gateway that can be less than whole, over all processes; "
        "docs/reference/metrics.md says what each one means.",
        f"max by (part) (gateway_degraded{{{HERE}}})",
        "{{part}}",
        states=WHOLE,
        width=16,
        height=9,
    ),
    series(
        "Policy failures",
        "Changed policies that were not taken over because of errors; the last good one stays in "
        "force.",
        "none",
        (f"sum(increase(gateway_policy_reload_failures_total{{{HERE}}}{RATE}))", "failed"),
        height=9,
    ),
)

JOURNAL: tuple[Panel, ...] = (
    series(
        "Lag by process",
        "Age of the oldest usage entry that is not written. Above a minute for 5 minutes there is "
        "an alert.",
        "s",
        (f"max by (instance) (gateway_journal_lag_seconds{{{HERE}}})", "{{instance}}"),
        steps=((None, GREEN), (60, RED)),
    ),
    series(
        "Not written by process",
        "Usage entries that wait. A process with a full buffer refuses requests (journal_full).",
        "none",
        (f"sum by (instance) (gateway_journal_pending{{{HERE}}})", "{{instance}}"),
    ),
    series(
        "Failed writes, dropped refusals",
        "Writes a second that failed (each is tried again), and refusals that are only in the log "
        "because the buffer was full.",
        "ops",
        (f"sum(rate(gateway_journal_errors_total{{{HERE}}}{RATE}))", "failed writes"),
        (f"sum(rate(gateway_entries_dropped_total{{{HERE}}}{RATE}))", "dropped refusals"),
    ),
)

LEDGER: tuple[Panel, ...] = (
    series(
        "Open reservations and requests in work",
        "They go together. Reservations without requests are left from processes that died, until "
        "their lease is over.",
        "none",
        (f"sum(gateway_reservations_open{{{HERE}}})", "open reservations"),
        (f"sum(gateway_inflight_requests{{{HERE}}})", "requests in work"),
    ),
    series(
        "Time to admit and to settle",
        "What a request waits for the ledger, 95 of 100 at most.",
        "s",
        (quantile(0.95, "admit"), "admit p95"),
        (quantile(0.95, "settle"), "settle p95"),
    ),
    series(
        "Outside of the usual way",
        "Requests a second: admitted without the ledger (booked later), abandoned (booked at their "
        "bound), overdrawn (used more than was reserved).",
        "reqps",
        (f"sum(rate(gateway_ledger_outage_admitted_total{{{HERE}}}{RATE}))", "without the ledger"),
        (f"sum(rate(gateway_reservations_abandoned_total{{{HERE}}}{RATE}))", "abandoned"),
        (f"sum(rate(gateway_reservations_overdrawn_total{{{HERE}}}{RATE}))", "overdrawn"),
    ),
)

POLICY: tuple[Panel, ...] = (
    table(
        "Policy in force",
        "The digest of the policy of each process, and for how long it has held. All should have "
        "the same.",
        (f"max by (instance, digest) (gateway_policy_info{{{HERE}}})", "In force"),
        (
            f"time() - max by (instance) (gateway_policy_reload_timestamp_seconds{{{HERE}}})",
            "For",
        ),
        labels=(("instance", "Instance"), ("digest", "Digest")),
        columns={"For": Column("s", decimals=0)},
        height=6,
    ),
)

BOARD = Board(
    uid="gateway-ledger",
    title="Completion Gateway / Ledger and journal",
    description="What keeps accounts: reservations, the ledger, the journal of usage, and parts "
    "that are not whole.",
    rows=(
        ("Now", NOW),
        ("Not whole", PARTS),
        ("Journal", JOURNAL),
        ("Ledger", LEDGER),
        ("Policy", POLICY),
    ),
)
