"""Index the function app through Microsoft's runtime in this process, run what standard input lists, print what came.

Input: a JSON list of `{"function", "json"}` (Event Grid, timer) or `{"function", "http": {method, url, headers, params,
route, body}}`. Output, the last line: `{"functions": {...}, "imported": [...], "results": [...]}`.
"""

import asyncio
import json
import sys
from pathlib import Path

from emulator.functions_host.engine import Engine, FunctionFailed, TypedData

WATCHED = (
    "shared.application",
    "shared.http",
    "azure.communication",
    "azure.data",
    "azure.identity",
    "aiohttp",
    "jwt",
)


def http(asked):
    return TypedData(
        http=TypedData(
            method=asked["method"],
            url="http://127.0.0.1" + asked["url"],
            headers=asked.get("headers", {}),
            params=asked.get("route", {}),
            query=asked.get("query", {}),
            body=TypedData(bytes=asked.get("body", "").encode()),
        )
    )


async def run(app: Path, jobs):
    engine = await Engine.start(app)
    imported = [name for name in WATCHED if name in sys.modules]
    functions = {name: list(function.bindings) for name, function in engine.functions.items()}
    results = []
    for job in jobs:
        data = TypedData(json=json.dumps(job["json"])) if "json" in job else http(job["http"])
        try:
            returned = await engine.invoke(engine.functions[job["function"]], data)
        except FunctionFailed as failure:
            results.append({"failed": failure.reason})
            continue
        if returned is None:
            results.append(None)
        else:
            answer = returned.http
            body = getattr(answer.body, answer.body.kind, b"") if answer.body else b""
            text = body.decode() if isinstance(body, bytes) else body
            results.append({"status": int(answer.status_code), "body": text, "headers": dict(answer.headers)})
    engine.stop(5)
    return {"functions": functions, "imported": imported, "results": results}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(Path(sys.argv[1]), json.load(sys.stdin)))))
