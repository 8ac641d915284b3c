"""Formats of datasets, by name: a new one is a file here, a line below, and its name in the configuration's schema."""

from sqljudge.data.formats.base import DatasetFormat
from sqljudge.data.formats.bird import BIRD
from sqljudge.data.formats.spider import SPIDER

__all__ = ["BIRD", "FORMATS", "SPIDER", "DatasetFormat"]

FORMATS: dict[str, DatasetFormat] = {"spider": SPIDER, "bird": BIRD}
