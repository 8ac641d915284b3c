# What is asked for and cannot be made: Snakemake says so, and this names the nearest target that can.
from sqljudge.experiments.parts import nearest


def asked_for():
    """The targets that a person names on the command line; none within a job, as a module, or called from Python."""
    own = {ROOT / "Snakefile", ROOT / "workflow/Snakefile"}
    if OPTIONS is None or Path(workflow.main_snakefile).resolve() not in own:
        return []
    return OPTIONS.targets


FIXED = [each for each in workflow.rules if not each.has_wildcards()]

for TARGET in asked_for():
    NAMES = [each.name for each in FIXED]
    if TARGET in [*SPECS, *FIGURES] and TARGET not in NAMES:
        sys.exit(f"Error: '{TARGET}' is not made: the configuration leaves its table out (null); give the settings")
    is_made = any(each.name == TARGET or each.is_producer(TARGET) for each in workflow.rules)
    if not is_made and not Path(TARGET).exists():
        known = [str(file) for each in FIXED for file in each.output] if "/" in TARGET else NAMES
        sys.exit(f"Error: no rule makes '{TARGET}'{nearest(TARGET, known)}")
