"""A child for tests: echoes, and misbehaves on request."""

import os
import sys
import time

from media_host.speech.pipe import serve


def build():
    if os.path.exists(os.path.join(os.environ.get("TMPDIR", ""), "echo-child-broken")):
        raise RuntimeError("told to fail")

    def handle(request, payload):
        match request.get("do"):
            case "crash":
                os._exit(3)
            case "raise":
                raise ValueError("no good")
            case "sleep":
                time.sleep(60)
            case "print":
                print("noise on standard output", flush=True)
            case "env":
                return {"names": sorted(os.environ)}, b""
        return {"echo": request.get("text")}, payload[::-1]

    return handle


if __name__ == "__main__":
    sys.stderr = open(os.devnull, "w")
    serve(build)
