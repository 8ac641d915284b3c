"""Formats of datasets, by name: a new one is a file here, a line below, and its name in the configuration's schema."""

from sqljudge.formats.base import DatasetFormat
from sqljudge.formats.bird import BIRD
from sqljudge.formats.spider import SPIDER

__all__ = ["BIRD", "FORMATS", "SPIDER", "DatasetFormat"]

FORMATS: dict[str, DatasetFormat] = {"spider": SPIDER, "bird": BIRD}
