"""`python -m shared.telemetry`: the table of metrics as docs/telemetry.md has it."""

from shared.telemetry.metrics import METRICS

FROM = {"functions": "function app", "media": "media host", "both": "both"}


def table() -> str:
    """Markdown, one line a metric."""
    rows = ["| metric | kind, unit | what | split by | from |", "| --- | --- | --- | --- | --- |"]
    for metric in METRICS:
        split = ", ".join(f"`{name}`" for name in metric.attributes)
        kind = f"{metric.kind}, {metric.unit}"
        rows.append(f"| `{metric.name}` | {kind} | {metric.description} | {split} | {FROM[metric.where]} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":  # pragma: no cover  # the line below is all of it
    print(table(), end="")
