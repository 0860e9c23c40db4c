"""Golden policies: what a folder or file of them says, as text to compare and to read.

`python tests/policy/golden.py` writes the expected texts anew; read the difference before you
commit it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.backends.entities import SELECTABLE
from gateway.backends.examine import examine
from gateway.backends.policy_folder import read_folder
from gateway.policy.parse import Parsed, parse
from gateway.policy.policy import Model, Policy, Project
from gateway.quota.limit import Limit

HERE = Path(__file__).parent / "golden"
POLICIES = Path(__file__).parent.parent.parent / "policies"
ENVIRON = {"OPENAI_API_KEY": "set", "WRONG_BASE_URL": "https://user:pass@host/v1"}


def accepted() -> dict[Path, Path]:
    """Every policy that is shipped → its expected text."""
    shipped = [POLICIES / "default.yaml", *sorted((POLICIES / "examples").iterdir())]
    return {policy: HERE / "accepted" / f"{policy.stem}.txt" for policy in shipped}


def refused() -> dict[Path, Path]:
    """Every policy that is wrong on purpose → its expected problems."""
    wrong = [p for p in sorted((HERE / "refused").iterdir()) if p.suffix != ".txt"]
    return {policy: policy.with_name(f"{policy.stem}.txt") for policy in wrong}


def parsed(path: Path) -> Parsed:
    files, problems = read_folder(path)
    assert not problems
    return parse(files, SELECTABLE, ENVIRON, examine)


def told(found: Parsed) -> str:
    """The problems, then what was understood."""
    lines = [str(problem) for problem in found.problems]
    if found.policy is not None:
        lines += described(found.policy)
    return "\n".join(lines) + "\n"


def described(policy: Policy) -> Iterator[str]:
    for upstream in policy.upstreams.values():
        yield str(upstream)
    for model in policy.models.values():
        yield _model(model)
    for organization in policy.organizations.values():
        yield (
            f"organization {organization.name} {organization.zone} {organization.currency}, "
            f"{organization.on_ledger_outage} in an outage of the ledger"
        )
        yield from (_limit(limit) for limit in organization.limits)
        for project in organization.projects.values():
            yield from _project(project)


def _model(model: Model) -> str:
    endpoints = ", ".join(sorted(model.endpoints))
    return (
        f"model {model.name} = {model.upstream}:{model.upstream_model} for {endpoints}, "
        f"context {model.context}, output {model.default_output}/{model.output_max}, "
        f"{model.tokenizer}, image {model.image_tokens}, {_prices(model)}"
    )


def _prices(model: Model) -> str:
    return ", ".join(f"from {v.since:.0f} {v.price}" for v in model.prices) or "no price"


def _project(project: Project) -> Iterator[str]:
    rules = sorted(project.redaction.rules.items())
    actions = ", ".join(f"{e}: {r.action} ≥ {r.score_min}" for e, r in rules)
    yield f"  project {project.name} may use {', '.join(sorted(project.models))}"
    yield f"    redaction {project.redaction.name}: {actions}"
    yield from ("  " + _limit(limit) for limit in project.limits)


def _limit(limit: Limit) -> str:
    model = f" of {limit.model}" if limit.model else ""
    return (
        f"  limit {limit.name}: {limit.amount} {limit.measure}{model} per {limit.window} in "
        f"{limit.zone}, each {limit.level}, {limit.mode}{_extras(limit)}"
    )


def _extras(limit: Limit) -> str:
    fiscal = (limit.month_starts_on, limit.year_starts_in)
    told = {
        f", months from {fiscal[0]}, years from {fiscal[1]}": fiscal != (1, 1),
        f", {limit.rollover} carried over": limit.rollover,
        f", warned of at {limit.warn_at}": limit.warn_at,
        ", clamped": limit.clamp,
    }
    return "".join(text for text, is_there in told.items() if is_there)


if __name__ == "__main__":
    for policy, expected in (accepted() | refused()).items():
        expected.write_text(told(parsed(policy)), "utf-8")
