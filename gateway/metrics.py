"""Every meter, once. A registry per app; labels are names from the policies, never caller-made.

A model that no policy names is `other`. Per-key figures come from the usage database.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from gateway import __version__
from gateway.quota.ledger import Standing
from gateway.quota.limit import Level, Mode
from gateway.tallies import CounterTally, GaugeTally, HistogramTally
from gateway.usage.entry import NANO, Entry, Outcome
from gateway.usage.metered import LABELS, OTHER, metered
from gateway.usage.readings import Sample
from gateway.usage.record import JournalState

REQUEST_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 600)
FIRST_TOKEN_BUCKETS = (0.05, 0.1, 0.25, 0.5, 0.75, 1, 2, 3, 5, 10, 20, 40)
OVERHEAD_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)

Buckets = tuple[float, ...]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

T = TypeVar("T", bound=Collector)


class _Maker:
    """Makes meters of our prefix on one registry; tallies are for what each request counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(f"gateway_{name}", help, labels, registry=self._registry)

    def gauge(self, name: str, help: str, *labels: str) -> Gauge:
        return Gauge(f"gateway_{name}", help, labels, registry=self._registry)

    def tally(self, name: str, help: str, *labels: str, unit: int = 1) -> CounterTally:
        return self._on(CounterTally(f"gateway_{name}", help, labels, unit))

    def gauge_tally(self, name: str, help: str, *labels: str) -> GaugeTally:
        return self._on(GaugeTally(f"gateway_{name}", help, labels))

    def histogram(self, name: str, help: str, buckets: Buckets, *labels: str) -> HistogramTally:
        return self._on(HistogramTally(f"gateway_{name}", help, buckets, labels))

    def _on(self, tally: T) -> T:
        self._registry.register(tally)
        return tally


class Meters:
    """All meters on one registry; see docs/reference/metrics.md for what each one means."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._journal_errors_seen = 0
        make = _Maker(self.registry)
        self._make_requests(make)
        self._make_accounts(make)
        self._make_parts(make)
        self._of_entries = {"requests": self.requests, "tokens": self.tokens, "cost": self.cost}

    def _make_requests(self, make: _Maker) -> None:
        self.requests = make.tally("requests", "Requests answered.", *LABELS["requests"])
        self.request_duration = make.histogram(
            "request_duration_seconds",
            "From the request's head to the end of its answer.",
            REQUEST_BUCKETS,
            "route",
            "model",
        )
        self.first_token = make.histogram(
            "time_to_first_token_seconds",
            "From the request's head to the first event of a streamed answer.",
            FIRST_TOKEN_BUCKETS,
            "route",
            "model",
        )
        self.overhead = make.histogram(
            "overhead_seconds", "Time that the gateway adds, by stage.", OVERHEAD_BUCKETS, "stage"
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
        self.inflight = make.gauge("inflight_requests", "Requests in work.")
        self.connections = make.gauge("connections", "Open connections of callers.")
        self.connections_refused = make.counter(
            "connections_refused", "Connections that were closed as one too many.", "reason"
        )
        self.tls_expires = make.gauge(
            "tls_expires_timestamp_seconds",
            "When the certificate in use ends, in unix seconds; 0 without TLS.",
        )

    def _make_accounts(self, make: _Maker) -> None:
        self.tokens = make.tally("tokens", "Tokens used, by type.", *LABELS["tokens"])
        self.cost = make.tally(
            "cost", "Money used, in units of the currency.", *LABELS["cost"], unit=NANO
        )
        self.limit_decisions = make.tally(
            "limit_decisions",
            "What each limit said: admitted, refused, would_refuse (modes observe and "
            "soft), or not_asked, where another limit refused.",
            "organization",
            "limit",
            "decision",
        )
        self.limit_used_ratio = make.gauge_tally(
            "limit_used_ratio",
            "Used and reserved over the amount, as a request last ended, for limits of "
            "organizations and projects.",
            "organization",
            "project",
            "limit",
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

    def _make_parts(self, make: _Maker) -> None:
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
        self.start_time = make.gauge(
            "start_time_seconds", "When this process began to count, in unix seconds."
        )
        self.build_info = make.gauge("build_info", "The version of the gateway.", "version")
        self.build_info.labels(__version__).set(1)

    def record(self, entry: Entry) -> None:
        """Count one entry. Of an abandoned one nobody knows how long it took."""
        meters = self._of_entries
        for (meter, labels), count in metered(entry):
            meters[meter].add(labels, count)
        where = (entry.endpoint or OTHER, entry.model if entry.upstream else OTHER)
        if entry.outcome is not Outcome.ABANDONED:
            self.request_duration.observe(where, entry.duration_ms / 1000)
        if entry.first_token_ms is not None:
            self.first_token.observe(where, entry.first_token_ms / 1000)
        for name, count in entry.redactions.items():
            entity, action, direction = f"{name}:request".split(":")[:3]
            self.redactions.add((entity, action, direction), count)

    def decided(self, standings: Iterable[Standing], granted: bool) -> None:
        """Count what each limit said of one request."""
        for standing in standings:
            limit = standing.claim.limit
            enforced = limit.mode is Mode.ENFORCE
            decision = "refused" if enforced else "would_refuse"
            if not standing.refused:
                decision = "admitted" if granted else "not_asked"
            organization = dict(standing.claim.subject).get("organization", "")
            self.limit_decisions.add((organization, limit.name, decision))

    def stand(self, standings: Iterable[Standing]) -> None:
        """Show how full limits are, where they are shared by a whole organization or project."""
        for standing in standings:
            limit, subject = standing.claim.limit, dict(standing.claim.subject)
            if limit.level in (Level.ORGANIZATION, Level.PROJECT) and standing.amount:
                ratio = (standing.used + standing.reserved) / standing.amount
                whose = (subject.get("organization", ""), subject.get("project", ""))
                self.limit_used_ratio.set((*whose, limit.name), ratio)

    def use_policy(self, digest: str, now: float) -> None:
        self.policy_info.clear()
        self.limit_used_ratio.clear()
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


def samples(exposition: str) -> Iterator[Sample]:
    """What an exposition says. Raises ValueError where it is none."""
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            yield sample.name, sample.labels, float(sample.value)
