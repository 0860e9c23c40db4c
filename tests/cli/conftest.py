"""A folder of its own for a command: nothing set, no policies yet, and a migrated database."""

import os

import pytest
from command_line import using


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)
    (tmp_path / "policies").mkdir()

    async def migrate(database):
        database.migrate()

    using(migrate)
    return tmp_path
