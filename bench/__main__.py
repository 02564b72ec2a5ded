"""`python -m bench`: calls per core of the media host, as a share of a bare relay."""

import argparse
import sys

from bench.run import EMBEDDED, PAIRS, Plan, main

_EXAMPLES = """examples:
  python -m bench                              the whole benchmark, about five minutes
  python -m bench --quick                      does it work at all: 20 calls, one short round
  python -m bench --variants plain --calls 200 --rounds 7
  python -m bench --variants recording,talking --seconds 15

Exit status 1: a frame was lost, damaged, doubled or crossed over, a call failed, or the share of the relay (variant
plain) is below 0.5. Compare the shares of two machines, not their milliseconds.
"""


def _variants(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, text.split(",")))
    known = PAIRS + EMBEDDED
    if not names or not set(names) <= set(known):
        raise argparse.ArgumentTypeError("some of " + ",".join(known))
    return names


def _whole(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError("a whole number, 1 or more")
    return int(text)


def _plan(arguments: list[str]) -> Plan:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    variants = ",".join(PAIRS + EMBEDDED)
    parser.add_argument("--calls", type=_whole, default=100, help="calls at once (default 100)")
    parser.add_argument("--seconds", type=float, default=8.0, help="measured seconds per run (default 8)")
    parser.add_argument("--rounds", type=_whole, default=5, help="rounds of relay and media host (default 5)")
    parser.add_argument(
        "--variants", type=_variants, default=variants, help=f"which of {variants} (default all)"
    )
    parser.add_argument(
        "--embedded-calls", type=_whole, default=10, help="calls at once with the embedded agent (default 10)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the order within the rounds (default 1)")
    parser.add_argument("--quick", action="store_true", help="20 calls, 2 s, one round; not a measurement")
    given = parser.parse_args(arguments)
    if given.quick:
        given.calls, given.seconds, given.rounds, given.embedded_calls = 20, 2.0, 1, 2
    return Plan(given.calls, given.seconds, given.rounds, given.variants, given.embedded_calls, given.seed)


if __name__ == "__main__":
    sys.exit(main(_plan(sys.argv[1:])))
