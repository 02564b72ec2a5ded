"""`az` and `azd` for the hooks' tests: programs that write down what they are asked, and remember what a deployment made.

Run as: python stand_in.py NAME ARGUMENTS…; STAND_IN is the folder of what they remember.
"""

import json
import os
import sys
from pathlib import Path

FOLDER = Path(os.environ["STAND_IN"])


def load(name: str) -> dict:
    path = FOLDER / name
    return json.loads(path.read_text()) if path.exists() else {}


def failing(command: str) -> str:
    """Words with which this command is to fail now, taken off the list."""
    faults = load("faults.json")
    for beginning, words in faults.items():
        if command.startswith(beginning) and words:
            text = words.pop(0)
            (FOLDER / "faults.json").write_text(json.dumps(faults))
            return text
    return ""


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def deploy(arguments: list[str]) -> None:
    begin = arguments.index("--parameters") + 1
    pairs = dict(one.split("=", 1) for one in arguments[begin:] if "=" in one)
    numbers = [f"4:{one.strip()}" for one in pairs["phoneNumbers"].split(",") if one.strip()]
    rules = [
        {"key": "data.to.rawId", "operatorType": "StringIn", "values": [*numbers, pairs["agentIdentity"]]}
    ]
    made = {"provisioningState": "Succeeded", "filter": {"advancedFilters": rules if numbers else []}}
    topics = {
        pairs["acsTopicName"]: [{"name": name, **made} for name in ("incoming-call", "call-lifecycle")],
        pairs["vaultTopicName"]: [{"name": "rotate-signing-keys", **made}],
    }
    (FOLDER / "topics.json").write_text(json.dumps(topics))
    print(json.dumps({"properties": {"provisioningState": "Succeeded"}}))


def main(name: str, arguments: list[str]) -> int:
    command = " ".join([name, *arguments])
    with (FOLDER / "asked.txt").open("a") as file:
        file.write(command + "\n")
    if words := failing(command):
        print(words, file=sys.stderr)
        return 1
    if command.startswith("azd env set"):
        (FOLDER / "values.json").write_text(json.dumps(load("values.json") | {arguments[2]: arguments[3]}))
    elif command.startswith("az deployment group create"):
        deploy(arguments)
    elif command.startswith("az eventgrid system-topic event-subscription list"):
        print(json.dumps(load("topics.json").get(option(arguments, "--system-topic-name"), [])))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
