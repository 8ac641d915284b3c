# The front door: the configuration, the rules by stage, and the targets that a person names.
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")

# The library, found beside this file also when the workflow is used as a module. Scripts inherit the path.
sys.path.insert(0, str(Path(workflow.snakefile).parent / "workflow"))

from sqljudge.core.interrupts import without_trace

without_trace()


configfile: Path(workflow.snakefile).parent / "config" / "config.yaml"


include: "rules/common.smk"
include: "rules/functions.smk"
include: "rules/data.smk"
include: "rules/training.smk"
include: "rules/models.smk"
include: "rules/routers.smk"
include: "rules/shards.smk"
include: "rules/execute.smk"
include: "rules/score.smk"
include: "rules/plan.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"
include: "rules/estimate.smk"


report: "workflow/report/workflow.rst"


localrules:
    all,
    tables,
    figures,


rule all:
    """Every table and figure of the configuration, what made them, and the explorer."""
    default_target: True
    input:
        rules.tables.input,
        rules.figures.input,
        rules.write_claims.output.html,
        rules.costs.output.html,
        rules.provenance.output.html,
        rules.explorer.output.page,


include: "rules/targets.smk"
