"""The policy: one frozen bundle of everything that the admins wrote, with its digest. Pure values.

All files of the folder are one bundle: upstreams, models, plans and redaction profiles have one
namespace, which organizations use. A request keeps the Policy that it began with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gateway.privacy.profile import Images, Ner, Profile
from gateway.quota.limit import Limit
from gateway.usage.entry import Price


class Endpoint(StrEnum):
    """What a model can be used for, and what a key's scope can name."""

    CHAT = "chat"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    MODELS = "models"


class Tokenizer(StrEnum):
    """A vocabulary, or the UTF-8 bytes that bound any byte-level one."""

    O200K = "o200k"
    CL100K = "cl100k"
    BYTES = "bytes"


class WithoutKey(StrEnum):
    """What an upstream does while the environment variable of its key is not set."""

    REFUSE = "refuse"
    SIMULATE = "simulate"


class OnLedgerOutage(StrEnum):
    """What becomes of a request while the ledger cannot be asked."""

    REFUSE = "refuse"  # 503
    ADMIT = "admit"  # counted, and booked when the ledger is back


class OnClientLeft(StrEnum):
    """What becomes of the upstream's answer when its caller is gone."""

    CANCEL = "cancel"  # the upstream stops; what it wrote by then is counted
    DRAIN = "drain"  # it is read to its end, so that the upstream tells what it charges


@dataclass(frozen=True, slots=True)
class UpstreamPolicy:
    """A provider. `simulated`: the built-in upstream, no URL and no key. `base_url_env` names an
    environment variable that, when set, replaces `base_url`. Times in seconds. `retries` is how
    often a request is sent again that was not taken up, so that nothing was charged."""

    name: str
    base_url: str
    base_url_env: str | None = None
    api_key_env: str | None = None
    without_key: WithoutKey = WithoutKey.REFUSE
    simulated: bool = False
    connect_timeout_seconds: float = 5.0
    idle_timeout_seconds: float = 60.0
    total_timeout_seconds: float = 600.0
    on_client_left: OnClientLeft = OnClientLeft.CANCEL
    retries: int = 0


@dataclass(frozen=True, slots=True)
class PriceVersion:
    """A price that holds from `since` (unix seconds) until the next version."""

    since: float
    price: Price


@dataclass(frozen=True, slots=True)
class Model:
    """`context` and the output caps in tokens. `default_output` goes into a request that has no cap
    of its own; no request may ask for more than `output_max`. `image_tokens` bounds one image.
    `prices` are in the order of time; the first holds from the beginning of time (since 0)."""

    name: str
    upstream: str
    upstream_model: str
    endpoints: frozenset[Endpoint]
    prices: tuple[PriceVersion, ...]
    context: int
    output_max: int
    default_output: int
    tokenizer: Tokenizer
    image_tokens: int

    def price_at(self, now: float) -> Price | None:
        """The price in force at `now` (unix seconds); None: the model has no price."""
        for version in reversed(self.prices):
            if version.since <= now:
                return version.price
        return None


@dataclass(frozen=True, slots=True)
class Project:
    """What a key's requests are governed by. `models` are names after patterns were resolved;
    `limits` are those of the project and of its plan (levels project, key and end user)."""

    name: str
    models: frozenset[str]
    limits: tuple[Limit, ...]
    redaction: Profile


@dataclass(frozen=True, slots=True)
class Organization:
    name: str
    zone: str  # IANA
    currency: str  # ISO 4217
    limits: tuple[Limit, ...]
    projects: Mapping[str, Project]
    on_ledger_outage: OnLedgerOutage = OnLedgerOutage.REFUSE


@dataclass(frozen=True, slots=True)
class Policy:
    """`digest` is the first 12 hex digits of SHA-256 over the files' names and contents."""

    digest: str
    upstreams: Mapping[str, UpstreamPolicy]
    models: Mapping[str, Model]
    organizations: Mapping[str, Organization]

    def ner_engines(self) -> frozenset[Ner]:
        """Those that some project's profile names."""
        projects = (p for one in self.organizations.values() for p in one.projects.values())
        engines = (project.redaction.using.ner for project in projects)
        return frozenset(engine for engine in engines if engine is not None)

    def images(self) -> frozenset[Images]:
        """What the profiles of its projects do with pictures."""
        projects = (p for one in self.organizations.values() for p in one.projects.values())
        return frozenset(project.redaction.images for project in projects)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a policy file, and what would be right.

    `severity` is `error`, `warning` or `note`; only errors keep a policy from being used. `line`
    begins at 1; 0 is the file, or the folder, as a whole."""

    file: str
    line: int
    message: str
    severity: str = "error"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.severity}: {self.message}"
