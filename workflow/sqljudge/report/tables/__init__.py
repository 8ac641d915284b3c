"""Tables: a run's metrics beside the published ones, as CSV, Markdown, LaTeX and HTML."""

from sqljudge.report.tables.findings import findings
from sqljudge.report.tables.layouts import LAYOUTS, build_table
from sqljudge.report.tables.model import Cell, Column, Grid, Row, Table
from sqljudge.report.tables.render import FORMATS, render

__all__ = ["FORMATS", "LAYOUTS", "Cell", "Column", "Grid", "Row", "Table", "build_table", "findings", "render"]
