"""The models of the policy in force: loaded, and told of while they are not."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from gateway.parts import Parts
from gateway.privacy.profile import Ner, OnDetectorFailure


class Loads(Protocol):
    async def prepare(self, engines: Collection[Ner]) -> dict[Ner, str]:
        """Load their models, and forget all others. What is wrong with those that do not load."""
        ...


async def load_models(parts: Parts, models: Loads, known: Collection[Ner] = ()) -> None:
    """Load those of the policy in force; `known` are those of the one before. What is not loaded,
    or not yet, fails the requests that need it, or they go on without, as the policy says."""
    engines = parts.policies.current.ner_engines()
    before = parts.state.ner_problems
    loading = {one: f"NER engine {one.name}: loading" for one in engines if one not in known}
    _note(parts, loading | {one: before[one] for one in engines if one in before})
    problems = await models.prepare(engines)
    _note(parts, problems)
    for problem in problems.values():
        parts.log.error("ner_not_loaded", problem=problem)


def models_lacking(parts: Parts) -> str | None:
    """What is wrong with the models that requests cannot do without: where they go on without one,
    this process is as ready as it was."""
    problems = parts.state.ner_problems.items()
    needed = [said for one, said in problems if one.on_failure is OnDetectorFailure.REFUSE]
    return "; ".join(needed) or None


def _note(parts: Parts, problems: dict[Ner, str]) -> None:
    parts.meters.degraded.labels("ner").set(1 if problems else 0)
    parts.state.ner_problems = problems
