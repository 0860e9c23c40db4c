"""Every meter, once. A registry per app; labels are names from the policies, never caller-made.

A model that no policy names is `other`. Figures of keys are in the usage database, and of those
that the operator lists here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import generate_latest

from gateway import __version__
from gateway.errors import CODES
from gateway.meters.backlog import Backlog
from gateway.meters.entries import REQUEST_BUCKETS, EntryMeters
from gateway.meters.genai import GenAi
from gateway.meters.limits import LimitMeters
from gateway.meters.maker import Maker
from gateway.meters.tallies import SERIES_MAX
from gateway.usage.entry import NANO, Entry, Outcome
from gateway.usage.metered import KINDS, OTHER
from gateway.usage.record import JournalState

OVERHEAD_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)

CONNECTION_BOUNDS = ("connections", "connections_per_address")
"""Why a connection is refused: the settings that say how many there may be."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

PARTS = (
    "policy", "schema", "ledger", "journal", "ner", "ocr", "sweep", "background", "retention",
)  # fmt: skip
"""What can be degraded."""


class Meters:
    """All meters on one registry; see docs/reference/metrics.md for what each one means.

    `keys` are ids of keys that have meters of their own, `series_max` bounds the label values of
    each meter."""

    def __init__(
        self, keys: Iterable[str] = (), series_max: int = SERIES_MAX, *, genai: bool = False
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._keys = frozenset(keys)
        self._journal_errors_seen = 0
        backlog = Backlog()
        self.registry.register(backlog)
        self.later, self.last, self.often = backlog.later, backlog.last, backlog.often
        self._settle = backlog.settle
        make = Maker(self.registry, series_max)
        self.series_refused = make.series_refused
        self.entries = EntryMeters(make)
        self.limits = LimitMeters(make)
        self._make_requests(make)
        self._make_accounts(make)
        self._make_keys(make)
        self._make_parts(make)
        self.genai = GenAi(make) if genai else None
        ProcessCollector(registry=self.registry)

    def _make_requests(self, make: Maker) -> None:
        self.errors = make.tally("errors", "Errors told to callers, by their code.", "code")
        for code in (*CODES, OTHER):
            self.errors.add((code,), 0)
        self.overhead = make.histogram(
            "overhead_seconds",
            "Time that the gateway adds, by stage, the turns of other requests in it.",
            OVERHEAD_BUCKETS,
            "stage",
        )
        self.upstream_requests = make.tally(
            "upstream_requests",
            "Requests sent upstream, by status code or `error`.",
            "upstream",
            "model",
            "code",
        )
        self.upstream_duration = make.histogram(
            "upstream_duration_seconds",
            "From sending a request upstream to the end of its reply.",
            REQUEST_BUCKETS,
            "upstream",
            "model",
        )
        self.circuit_state = make.gauge_tally(
            "circuit_state", "0 while requests are sent to an upstream, else 1 or 2.", "upstream"
        )
        self.circuit_opened = make.tally(
            "circuit_opened", "Times that an upstream failed too often in a row.", "upstream"
        )
        self.inflight = make.gauge("inflight_requests", "Requests in work.")
        self.connections = make.gauge("connections", "Open connections of callers.")
        self.connections_refused = make.counter(
            "connections_refused", "Connections that were closed as one too many.", "reason"
        )
        for reason in CONNECTION_BOUNDS:
            self.connections_refused.labels(reason)
        self.tls_expires = make.gauge(
            "tls_expires_timestamp_seconds",
            "When the certificate in use ends, in unix seconds; 0 without TLS.",
        )

    def _make_accounts(self, make: Maker) -> None:
        self.reservations_open = make.gauge(
            "reservations_open", "Reservations of requests in work at this process."
        )
        self.entries_dropped = make.counter(
            "entries_dropped",
            "Refusals that were only logged, because the journal was full; they cost nothing.",
        )
        self.reservations_abandoned = make.counter(
            "reservations_abandoned", "Reservations that nobody resolved, booked at their bound."
        )
        self.limit_warnings = make.counter(
            "limit_warnings",
            "Times that the use of a limit passed a share of its amount (`warn_at`).",
            "organization",
            "limit",
            "share",
        )
        self.admitted_in_outage = make.counter(
            "ledger_outage_admitted",
            "Requests admitted without the ledger (`on_ledger_outage: admit`); booked later.",
        )
        self.ledger_owed = make.gauge(
            "ledger_owed", "Requests whose use waits for the ledger to come back."
        )
        self.overdrawn = make.counter(
            "reservations_overdrawn", "Requests that used more than was reserved; booked as used."
        )
        self.redactions = make.tally(
            "redactions", "Private values found.", "entity", "action", "direction"
        )
        self.redactions_without_ner = make.counter(
            "redactions_without_ner",
            "Requests whose NER engine failed or was late (`on_detector_failure: without_ner`).",
        )
        self.redaction_duration = make.histogram(
            "redaction_duration_seconds", "Time to redact one request.", OVERHEAD_BUCKETS
        )

    def _make_keys(self, make: Maker) -> None:
        self.key_requests = make.tally(
            "key_requests", "Requests of a listed key.", "key_id", "outcome"
        )
        self.key_tokens = make.tally("key_tokens", "Tokens of a listed key.", "key_id", "type")
        self.key_cost = make.tally(
            "key_cost", "Money of a listed key, in units of the currency.", "key_id", "currency",
            unit=NANO,
        )  # fmt: skip

    def _make_parts(self, make: Maker) -> None:
        self.journal_pending = make.gauge("journal_pending", "Usage entries not yet written.")
        self.journal_lag = make.gauge(
            "journal_lag_seconds", "Age of the oldest usage entry not yet written."
        )
        self.journal_set_aside = make.gauge(
            "journal_set_aside", "Usage entries that the database refused, kept elsewhere."
        )
        self.journal_errors = make.counter(
            "journal_errors", "Failed writes of usage; each is tried again."
        )
        self.policy_info = make.gauge("policy_info", "1 for the policy in force.", "digest")
        self.policy_reloaded = make.gauge(
            "policy_reload_timestamp_seconds", "When the policy in force was taken over."
        )
        self.policy_failures = make.counter(
            "policy_reload_failures", "Policies that were not taken over because of errors."
        )
        self.degraded = make.gauge("degraded", "1 while a part is not whole.", "part")
        for part in PARTS:
            self.degraded.labels(part).set(0)
        self.start_time = make.gauge(
            "start_time_seconds", "When this process began to count, in unix seconds."
        )
        self.telemetry_lost = make.counter(
            "telemetry_lost",
            "Spans, and sets of metrics, that did not reach OpenTelemetry's collector.",
            "signal",
        )
        self.build_info = make.gauge("build_info", "The version of the gateway.", "version")
        self.build_info.labels(__version__).set(1)

    def record(self, entry: Entry) -> None:
        """Count one entry."""
        self.entries.count(entry)
        for name, count in entry.redactions.items():
            self.redactions.add(_redaction(name), count)
        if entry.code and entry.outcome is not Outcome.OK:  # one that is well may have been cut
            self.errors.add((entry.code if entry.code in CODES else OTHER,))
        if entry.key_id in self._keys:
            self._record_key(entry)
        if self.genai is not None:
            self.genai.record(entry)

    def _record_key(self, entry: Entry) -> None:
        self.key_requests.add((entry.key_id, entry.outcome.value))
        for kind, tokens in zip(KINDS, entry.tokens, strict=True):
            if tokens:
                self.key_tokens.add((entry.key_id, kind), tokens)
        if entry.cost_nano:
            self.key_cost.add((entry.key_id, entry.currency), entry.cost_nano)

    def exchanged(
        self, entry: Entry, stages: Mapping[str, float], code: str, upstream_seconds: float | None
    ) -> None:
        """Count an exchange: its entry, the time that each stage took, and what the upstream did,
        if it was asked."""
        self.record(entry)
        if entry.redactions or "redact" in stages:
            self.redaction_duration.observe((), stages.get("redact", 0.0))
        self.overhead.observe_each(stages)
        self.overhead.observe(("total",), sum(stages.values()))
        if upstream_seconds is not None:
            served = (entry.upstream, entry.model)
            self.upstream_requests.add((*served, code))
            self.upstream_duration.observe(served, upstream_seconds)

    def use_policy(self, digest: str, now: float) -> None:
        self._settle()  # of limits of the policy before
        self.policy_info.clear()
        self.limits.forget()
        self.circuit_state.clear()
        self.policy_info.labels(digest).set(1)
        self.policy_reloaded.set(now)

    def observe_journal(self, state: JournalState) -> None:
        self.journal_pending.set(state.pending)
        self.journal_lag.set(state.lag_seconds)
        self.journal_set_aside.set(state.set_aside)
        self.journal_errors.inc(max(0, state.errors - self._journal_errors_seen))
        self._journal_errors_seen = state.errors
        self.degraded.labels("journal").set(1 if state.full else 0)

    def exposition(self) -> bytes:
        """The text format of Prometheus, version 0.0.4."""
        return generate_latest(self.registry)


@lru_cache(1024)  # a policy has some ten
def _redaction(name: str) -> tuple[str, str, str]:
    """The labels of what an entry counts by this name."""
    entity, action, direction = f"{name}:request".split(":")[:3]
    return entity, action, direction
