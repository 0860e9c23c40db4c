"""Which organization a new key is of, and what its project may use, as the policies say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from gateway.cli.check import checked
from gateway.cli.console import EXIT_USAGE, CommandError
from gateway.policy.policy import Organization, Policy
from gateway.settings import Settings


def policy_of(settings: Settings, *, quoting: bool = True) -> Policy:
    """The policy in the folder of the settings. Raises CommandError with every error, or if not
    `quoting` with the place of each: what is wrong there may be a secret in the wrong line."""
    parsed = checked(Path(settings.policies))
    if parsed.policy is None:
        wrong = [problem for problem in parsed.problems if problem.severity == "error"]
        shown = [str(problem) if quoting else f"{problem.place}: error" for problem in wrong]
        advice = () if quoting else ("`gateway check` says what is wrong there.",)
        raise CommandError("\n".join(["the policies cannot be used:", *shown, *advice]))
    return parsed.policy


def home_of(policy: Policy, project: str, organization: str | None) -> Organization:
    """The organization of the project. Raises CommandError where there is none or several."""
    if organization is not None and organization not in policy.organizations:
        raise CommandError(
            f"There is no organization {organization!r}; the policies have "
            f"{_listed(policy.organizations)}."
        )
    homes = [
        one for one in policy.organizations.values()
        if organization in (None, one.name) and project in one.projects
    ]  # fmt: skip
    if not homes:
        known = {
            name for one in policy.organizations.values()
            if organization in (None, one.name) for name in one.projects
        }  # fmt: skip
        where = "the policies have" if organization is None else f"{organization} has"
        raise CommandError(f"There is no project {project!r}; {where} {_listed(known)}.")
    if len(homes) > 1:
        raise CommandError(
            f"Several organizations have a project {project!r}; say which with --organization: "
            f"{_listed(one.name for one in homes)}.",
            EXIT_USAGE,
        )
    return homes[0]


def check_models(home: Organization, project: str, models: Sequence[str]) -> None:
    """Raises CommandError for a model that the project may not use."""
    allowed = home.projects[project].models
    for model in models:
        if model not in allowed:
            raise CommandError(
                f"The project {project!r} may not use a model {model!r}; it may use "
                f"{_listed(allowed)}."
            )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
