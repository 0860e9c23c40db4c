"""Every meter, once. A registry per app; labels are names from the policies, never caller-made.

A model that no policy names is `other`. Figures of keys are in the usage database, and of those
that the operator lists here."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.exposition import generate_latest

from gateway import __version__
from gateway.errors import CODES
from gateway.genai_meters import GenAi
from gateway.meter_maker import Maker
from gateway.quota.ledger import Standing, home_of
from gateway.quota.limit import Level, Mode, Window
from gateway.tallies import SERIES_MAX
from gateway.usage.entry import NANO, Entry, Outcome
from gateway.usage.metered import KINDS, LABELS, OTHER, metered
from gateway.usage.record import JournalState

REQUEST_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 600)
FIRST_TOKEN_BUCKETS = (0.05, 0.1, 0.25, 0.5, 0.75, 1, 2, 3, 5, 10, 20, 40)
OVERHEAD_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)

_SHARED = frozenset({Level.ORGANIZATION, Level.PROJECT})
CONNECTION_BOUNDS = ("connections", "connections_per_address")
"""Why a connection is refused: the settings that say how many there may be."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

PARTS = (
    "policy", "schema", "ledger", "journal", "ner", "ocr", "sweep", "background", "retention",
)  # fmt: skip
"""What can be degraded."""
CALENDAR = frozenset(Window) - {Window.SECOND, Window.MINUTE, Window.HOUR, Window.NONE}


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
        make = Maker(self.registry, series_max)
        self.series_refused = make.series_refused
        self._make_requests(make)
        self._make_accounts(make)
        self._make_keys(make)
        self._make_parts(make)
        self.genai = GenAi(make) if genai else None
        self._of_entries = {"requests": self.requests, "tokens": self.tokens, "cost": self.cost}
        ProcessCollector(registry=self.registry)

    def _make_requests(self, make: Maker) -> None:
        self.requests = make.tally("requests", "Requests answered.", *LABELS["requests"])
        self.errors = make.tally("errors", "Errors told to callers, by their code.", "code")
        for code in (*CODES, OTHER):
            self.errors.add((code,), 0)
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
        self.limit_reset = make.gauge_tally(
            "limit_reset_timestamp_seconds",
            "When a budget's window ends, in unix seconds, for limits of organizations and "
            "projects by calendar.",
            "organization",
            "project",
            "limit",
        )
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
        if entry.code and entry.outcome is not Outcome.OK:  # one that is well may have been cut
            self.errors.add((entry.code if entry.code in CODES else OTHER,))
        if entry.key_id in self._keys:
            self._record_key(entry)
        if self.genai is not None:
            self.genai.record(entry)

    def _record_key(self, entry: Entry) -> None:
        self.key_requests.add((entry.key_id, entry.outcome.value))
        for kind in KINDS:
            if tokens := getattr(entry.tokens, kind):
                self.key_tokens.add((entry.key_id, kind), tokens)
        if entry.cost_nano:
            self.key_cost.add((entry.key_id, entry.currency), entry.cost_nano)

    def decided(self, standings: Iterable[Standing], granted: bool) -> None:
        """Count what each limit said of one request."""
        usual = "admitted" if granted else "not_asked"
        for standing in standings:
            limit, (organization, _) = standing.claim.limit, home_of(standing.claim.subject)
            decision = usual
            if standing.refused:
                decision = "refused" if limit.mode is Mode.ENFORCE else "would_refuse"
            self.limit_decisions.add((organization, limit.name, decision))

    def stand(self, standings: Iterable[Standing]) -> None:
        """Show how full limits are, where they are shared by a whole organization or project."""
        for claim, amount, used, reserved, _, _, resets_at, _ in standings:
            limit = claim.limit
            if limit.level in _SHARED and amount:
                labels = (*home_of(claim.subject), limit.name)
                self.limit_used_ratio.set(labels, (used + reserved) / amount)
                if resets_at is not None and limit.window in CALENDAR:
                    self.limit_reset.set(labels, resets_at)

    def use_policy(self, digest: str, now: float) -> None:
        self.policy_info.clear()
        self.limit_used_ratio.clear()
        self.limit_reset.clear()
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
