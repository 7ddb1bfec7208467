"""The inputs that are kept are read, or refused by name, without atheris."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_corpus(target):
    inputs = sorted((CORPUS / target).iterdir())
    assert inputs
    for path in inputs:
        TARGETS[target](path.read_bytes())


def test_every_folder_has_a_target():
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS)
