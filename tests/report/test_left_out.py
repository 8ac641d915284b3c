"""Tables say how many questions were left out, since a request of theirs got no answer."""

from __future__ import annotations

from sqljudge.report.notes import _left_out


def test_tables_say_what_was_left_out() -> None:
    assert _left_out([{"left_out": 0}, {}]) == ""
    assert "up to 3 questions" in _left_out([{"left_out": 1}, {"left_out": 3}])
