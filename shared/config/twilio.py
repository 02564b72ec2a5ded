"""Calls that stay at Twilio, as `patchcord.yaml` declares them: one entry for each tenant whose account streams to us."""

from collections.abc import Iterator, Mapping
from typing import Literal

from shared.config.agent import FALLBACK, Agent
from shared.config.checks import SECRET, SECRET_EXPECTED, Mistake, Part
from shared.config.tenants import DEFAULT_TENANT, TenantConfig
from shared.config.tools import WEB_EXPECTED, is_web
from shared.settings import E164
from shared.wire.twilio_media import ACCOUNT_SID


class NextStep(Part, frozen=True, kw_only=True):
    """What Twilio does with a call; one of these.

    Attributes:
        dial: calls a number (E.164).
        enqueue: puts the caller into a queue of this name.
        redirect: asks this address for TwiML.
        hangup: ends the call.
    """

    dial: str = ""
    enqueue: str = ""
    redirect: str = ""
    hangup: bool = False


HANG_UP = NextStep(hangup=True)


class Next(Part, frozen=True, kw_only=True):
    """What Twilio does after us.

    Attributes:
        agent: the caller wants a person; None dials the agent's transfer.
        system: the task is done.
        failed: we could not take the call, or lost it; None does as for `agent`.
    """

    agent: NextStep | None = None
    system: NextStep = HANG_UP
    failed: NextStep | None = None


class TwilioConfig(Part, frozen=True, kw_only=True):
    """A tenant's Twilio account.

    Attributes:
        account_sid: `AC…`.
        auth_token: reference to its auth token, with which it signs what it sends us.
        signing_key: reference to its shared key for HMAC-SHA256; with it, nothing signed by the auth token is let in. ""
            without one.
        agent: who answers numbers that no route of the tenant names.
        task: the job that agent starts with.
        next: what Twilio does after us.
        studio_return: https address of a Studio flow's webhook (`…?FlowEvent=return`); "" without a flow.
    """

    account_sid: str
    auth_token: str
    agent: str
    signing_key: str = ""
    task: str = ""
    next: Next = Next()
    studio_return: str = ""

    def step(
        self, kind: Literal["agent", "system", "failed"], agent: Agent | None, target: str = ""
    ) -> NextStep | None:
        """What Twilio does now.

        Args:
            kind: which of `next`.
            agent: who had the call; None if nobody is known.
            target: the name under the agent's transfers that it has chosen; "" if it chose none.

        Returns:
            None if there is nobody to call: the caller is owed an apology.
        """
        if kind == "system":
            return self.next.system
        said = self.next.agent if kind == "agent" else self.next.failed or self.next.agent
        if said is not None or agent is None:
            return said
        for name in (target, FALLBACK):
            transfer = agent.transfer(name)
            if transfer is not None and E164.fullmatch(transfer.to):
                return NextStep(dial=transfer.to)
        return None


def twilio_mistakes(
    entries: dict[str, TwilioConfig], agents: Mapping[str, Agent], tenants: Mapping[str, TenantConfig]
) -> Iterator[Mistake]:
    """What is wrong under `twilio`."""
    accounts: set[str] = set()
    for tenant, entry in entries.items():
        place = f"twilio.{tenant}"
        if tenant != DEFAULT_TENANT and tenant not in tenants:
            yield Mistake(place, f"{DEFAULT_TENANT} or a name under tenants", tenant)
        if not ACCOUNT_SID.fullmatch(entry.account_sid) or entry.account_sid in accounts:
            yield Mistake(
                f"{place}.account_sid",
                "AC and 32 hexadecimal digits that no other tenant has",
                entry.account_sid,
            )
        accounts.add(entry.account_sid)
        yield from _secret_mistakes(place, entry)
        if entry.agent not in agents:
            yield Mistake(f"{place}.agent", "one of " + ", ".join(sorted(agents)), entry.agent)
        elif tenant in tenants and not tenants[tenant].may_use(entry.agent):
            yield Mistake(f"{place}.agent", f"an agent that tenants.{tenant}.agents allows", entry.agent)
        steps = (("agent", entry.next.agent), ("system", entry.next.system), ("failed", entry.next.failed))
        for name, step in steps:
            if step is not None:
                yield from _step_mistakes(f"{place}.next.{name}", step)
        if entry.studio_return and not is_web(entry.studio_return):
            yield Mistake(f"{place}.studio_return", WEB_EXPECTED, entry.studio_return)


def _secret_mistakes(place: str, entry: TwilioConfig) -> Iterator[Mistake]:
    if not SECRET.fullmatch(entry.auth_token):
        yield Mistake(f"{place}.auth_token", SECRET_EXPECTED)
    if entry.signing_key and not SECRET.fullmatch(entry.signing_key):
        yield Mistake(f"{place}.signing_key", SECRET_EXPECTED)


def _step_mistakes(place: str, step: NextStep) -> Iterator[Mistake]:
    said = [
        name for name in ("dial", "enqueue", "redirect", "hangup") if getattr(step, name)
    ]  # each has a default that says nothing
    if len(said) != 1:
        yield Mistake(place, "one of dial, enqueue, redirect and hangup", ", ".join(said) or "none")
    if step.dial and not E164.fullmatch(step.dial):
        yield Mistake(f"{place}.dial", "an E.164 number such as +18005550199", step.dial)
    if step.enqueue and not (step.enqueue.isprintable() and len(step.enqueue) <= 64):
        yield Mistake(f"{place}.enqueue", "the name of a queue, 1 to 64 characters", step.enqueue)
    if step.redirect and not is_web(step.redirect):
        yield Mistake(f"{place}.redirect", WEB_EXPECTED, step.redirect)
