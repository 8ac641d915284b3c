"""The explorer: one folder of pages that shows every question of a run, from its gold rows to each planner's choice."""

from sqljudge.report.explorer.read import explorer_inputs
from sqljudge.report.explorer.site import write_explorer

__all__ = ["explorer_inputs", "write_explorer"]
