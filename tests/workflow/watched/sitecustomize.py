"""On the path of a run's jobs, this notes what each has imported when it ends."""

import atexit
import os
import sys


def note() -> None:
    """Write the names of all packages that a script of the workflow has imported into a file of its own."""
    folder, script = os.environ.get("IMPORTS_SEEN"), os.path.basename(sys.argv[0])  # noqa: PTH119  (imports nothing)
    if folder and script.endswith(".py"):
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        with open(os.path.join(folder, script), "w", encoding="utf-8") as file:  # noqa: PTH118, PTH123
            file.write("\n".join(name for name in sys.modules if "." not in name))


atexit.register(note)
