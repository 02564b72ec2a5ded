"""What a month of calls costs, by the formula of docs/cost.md: python docs/examples/cost.py --calls 10000 --minutes 3.

The prices are list prices in US dollars that were found in public pages; docs/cost.md says where and when. Put yours in with
--price NAME=VALUE. A price that was not found is not reckoned, and the output says so.
"""

import argparse

MONTH_S = 2_628_000  # 365 days / 12

PRICES: dict[str, float | None] = {
    "acs-inbound": 0.022,  # toll-free, US, a minute
    "acs-number": 2.00,  # toll-free, US, a month
    "acs-streaming": None,  # audio streaming, a minute
    "twilio-inbound": 0.0085,  # local, US, a minute
    "twilio-number": 1.15,  # local, US, a month
    "twilio-streaming": 0.0044,  # Media Streams, a minute
    "audio-in": 32.0,  # what the model hears, a million tokens
    "audio-out": 64.0,  # what it says, a million tokens
    "cached": 0.40,  # what it has had before, a million tokens
    "vcpu": 0.000024,  # of a replica, a second
    "gib": 0.000003,  # of a replica, a second
    "always-ready": None,  # of the function app, a GB-second
}
HEARD_A_SECOND, SAID_A_SECOND = 10, 20  # audio tokens
GROUPS = ("telephone", "audio streaming", "model", "media host", "function app")


def reckon(given: argparse.Namespace, prices: dict[str, float | None]) -> dict[str, float | None]:
    """Dollars a month by group; None where a price is missing."""
    minutes = given.calls * given.minutes
    said = 60 * given.agent_share * SAID_A_SECOND
    heard = 60 * given.caller_share * HEARD_A_SECOND
    turns = given.minutes * given.turns
    # Each answer reads again what was said so far: on average half of the call, and the instructions.
    again = turns * (given.instructions + (said + heard) * given.minutes / 2)

    def paid(*parts: tuple[float, str]) -> float | None:
        found = [(amount, prices[name]) for amount, name in parts]
        return (
            sum(amount * price for amount, price in found if price is not None)
            if all(price is not None for _, price in found)
            else None
        )

    million = 1_000_000
    return {
        "telephone": paid((minutes, f"{given.line}-inbound"), (given.numbers, f"{given.line}-number")),
        "audio streaming": paid((minutes, f"{given.line}-streaming")),
        "model": paid(
            (minutes * heard / million, "audio-in"),
            (minutes * said / million, "audio-out"),
            (given.calls * again / million, "cached"),
        ),
        "media host": paid(
            (given.replicas * given.vcpu * MONTH_S, "vcpu"), (given.replicas * given.gib * MONTH_S, "gib")
        ),
        "function app": paid((2 * 2 * MONTH_S, "always-ready")),  # two instances of 2 GB
    }


def options() -> argparse.ArgumentParser:
    """The quantities, with what docs/cost.md takes for them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=float, default=10_000, help="a month")
    parser.add_argument("--minutes", type=float, default=3, help="of one call")
    parser.add_argument("--line", choices=("acs", "twilio"), default="acs", help="whose numbers")
    parser.add_argument("--numbers", type=float, default=1, help="that are rented")
    parser.add_argument("--caller-share", type=float, default=0.35, help="of the time the caller speaks")
    parser.add_argument("--agent-share", type=float, default=0.45, help="of the time the agent speaks")
    parser.add_argument("--turns", type=float, default=5, help="answers of the agent a minute")
    parser.add_argument("--instructions", type=float, default=1500, help="tokens of instructions and tools")
    parser.add_argument("--replicas", type=float, default=2, help="of the media host, all month")
    parser.add_argument("--vcpu", type=float, default=2, help="of one replica")
    parser.add_argument("--gib", type=float, default=4, help="of one replica")
    parser.add_argument("--price", action="append", default=[], metavar="NAME=VALUE", help=", ".join(PRICES))
    return parser


def report(given: argparse.Namespace) -> str:
    """The table, as it is printed."""
    prices = dict(PRICES)
    for item in given.price:
        name, _, value = item.partition("=")
        if name not in prices:
            raise SystemExit(f"there is no price {name!r}; there are {', '.join(prices)}")
        prices[name] = float(value)
    dollars = reckon(given, prices)
    minutes = given.calls * given.minutes
    lines = [f"{'':16}  {'a month':>10}  {'a minute':>9}"]
    for group in GROUPS:
        amount = dollars[group]
        lines.append(
            f"{group:16}  {'not reckoned: no price known here':>10}"
            if amount is None
            else f"{group:16}  {amount:10,.2f}  {amount / minutes:9.4f}"
        )
    known = sum(amount for amount in dollars.values() if amount is not None)
    lines.append(f"{'what is known':16}  {known:10,.2f}  {known / minutes:9.4f}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(report(options().parse_args()))
