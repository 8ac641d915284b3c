"""Tables: a run's metrics beside the published ones, as CSV, Markdown, LaTeX and HTML."""

from sqljudge.tables.findings import findings
from sqljudge.tables.layouts import LAYOUTS, build_table
from sqljudge.tables.model import Cell, Column, Grid, Row, Table
from sqljudge.tables.render import FORMATS, render

__all__ = ["FORMATS", "LAYOUTS", "Cell", "Column", "Grid", "Row", "Table", "build_table", "findings", "render"]
