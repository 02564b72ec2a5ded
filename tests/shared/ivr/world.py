"""A function app with an IVR, over a real store and a recording ACS."""

import json
from contextlib import asynccontextmanager

from tests.shared.ivr.flows import FLOW
from tests.support import call_world
from tests.support.call_world import NUMBER, World, open_world


class Caller:
    """One call in the IVR; callbacks come as HTTP requests, through the door."""

    def __init__(self, world: World, record, token: str) -> None:
        self.world, self.first, self.token = world, record, token
        self.sent = 0

    async def callback(self, kind, sub_code=0, *, context=None, event_id="", **data):
        """The context is that of what ACS was asked last, unless another one is given."""
        self.sent += 1
        if context is None:
            context = self.asked[-1].body.get("operationContext", "") if self.asked else ""
        event = self.world.callback(
            kind,
            event_id or f"e{self.sent}",
            after_s=self.sent / 1000,
            code=400 if sub_code else 200,
            sub_code=sub_code,
            operationContext=context,
            **data,
        )
        return await self.world.post(self.token, [event])

    async def keys(self, *tones, **more):
        return await self.callback("RecognizeCompleted", dtmfResult={"tones": list(tones)}, **more)

    @property
    def asked(self):
        return [one for one in self.world.acs.requests if one.operation not in ("answer", "properties")]

    @property
    def operations(self):
        return [one.operation for one in self.asked]

    async def record(self):
        return await self.world.again(self.first)

    async def steps(self):
        return [(step["step"], step.get("result", "")) for step in (await self.record()).ivr_steps]


@asynccontextmanager
async def open_ivr_world(folder, monkeypatch, flow=FLOW):
    monkeypatch.setattr(call_world, "CONFIG", flow)
    async with open_world(folder, monkeypatch) as world:

        async def post(token, events):
            from shared.http import Request

            request = Request("req", {"authorization": world.signer.sign()}, json.dumps(events).encode(), {})
            return await world.app.call_events(token, request)

        async def call(to=NUMBER, correlation="corr-1", **data):
            target = (
                {"kind": "communicationUser", "rawId": to, "communicationUser": {"id": to}}
                if to.startswith("8:")
                else {"kind": "phoneNumber", "rawId": f"4:{to}", "phoneNumber": {"value": to}}
            )
            event = world.incoming(correlation=correlation, **{"to": target, **data})
            await world.app.incoming_call(event, "req-1")
            [found] = [r for r in await world.calls.list("default") if r.correlation_id == correlation]
            record = await world.calls.get("default", found.call_id)
            return Caller(world, record, await world.token(record.call_id))

        world.post, world.call = post, call
        yield world
