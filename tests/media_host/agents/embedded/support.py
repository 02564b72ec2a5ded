"""Small dialogues for tests."""

from pathlib import Path

from media_host.agents.embedded.dialogue import load_dialogue, parse_dialogue

ORDER_DESK = Path(__file__).parents[4] / "dialogues/order_desk.yaml"

SMALL = """
name: small
start: menu
no_match: lost
no_input: quiet
intents:
  hours: [opening hours]
  human: [agent please]
  affirm: ["yes"]
  deny: ["no"]
anywhere: {human: lost}
tasks: {number: number}
vars: {place: Delft}
states:
  menu:
    say: Welcome to {place}.
    again: Say opening hours.
    say_keys: Press 1.
    go: {hours: hours, affirm: number}
    keys: {"1": hours, "2": number}
  hours: {say: Nine to five., next: menu}
  number:
    say: Your number?
    slot: {name: account, digits: 5, min_digits: 3, filled: look, confirm: confirm}
  confirm:
    say: "Was it {account:spell}?"
    go: {affirm: look, deny: number}
  look:
    say: One moment.
    tool: {name: find, args: {id: "{account}"}, save: {answer: text}, done: found, failed: lost}
  found: {say: "{answer} for {account}", next: bye}
  bye:
    say: Bye.
    end: {outcome: SYSTEM, reason: done, reference: {account: "{account}"}, transfer: {answer: "{answer}"}}
  lost: {say: A human comes., barge_in: never, end: {outcome: AGENT, reason: no_match, target: human}}
  quiet: {end: {outcome: SYSTEM, reason: no_input}}
"""


def small(change=None):
    """The small dialogue, after `change = (old, new)`."""
    text = SMALL
    if change is not None:
        assert change[0] in text
        text = text.replace(*change, 1)
    return parse_dialogue(text, "small.yaml")


def order_desk():
    """The demo's dialogue."""
    return load_dialogue(ORDER_DESK)
