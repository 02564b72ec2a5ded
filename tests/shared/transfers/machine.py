"""A Hypothesis machine that creates, dials, reads and ends transfers at random, over a virtual clock, against the rules."""

import asyncio
import random

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.calls.events import CallEvent, EventKind
from shared.calls.repository import Calls
from shared.errors import Conflict, NotFound
from shared.transfers.numbers import NumberPool, PoolExhausted
from shared.transfers.record import GRACE_S, CallTransfer, Status
from shared.transfers.transfers import NewTransfer, TransferKind, Transfers
from tests.shared.transfers.dialling import dialled

NUMBERS = [f"+1800555010{digit}" for digit in range(4)]
TENANTS = ("acme", "globex")
IDS = ("t1", "t2", "t3", "t4", "t5")
NEXT = {
    None: {Status.ACTIVE},
    Status.ACTIVE: {Status.ACTIVE, Status.ONGOING, Status.EXPIRED, Status.COMPLETED},
    Status.ONGOING: {Status.ONGOING, Status.COMPLETED},
    Status.COMPLETED: {Status.COMPLETED},
    Status.EXPIRED: {Status.EXPIRED},
}
"""From what a reader saw last to what may be seen next; ACTIVE to COMPLETED only by way of a call."""


class TransferMachine(RuleBasedStateMachine):
    """Subclasses say which store: `open_store()` returns one, empty."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = 1_000_000.0
        self.round = 0
        self.store = self.open_store()
        self.seen: dict[tuple[str, str], Status] = {}
        self.bodies: dict[tuple[str, str], NewTransfer] = {}
        self.calls_made: list[dict] = []
        self.taken_by: dict[tuple[str, str], str] = {}
        self.streams: dict[tuple[str, str], dict] = {}

    def open_store(self):
        raise NotImplementedError

    def run(self, awaitable):
        return self.loop.run_until_complete(awaitable)

    @initialize()
    def wire(self) -> None:
        def clock() -> float:
            return self.now

        chooser = random.Random(7)
        self.pool = NumberPool(self.store, clock, choice=chooser.choice)
        self.calls = Calls(self.store, clock)
        self.transfers = Transfers(self.store, self.pool, self.calls, clock)
        for number in NUMBERS:
            self.run(self.pool.add(number, "US"))

    def note(self, transfer: CallTransfer) -> None:
        """Whatever is read follows the edges, and says the same to everybody."""
        key = (transfer.tenant, transfer.id)
        status = transfer.status(self.now)
        before = self.seen.get(key)
        begun = {Status.ONGOING, Status.COMPLETED} if before is None and key in self.streams else set()
        assert status in NEXT[before] | begun, f"{key}: {before} -> {status}"
        if status in (Status.ONGOING, Status.COMPLETED):
            assert self.taken_by.get(key) == transfer.call_key, "a call that we have not seen take it"
        if status is Status.EXPIRED:
            assert key not in self.taken_by
        times = [transfer.created_at, transfer.call_received_at, transfer.completed_at]
        known = [time for time in times if time is not None]
        assert known == sorted(known)
        self.seen[key] = status

    @rule(
        tenant=st.sampled_from(TENANTS),
        transfer_id=st.sampled_from(IDS),
        word=st.sampled_from(("one", "two")),
        kind=st.sampled_from((TransferKind.PHONE_NUMBER, TransferKind.PHONE_NUMBER, TransferKind.ACS_USER)),
    )
    def create(self, tenant, transfer_id, word, kind) -> None:
        name = f"{transfer_id}-{self.round}"
        body = NewTransfer(name, "conversation", kind, "US" if kind is TransferKind.PHONE_NUMBER else "",
                           "task", {"word": word, "of": f"{tenant}/{name}"})  # fmt: skip
        key = (tenant, name)
        try:
            made = self.run(self.transfers.create(tenant, body))
        except Conflict:
            assert self.bodies[key] != body
        except NotFound:
            assert all(number.disabled for number in self.run(self.pool.list()))
        except PoolExhausted:
            assert key not in self.bodies
            states = [number.state(self.now) for number in self.run(self.pool.list())]
            assert "free" not in states
        else:
            assert self.bodies.setdefault(key, body) == body
            self.note(made)

    @rule(tenant=st.sampled_from(TENANTS), transfer_id=st.sampled_from(IDS))
    def read(self, tenant, transfer_id) -> None:
        key = (tenant, f"{transfer_id}-{self.round}")
        try:
            found = self.run(self.transfers.get(*key))
        except NotFound:
            assert key not in self.bodies
        else:
            assert found.input_variables["of"] == "/".join(key), "another transfer's context"
            self.note(found)

    @rule(number=st.sampled_from(NUMBERS), late=st.sampled_from((0.0, 0.0, 1.0, 5.0, 40.0)))
    def dial(self, number, late) -> None:
        """Somebody dials; the event is `late` seconds old when it comes."""
        call = {"number": number, "key": f"k{len(self.calls_made)}", "at": self.now - late, "has": None}
        call["id"] = f"c{len(self.calls_made)}"
        call["owner"] = self.owner_of(number, call["at"])
        self.calls_made.append(call)
        self.deliver(call)

    @rule(
        tenant=st.sampled_from(TENANTS),
        transfer_id=st.sampled_from(IDS),
        call_sid=st.sampled_from(("CA1", "CA1", "CA2")),
    )
    def begin_on_twilio(self, tenant, transfer_id, call_sid) -> None:
        """A stream comes, with an id that may be anybody's."""
        name = f"{transfer_id}-{self.round}"
        key = (tenant, name)
        body = NewTransfer(
            name, "conversation", TransferKind.TWILIO, "", "task", {"of": f"{tenant}/{name}", "by": call_sid}
        )
        call = {"number": None, "key": call_sid, "id": f"c{len(self.calls_made)}", "has": key, "over": False}
        last = self.streams.get(key)
        try:
            made = self.run(self.transfers.begin(tenant, body, call_key=call_sid, call_id=call["id"]))
        except Conflict:
            assert key in self.bodies
            assert last is None or last["key"] != call_sid or not last["over"], "its own, and over"
            return
        assert last is None or (last["key"] == call_sid and last["over"]), "another call's, or a live one"
        assert last is not None or key not in self.bodies, "another kind's"
        assert made.output is None
        assert made.status(self.now) is Status.ONGOING
        self.calls_made.append(call)
        self.bodies[key], self.streams[key], self.taken_by[key] = body, call, call_sid
        self.seen.pop(key, None)
        self.note(made)
        received = CallEvent(
            "received", EventKind.RECEIVED, self.now, {"callId": call["id"], "tenant": tenant}
        )
        self.run(self.calls.append(tenant, call["id"], received))

    @precondition(lambda self: any(call["has"] and call["number"] for call in self.calls_made))
    @rule(data=st.data())
    def deliver_again(self, data) -> None:
        """A call that was refused is not asked about again: its claim is decided (calls/claims.py)."""
        again = [call for call in self.calls_made if call["has"] and call["number"]]
        self.deliver(data.draw(st.sampled_from(again)))

    def owner_of(self, number, at):
        """Whose the number was at that time, as far as its row still tells."""
        row = self.run(self.pool.get(number))
        return (row.tenant, row.transfer_id) if row.assigned_at - GRACE_S <= at else None

    def deliver(self, call) -> None:
        found = self.run(
            dialled(
                self.pool,
                self.transfers,
                call["number"],
                call_key=call["key"],
                call_id=call["id"],
                event_at=call["at"],
            )
        )
        if not isinstance(found, CallTransfer):
            return
        key = (found.tenant, found.id)
        assert found.input_variables["of"] == "/".join(key)
        assert call["has"] in (None, key), "one call, two contexts"
        assert self.taken_by.setdefault(key, call["key"]) == call["key"], "one context, two calls"
        assert key == call["owner"] or call["has"] == key, "the context of somebody else's number"
        assert found.created_at - GRACE_S <= call["at"] <= found.expires_at + GRACE_S
        if call["has"] is None:
            call["has"] = key
            received = CallEvent(
                "received", EventKind.RECEIVED, self.now, {"callId": call["id"], "tenant": key[0]}
            )
            self.run(self.calls.append(key[0], call["id"], received))
        self.note(found)

    @precondition(lambda self: any(call["has"] for call in self.calls_made))
    @rule(data=st.data(), outcome=st.sampled_from(("AGENT", "SYSTEM", None, "both")))
    def end_call(self, data, outcome) -> None:
        call = data.draw(st.sampled_from([call for call in self.calls_made if call["has"]]))
        tenant = call["has"][0]
        call["over"] = True

        def note(event_id, kind, **more) -> None:
            self.run(self.calls.append(tenant, call["id"], CallEvent(event_id, kind, self.now, more)))

        if outcome in ("AGENT", "SYSTEM", "both"):
            kind = "AGENT" if outcome == "both" else outcome
            note("outcome", EventKind.OUTCOME, transferType=kind, transferVariables={"n": 7})
        if outcome in (None, "both"):
            note("gone", EventKind.DISCONNECTED, code=0, subCode=0)

    @rule(seconds=st.sampled_from((0.5, 5.0, 31.0, 59.0, 61.0, 120.0)))
    def time_passes(self, seconds) -> None:
        self.now += seconds

    @rule(number=st.sampled_from(NUMBERS), on=st.booleans())
    def switch_a_number(self, number, on) -> None:
        self.run(self.pool.add(number, "US") if on else self.pool.disable(number))

    @precondition(lambda self: len(self.bodies) >= len(IDS) * len(TENANTS))
    @rule()
    def new_ids(self) -> None:
        self.round += 1
        self.bodies.clear()

    @invariant()
    def a_number_has_one_owner(self) -> None:
        if not hasattr(self, "pool"):
            return
        owners: dict[str, tuple[str, str]] = {}
        for tenant, transfer_id in self.bodies:
            found = self.run(self.transfers._read(tenant, transfer_id))
            if found is None or found[0].status(self.now) is not Status.ACTIVE or not found[0].number:
                continue
            assert found[0].number not in owners, "a number with two owners"
            owners[found[0].number] = (tenant, transfer_id)
        for number, owner in owners.items():
            row = self.run(self.pool.get(number))
            assert (row.tenant, row.transfer_id, row.state(self.now)) == (*owner, "assigned")

    def teardown(self) -> None:
        self.run(self.store.close())
        self.loop.close()
