"""`python -m tests.infra.checker`: says what is wrong in `infra/`, one line each; exit code 1 if anything is."""

import sys
from pathlib import Path

from tests.infra.checker import check

findings = check(Path(__file__).parents[3] / "infra")
for finding in findings:
    print(finding)
sys.exit(1 if findings else 0)
