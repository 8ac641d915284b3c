"""The explorer: one folder of pages that shows every question of a run, from its gold rows to each planner's choice."""

from sqljudge.report.explorer.questions import shown_questions, summary
from sqljudge.report.explorer.reading import Made, gold_results, read_made
from sqljudge.report.explorer.site import write_explorer

__all__ = ["Made", "gold_results", "read_made", "shown_questions", "summary", "write_explorer"]
