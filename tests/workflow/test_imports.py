"""What jobs import: most take a tenth of a second of work, and a heavy package takes longer than that to import."""

from __future__ import annotations

from harness import Project

HEAVY = {
    *("accelerate", "bm25s", "gguf", "matplotlib", "nltk", "openai", "pandas", "pyarrow", "pydantic", "scipy"),
    *("sentence_transformers", "sklearn", "sqlglot", "torch", "transformers", "vllm"),
}
JUDGMENTS = {"pyarrow", "pandas"}
"""pyarrow imports pandas where it writes."""
ALLOWED = {
    "answer": {"pandas", "pyarrow", "scipy"},
    "claims": {"pandas", "pyarrow", "scipy"},
    "cost": {"pyarrow"},
    "costs": {"pandas", "pyarrow"},
    "explorer": {"pyarrow"},
    "figure": {"matplotlib", "pandas", "pyarrow", "scipy"},
    "force": {"pyarrow"},
    "generate": {"sqlglot"},
    "import_pool": {"sqlglot"},
    "judge": {"bm25s", "scipy", "sqlglot"} | JUDGMENTS,
    "measure_adaptive": {"scipy"},
    "measure_calibration": {"scipy"},
    "measure_contrast": {"scipy"},
    "measure_end_to_end": {"scipy"},
    "measure_intrinsic": {"scipy"},
    "measure_planner": {"scipy"},
    "measure_reasoning": HEAVY - {"matplotlib", "openai", "pydantic", "sqlglot", "vllm"},
    "plan": {"scipy"},
    "provenance": {"pandas", "pyarrow"},
    "score": {"pyarrow"},
    "search": {"sqlglot"},
}
"""What each script may import of these; a script that is not named may import none. A model stands behind no job here:
what one needs is imported by its engine."""


def test_a_job_imports_no_heavy_package_that_it_does_not_use(finished: Project) -> None:
    seen: dict[str, set[str]] = {}
    for file in (finished.folder.parent / "imports").iterdir():
        script = file.name.split(".")[1]  # Snakemake runs a copy: tmp12ab.score.py
        seen.setdefault(script, set()).update(file.read_text(encoding="utf-8").split())
    too_much = {script: sorted((found & HEAVY) - ALLOWED.get(script, set())) for script, found in seen.items()}
    assert not {script: names for script, names in too_much.items() if names}
    assert len(seen) > 20, "every job of the run left its note"
    assert seen["measure_reasoning"] >= {"torch", "sentence_transformers"}, "what is imported is seen"
