# Metrics: of scores on the labelled pool, of responses, of stopped thoughts, and of what planners chose.
def settings(wildcards):
    """A job's variant as it is written into metric files."""
    return variant(wildcards).settings()


def reference_files(kind):
    """An input function: the file of the re-ranking that a planner is compared with; none for what has none."""

    def found(wildcards):
        compared = reference(variant(wildcards))
        return [path(kind, compared)] if compared else []

    return found


def chosen_executions(wildcards):
    """The executions of the queries that a planner chose from."""
    tried = wildcards.planner in CONFIG.planners
    return path("tried_executions" if tried else "executions", variant(wildcards))


def full_thought(wildcards):
    """The scores of the responses' own verdicts at the last checkpoint."""
    found = variant(wildcards)
    return path("scores", dataclasses.replace(found, budget=found.checkpoints[-1], scoring="soft"))


SCORED = {"candidates": PATTERNS["candidates"], "scores": PATTERNS["scores"]}
MEASURES = {
    "intrinsic": (
        "PwAcc, F1, Hit@1, MRR and failure rate on the labelled pool, with intervals.",
        SCORED,
        {"settings": settings},
    ),
    "calibration": (
        "AUROC, average precision, F1 at a fitted threshold, Brier score and calibration error, with intervals.",
        {**SCORED, "questions": questions_of},
        {"settings": settings, "bins": CONFIG.calibration.bins},
    ),
    "contrast": (
        "What a discriminator gains or loses in one context against another: paired differences, with intervals.",
        {**SCORED, "base": PATTERNS["scores"].replace("{context}", "{base}")},
        {"settings": settings},
    ),
    "reasoning": (
        "Repetition, lexical variety, entropy and diversity of a reasoning discriminator's responses.",
        {"judgments": PATTERNS["judgments"]},
        {
            "settings": settings,
            "budget": lambda wildcards: int(wildcards.budget),
            "embedder": CONFIG.embedder,
        },
    ),
    "adaptive": (
        "What stopping a thought early spends and loses, its policy fitted on other databases, with intervals.",
        {
            "questions": questions_of,
            "candidates": PATTERNS["candidates"],
            "forced": PATTERNS["forced"],
            "scores": full_thought,
            "executions": executions_if_checked,
        },
        {"settings": settings, "confidences": CONFIG.forced.confidences},
    ),
    "end_to_end": (
        "Execution accuracy, exact and partial match of a planner's choices, by hardness, with intervals.",
        {
            "questions": path("questions", Variant(DATASET)),
            "tables": f"{DATA}/tables.json",
            "selections": PATTERNS["selections"],
            "executions": chosen_executions,
        },
        {"settings": settings, "levels": list(FORMAT.levels), "comparison": FORMAT.comparison},
    ),
    "planner": (
        "What a planner reaches and needs, and what it gains on re-ranking for its extra tokens, with intervals.",
        {
            "end_to_end": PATTERNS["end_to_end"],
            "costs": PATTERNS["costs"],
            "reference": reference_files("end_to_end"),
            "reference_costs": reference_files("costs"),
        },
        {},
    ),
}

for KIND, (ABOUT, FILES, SETTINGS) in MEASURES.items():

    rule:
        name:
            f"measure_{KIND}"
        input:
            **FILES,
        output:
            metrics=PATTERNS[KIND],
        log:
            log_of(PATTERNS[KIND]),
        conda:
            CPU_ENV
        threads: 2 if KIND == "reasoning" else 1
        params:
            **SETTINGS,
            **STATISTICS,
            code=code_digest(f"metrics.{KIND}"),
        script:
            f"../scripts/measure_{KIND}.py"

    describe(f"measure_{KIND}", ABOUT)
