"""`patchcord numbers`: the pool of temporary numbers, and how large it has to be."""

import argparse
import sys
import time
from typing import TextIO

from shared.store import open_store
from shared.transfers.numbers import QUARANTINE_S, NumberPool
from shared.transfers.record import GRACE_S
from shared.transfers.sizing import numbers_needed


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to a command line."""
    numbers = commands.add_parser(
        "numbers",
        help="the pool of temporary numbers for call transfers",
        description="The pool of temporary numbers for call transfers (docs/call-transfers.md).",
        epilog="example: patchcord numbers add +18005550100 US --store sqlite:patchcord.db",
    )
    actions = numbers.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("list", help="every number, and what it is doing")
    add = actions.add_parser("add", help="put a number into the pool, or a disabled one back into use")
    add.add_argument("number", help="E.164, such as +18005550100")
    add.add_argument("country", help="two letters, such as US")
    disable = actions.add_parser("disable", help="assign a number to nobody any more")
    disable.add_argument("number")
    for action in (show, add, disable):
        action.add_argument("--store", required=True, metavar="ADDRESS", help="as PATCHCORD_STORE")
    size = actions.add_parser("size", help="how many numbers a rate of transfers needs (Erlang B)")
    size.add_argument("--per-second", type=float, required=True, metavar="RATE", help="transfers a second")
    size.add_argument(
        "--until-call", type=float, default=10.0, metavar="S",
        help="seconds from the request until the call comes; default: %(default)s; 60 when nobody calls",
    )  # fmt: skip
    size.add_argument(
        "--refused", type=float, default=0.001, metavar="SHARE",
        help="share of requests that may find no number; default: %(default)s",
    )  # fmt: skip


async def numbers(arguments: argparse.Namespace, out: TextIO = sys.stdout) -> int:
    """Run one of the actions.

    Raises:
        PatchcordError: with a text for the user.
    """
    if arguments.action == "size":
        return _size(arguments.per_second, arguments.until_call, arguments.refused, out)
    store = open_store(arguments.store)
    try:
        pool = NumberPool(store, time.time)
        match arguments.action:
            case "add":
                await pool.add(arguments.number, arguments.country)
                out.write(f"{arguments.number} is in the pool\n")
            case "disable":
                await pool.disable(arguments.number)
                out.write(f"{arguments.number} is assigned to nobody any more\n")
            case _:
                await _list(pool, out)
    finally:
        await store.close()
    return 0


async def _list(pool: NumberPool, out: TextIO) -> None:
    found = await pool.list()
    now = time.time()
    out.write(f"{'number':<17} {'country':<8} {'state':<11} transfer\n")
    for number in found:
        state = number.state(now)
        owner = f"{number.tenant}/{number.transfer_id}" if state == "assigned" else ""
        out.write(f"{number.number:<17} {number.country:<8} {state:<11} {owner}".rstrip() + "\n")
    free = sum(number.state(now) == "free" for number in found)
    out.write(f"{len(found)} numbers, {free} free\n")


def _size(per_second: float, until_call_s: float, refused: float, out: TextIO) -> int:
    hold_s = until_call_s + GRACE_S + QUARANTINE_S
    needed = numbers_needed(per_second, hold_s, refused=refused)
    out.write(
        f"{needed} numbers: {per_second:g} transfers a second, each holding a number for {hold_s:g} s "
        f"({until_call_s:g} s until the call, {GRACE_S:g} s grace, {QUARANTINE_S:g} s quarantine), "
        f"at most {refused:.2%} refused\n"
    )
    return 0
