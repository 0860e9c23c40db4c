"""The models that the policy in force needs: loaded, and told of while they are not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from gateway.parts import Parts, Wanted
from gateway.policy.policy import Policy
from gateway.privacy.profile import Images, Ner, OnDetectorFailure

Prepare = Callable[[Policy], Awaitable[dict[Wanted, str]]]
"""Loads the models of a policy, and says what is wrong with those that do not load."""

PARTS: Final = {"ner": Ner, "ocr": Images}


def wanted_by(policy: Policy) -> frozenset[Wanted]:
    ocr = {Images.OCR} & set(policy.images())
    return frozenset([*policy.ner_engines(), *ocr])


async def load_models(parts: Parts, prepare: Prepare, known: Collection[Wanted] = ()) -> None:
    """Load those of the policy in force; `known` are those of the one before. What is not loaded,
    or not yet, fails the requests that need it, or they go on without, as the policy says."""
    policy = parts.policies.current
    wanted, before = wanted_by(policy), parts.state.not_loaded
    loading = {one: f"{_called(one)}: loading" for one in wanted if one not in known}
    _note(parts, loading | {one: before[one] for one in wanted if one in before})
    problems = await prepare(policy)
    _note(parts, problems)
    for part, kind in PARTS.items():
        for problem in _of(kind, problems):
            parts.log.error(f"{part}_not_loaded", problem=problem)


def models_lacking(parts: Parts, part: str) -> str | None:
    """What is wrong with the models that requests cannot do without: where they go on without one,
    this process is as ready as it was."""
    problems = parts.state.not_loaded.items()
    needed = {one: said for one, said in problems if not _can_do_without(one)}
    return "; ".join(_of(PARTS[part], needed)) or None


def _can_do_without(one: Wanted) -> bool:
    return isinstance(one, Ner) and one.on_failure is not OnDetectorFailure.REFUSE


def _called(one: Wanted) -> str:
    return f"NER engine {one.name}" if isinstance(one, Ner) else "OCR"


def _of(kind: type, problems: Mapping[Wanted, str]) -> list[str]:
    return [said for one, said in problems.items() if isinstance(one, kind)]


def _note(parts: Parts, problems: dict[Wanted, str]) -> None:
    for part, kind in PARTS.items():
        parts.meters.degraded.labels(part).set(1 if _of(kind, problems) else 0)
    parts.state.not_loaded = problems
