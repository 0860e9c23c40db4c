"""What a grant on the command line means: which limit of the policy, whom it counts, how much."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.ask import end_user_id
from gateway.cli.console import EXIT_USAGE, CommandError
from gateway.cli.project import home_of
from gateway.keys.key import Key
from gateway.policy.document import Scalar
from gateway.policy.match import LOOKS_AT
from gateway.policy.policy import Organization, Policy
from gateway.policy.problems import Place, suggestion
from gateway.policy.words import Money
from gateway.policy.words import amount as amount_word
from gateway.quota.ledger import Subject
from gateway.quota.limit import Limit, Measure, Window
from gateway.usage.report import decimal_of

_OPTIONS = {"project": "--project", "key_id": "--key", "end_user": "--end-user"}
_PSEUDONYM = re.compile(r"user_[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom the options name; None: the option was not given."""

    organization: str | None
    project: str | None
    key: Key | None
    end_user: str | None


def find_limit(policy: Policy, name: str, whom: Asked) -> tuple[Organization, Limit]:
    """The limit, and the organization that it holds in. Raises CommandError with those that
    exist."""
    home = _home(policy, name, whom)
    project = whom.key.project if whom.key else whom.project
    limits = _limits(home, project)
    if name in limits:
        return home, limits[name]
    where = f"{home.name}/{project}" if project else home.name
    known = ", ".join(f"{limit.name} (each {limit.level})" for limit in limits.values())
    hint = suggestion(name, limits)
    close = f" {hint[0].upper()}{hint[1:]}" if hint.startswith("did") else ""
    raise CommandError(
        f"There is no limit {name!r} in {where}.{close} There is: {known or 'none'}."
    )


def subject_of(limit: Limit, home: Organization, whom: Asked) -> Subject:
    """Whom the limit counts. Raises CommandError where the options name somebody else: too many
    would promise less than is given, too few cannot be guessed."""
    key, looks_at = whom.key, LOOKS_AT[limit.level]
    given = {
        "organization": home.name,
        "project": key.project if key and "key_id" in looks_at else whom.project,
        "key_id": key.id if key else None,
        "end_user": whom.end_user,
    }
    each = f"The limit {limit.name} counts each {limit.level.replace('_', ' ')}"
    subject = []
    for field, value in given.items():
        if field in looks_at and not value:
            raise CommandError(f"{each}: say which with {_OPTIONS[field]}.", EXIT_USAGE)
        if field not in looks_at and value is not None:
            raise CommandError(f"{each}: leave {_OPTIONS[field]} away.", EXIT_USAGE)
        if value is not None:
            subject.append((field, value))
    _check_end_user(whom.end_user)
    return tuple(subject)


def amount_of(text: str, limit: Limit, currency: str) -> int:
    """The amount in the unit of the limit's measure; with a `-`, it takes away."""
    word, sign = amount_word(), -1 if text.startswith("-") else 1
    try:
        value = word.take(Scalar(text.removeprefix("-"), True, Place("", 0)))
    except ValueError:
        raise CommandError(f"{text!r} is not an amount; expected {word.expected}.",
                           EXIT_USAGE) from None  # fmt: skip
    is_money = limit.measure is Measure.MONEY
    if isinstance(value, Money) and is_money and value.currency == currency:
        return sign * int(value.nano)
    if isinstance(value, int) and not is_money:
        return sign * value
    expected = f'money, as in "25 {currency}"' if is_money else "a whole number, as in 100_000"
    raise CommandError(
        f"The limit {limit.name} counts {limit.measure.replace('_', ' ')}, so its amount is "
        f"{expected}, not {text!r}.",
        EXIT_USAGE,
    )


def amount_text(amount: int, limit: Limit | None, currency: str) -> str:
    """As people write it."""
    if limit is None:
        return str(amount)
    if limit.measure is Measure.MONEY:
        return f"{decimal_of(amount)} {currency}"
    return f"{amount} {limit.measure.replace('_', ' ')}"


def is_prepaid(limit: Limit) -> bool:
    """A balance that is topped up, where other limits are raised for a time."""
    return limit.window is Window.NONE and limit.measure is not Measure.CONCURRENCY


def _limits(home: Organization, project: str | None) -> dict[str, Limit]:
    """By name: those of the project, or of all projects, and the organization's own."""
    projects = [home.projects[project]] if project else list(home.projects.values())
    limits = {limit.name: limit for one in projects for limit in one.limits}
    return limits | {limit.name: limit for limit in home.limits}


def _home(policy: Policy, name: str, whom: Asked) -> Organization:
    """Without an option that says so, the only organization that has a limit of the name."""
    key = whom.key
    if key is not None:
        named = (whom.organization or key.organization, whom.project or key.project)
        if named != (key.organization, key.project):
            raise CommandError(f"The key {key.id} is of {key.organization}/{key.project}.")
        return home_of(policy, key.project, key.organization)
    if whom.project is not None:
        return home_of(policy, whom.project, whom.organization)
    known = policy.organizations
    if whom.organization is not None:
        if whom.organization not in known:
            raise CommandError(
                f"There is no organization {whom.organization!r}; the policies have "
                f"{', '.join(sorted(known))}."
            )
        return known[whom.organization]
    having = sorted(one for one in known if name in _limits(known[one], None)) or list(known)
    if len(having) == 1:
        return known[having[0]]
    if name not in _limits(known[having[0]], None):
        every = {limit for home in known.values() for limit in _limits(home, None)}
        hint = suggestion(name, sorted(every))
        raise CommandError(f"No organization has a limit {name!r}: {hint}.".replace("?.", "?"))
    raise CommandError(
        f"Several organizations have a limit {name!r}; say which with --organization: "
        f"{', '.join(having)}.",
        EXIT_USAGE,
    )


def _check_end_user(end_user: str | None) -> None:
    if end_user and end_user_id(end_user, b"") != end_user and not _PSEUDONYM.fullmatch(end_user):
        raise CommandError(
            "--end-user is a value that is kept as a pseudonym only; give that, as "
            "`gateway usage --by end_user` shows it.",
            EXIT_USAGE,
        )
