"""What is said of a model that is not there."""

from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from gateway.backends import ner_models
from gateway.backends.ner_models import missing
from gateway.privacy.profile import Ner


def without(monkeypatch: pytest.MonkeyPatch, *absent: str) -> None:
    def find_spec(name: str) -> ModuleSpec | None:
        return None if name in absent else ModuleSpec(name, None)

    monkeypatch.setattr(ner_models, "find_spec", find_spec)


def test_a_package_is_advised_for_a_package_and_a_folder_for_a_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without(monkeypatch)
    assert missing(Ner("n", "spacy", str(tmp_path))) is None
    package = missing(Ner("n", "spacy", "no_such_model"))
    assert package is not None
    assert "`python -m spacy download no_such_model`" in package
    for model in ("/nonexistent/dir", "./dir", "a/b", r"C:\dir"):
        folder = missing(Ner("n", "spacy", model))
        assert folder is not None
        assert folder.startswith(f"there is no folder `{model}`: ")
        assert "spacy download" not in folder


@pytest.mark.parametrize(
    ("absent", "said"),
    [(["torch"], "torch"), (["torch", "transformers"], "transformers and torch")],
)
def test_what_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, absent: list[str], said: str
) -> None:
    without(monkeypatch, *absent)
    told = missing(Ner("n", "huggingface", "model"))
    assert told is not None
    assert told.startswith(f"`huggingface` lacks {said}: ")
