"""Settings: flags win over the environment, and wrong values are named with what is right."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.settings import (
    PREFIX,
    Settings,
    SettingsError,
    default_of,
    environment,
    load,
    settings_fields,
)

NAMES = [option.name for option in settings_fields()]


def variable(name: str) -> str:
    return PREFIX + name.upper()


def refusal(name: str, text: str) -> str | None:
    """The sentence about a wrong value, or None where it is taken."""
    try:
        load({}, {variable(name): text})
    except SettingsError as error:
        return str(error)
    return None


def test_nothing_set_is_the_defaults() -> None:
    assert load({}, {}) == Settings()


def test_a_variable_sets_its_setting() -> None:
    settings = load({}, {"GATEWAY_PORT": "8181", "GATEWAY_DATABASE_URL": "postgresql://db/gateway"})
    assert settings == Settings(port=8181, database_url="postgresql://db/gateway")


def test_a_flag_wins_over_its_variable() -> None:
    assert load({"port": "1"}, {"GATEWAY_PORT": "2"}).port == 1


def test_a_flag_that_was_not_given_leaves_the_variable() -> None:
    assert load({"port": None}, {"GATEWAY_PORT": "2"}).port == 2


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load({}, {"GATEWAY_REDIS_URL": "", "GATEWAY_PORT": ""}) == Settings()


def test_every_wrong_value_is_named_with_what_would_be_right() -> None:
    environ = {
        "GATEWAY_PORT": "http",
        "GATEWAY_LOG_LEVEL": "loud",
        "GATEWAY_DATABASE_URL": "mysql://db",
        "GATEWAY_SWEEP_SECONDS": "0",
    }
    with pytest.raises(SettingsError) as raised:
        load({}, environ)
    assert set(str(raised.value).splitlines()) == {
        "GATEWAY_PORT: 'http' is not usable; expected a whole number from 0 to 65535",
        "GATEWAY_LOG_LEVEL: 'loud' is not usable; expected one of debug, info, warning, error",
        "GATEWAY_DATABASE_URL: the value given is not usable; expected a URL that begins with "
        "sqlite:// or postgresql:// or postgres://",
        "GATEWAY_SWEEP_SECONDS: '0' is not usable; expected seconds from 0.05 to 3600",
    }


@pytest.mark.parametrize("name", ["database_url", "redis_url"])
def test_a_secret_is_not_repeated_in_its_error(name: str) -> None:
    sentence = refusal(name, "oracle://user:s3cret@db")
    assert sentence is not None
    assert "s3cret" not in sentence


@pytest.mark.parametrize("name", NAMES)
def test_a_default_passes_its_own_check(name: str) -> None:
    default = default_of(next(option for option in settings_fields() if option.name == name))
    if default is not None:
        assert getattr(load({}, {variable(name): str(default)}), name) == default


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", [" ", "nan", "inf", "-1", "1e400"])
def test_what_is_no_number_is_not_taken_for_one(name: str, text: str) -> None:
    if isinstance(getattr(Settings(), name), int | float):
        assert refusal(name, text)


@given(st.sampled_from(NAMES), st.text(max_size=40))
def test_any_text_is_taken_or_refused_in_a_sentence(name: str, text: str) -> None:
    sentence = refusal(name, text)
    assert sentence is None or sentence.startswith(f"{variable(name)}: ")
    assert sentence is None or "; expected " in sentence


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


def test_the_environment_is_the_process_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "4321")
    assert environment()["GATEWAY_PORT"] == "4321"
    assert load({}).port == 4321
