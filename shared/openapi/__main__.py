"""`python -m shared.openapi`: write docs/api.md again (`--json`: print the document)."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from shared.openapi.document import document
from shared.openapi.page import render

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def main(argv: Sequence[str], page: Path = PAGE) -> None:
    """Run the command."""
    if list(argv) == ["--json"]:
        print(json.dumps(document(), indent=2, ensure_ascii=False))
    else:
        page.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
