"""How accounts are kept: what the settings choose, and what becomes of what was not written."""

import pytest

from gateway.accounts import _tell_unwritten
from gateway.errors import Unwritten
from gateway.usage.entry import Entry
from tests.world import FakeLog


def test_entries_that_the_database_did_not_take_are_logged_in_full() -> None:
    log = FakeLog()
    with pytest.raises(Unwritten, match="1 entries"):
        _tell_unwritten([Entry("req_1", 5.0, key_id="key_1", cost_nano=7)], log)
    ((event, fields),) = log.lines
    assert event == "entry_not_written"
    assert (fields["request_id"], fields["cost_nano"], fields["time"]) == ("req_1", 7, 5.0)
    _tell_unwritten([], log)
    assert len(log.lines) == 1
