"""After the code: our ACS identity, are both processes well, and who listens to which events.

azd runs this file; by hand: `azd hooks run postdeploy`.
"""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    if sys.version_info < (3, 13):  # noqa: UP036  # an older one could not read the rest
        sys.exit("Patchcord's hooks need Python 3.13 or newer: install it, and see that `python3` is it.")
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # instead of this folder, where azd starts it
    sys.exit(import_module("infra.hooks.runs").main("after_deploy"))
