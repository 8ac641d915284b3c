"""The pages: links lead somewhere, code names pages that exist, and examples of configuration are accepted."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqljudge.experiments.config import load_config

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page for pattern in ("*.md", "docs/*.md", "config/README.md", "results/README.md") for page in ROOT.glob(pattern)
)
LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
FENCE = re.compile(r"^( *)(```+)(\w*)\n(.*?)^ *\2$", re.MULTILINE | re.DOTALL)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its blocks and code spans."""
    return re.sub(r"(`+)[^`].*?\1", "", FENCE.sub("", text_of(page)))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE):
        plain = LINK.sub(lambda link: link[0].partition("]")[0][1:], heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """A configuration laid over another as Snakemake does it: key by key, lists replaced."""
    both = {key: merged(base[key], over[key]) for key in base.keys() & over.keys() if isinstance(over[key], dict)}
    return {**base, **over, **both}


def names(pages: list[Path]) -> list[str]:
    return [page.relative_to(ROOT).as_posix() for page in pages]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            assert target.startswith("https://"), target
            continue
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found), f"{target}; anchors: {', '.join(sorted(anchors(found)))}"


def test_there_are_few_pages_and_the_readme_leads_to_each() -> None:
    pages = sorted((ROOT / "docs").glob("*.md"))
    assert len(pages) <= 8
    linked = LINK.findall(prose(ROOT / "README.md"))
    assert [name for name in [*names(pages), "CONTRIBUTING.md", "CHANGELOG.md"] if name not in linked] == []


def test_code_and_configuration_name_pages_that_exist() -> None:
    folders = ("workflow", "rules", "scripts", "config", "profiles", "tests")
    places = [ROOT / "Snakefile", ROOT / "Makefile", *(path for folder in folders for path in files(folder))]
    named = {(path.name, page) for path in places for page in re.findall(r"\bdocs/\w+\.md\b", text_of(path))}
    assert len(named) > 5
    assert [(path, page) for path, page in sorted(named) if not (ROOT / page).is_file()] == []


def files(folder: str) -> list[Path]:
    endings = {".py", ".smk", ".yaml", ".md", ".rst", ".txt", ".tsv"}
    return [path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in endings and path.is_file()]


EXAMPLES = [
    pytest.param(block[3], id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, block in enumerate(FENCE.findall(text_of(page)))
    if block[2] == "yaml" and page.name != "extending.md"  # whose examples need what its recipes write
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_of_configuration_are_accepted(example: str) -> None:
    base = yaml.safe_load(text_of(ROOT / "config/config.yaml"))
    load_config(merged(base, yaml.safe_load(example)))
