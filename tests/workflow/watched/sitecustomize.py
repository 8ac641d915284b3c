"""On the path of a run's jobs, this notes what each has imported when it ends."""

import atexit
import os
import sys


def note() -> None:
    """Write the names of all packages that a script of the workflow has imported into a file of its own."""
    folder, (place, _, script) = os.environ.get("IMPORTS_SEEN"), sys.argv[0].rpartition("/")
    if folder and place.endswith(".snakemake/scripts"):
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103  (as it is, it imports nothing of its own)
        with open(f"{folder}/{script}", "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write("\n".join(name for name in sys.modules if "." not in name))


atexit.register(note)
