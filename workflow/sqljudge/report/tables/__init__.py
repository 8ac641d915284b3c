"""Tables: a run's metrics beside the published ones, as CSV, Markdown, LaTeX and HTML."""

from sqljudge.report.tables.findings import findings
from sqljudge.report.tables.layouts import LAYOUTS, build_table
from sqljudge.report.tables.model import Cell, Column, Row, Table
from sqljudge.report.tables.render import render
from sqljudge.report.text import FORMATS

__all__ = ["FORMATS", "LAYOUTS", "Cell", "Column", "Row", "Table", "build_table", "findings", "render"]
