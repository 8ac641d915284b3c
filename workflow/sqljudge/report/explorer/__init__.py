"""The explorer: one folder of pages that shows every question of a run, from its gold rows to each planner's choice.

`read` reads a run, `show` makes plain values of it, `site` writes the folder. This module says which files a run's
explorer is made of; it imports little, since rules do.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqljudge.core.variants import POOL, RERANK, Variant, only, path


def explorer_inputs(
    cells: Iterable[tuple[str, Variant]], dataset: str, judged: Iterable[Variant]
) -> dict[str, list[str]]:
    """Every file that tables are made of, one question at a time, by kind; sorted, the dataset's questions first.

    `cells`: the kind of metric and the variant of each cell of all tables. `dataset`: the name of its questions file.
    `judged`: the jobs of judgments. What planners chose comes with its end-to-end metrics; scores are those of
    re-ranked candidates and of cells of the labelled pool.
    """
    found = list(cells)
    chosen = {only("selections", variant) for kind, variant in found if kind in ("end_to_end", "planner")}
    scored = {only("scores", variant) for kind, variant in found if kind == "intrinsic"}
    scored |= {only("scores", variant) for variant in chosen if variant.planner == RERANK}
    pools = {variant.pool for variant in chosen | scored}
    questions = [dataset] * any(pool != POOL for pool in pools) + [POOL] * (POOL in pools)

    def files(kind: str, variants: Iterable[Variant]) -> list[str]:
        return sorted({path(kind, variant) for variant in variants})

    return {
        "questions": [path("questions", Variant(name)) for name in questions],
        "candidates": files("candidates", map(Variant, pools)),
        "executions": files("executions", map(Variant, pools)),
        "judgments": files("judgments", judged),
        "scores": files("scores", scored),
        "selections": files("selections", chosen),
        "end_to_end": files("end_to_end", chosen),
    }
