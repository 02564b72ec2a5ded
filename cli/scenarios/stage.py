"""Where a story is played: everything runs, requests and calls are told as they happen, files are kept."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import yaml

from cli.demo import SCRIPTS, outcome_lines, shown
from cli.gateway_client import GatewayClient, is_complete
from cli.picture import draw_call
from cli.stack import Stack
from cli.story import Storyteller, line
from emulator.phone.scripted import ScriptedCall
from shared.errors import Unavailable

type Json = Mapping[str, Any]

SETTLED_S = 20.0
"""How long records may take to be complete after a call (s)."""

LOOK_S = 0.2
"""How often something is looked at that is waited for (s)."""

LEFT_OUT = frozenset(
    "expireAt createdAt callReceivedAt completedAt callId externalConversationId inputContext country type".split()
)
"""Fields of answers that are not shown."""


class Stage:
    """One story.

    Args:
        stack: all that runs.
        client: of the system that tells the story.
        folder: for the calls' files.
        out: gets the story.

    Attributes:
        wrong: what did not go as it should, in words.
    """

    def __init__(self, stack: Stack, client: GatewayClient, folder: Path, out: TextIO) -> None:
        self.stack = stack
        self.client = client
        self.wrong: list[str] = []
        self._folder = folder
        self._out = out
        self._began = asyncio.get_running_loop().time()
        self._written: list[Path] = []
        self._done: set[str] = set()  # ids of calls that have been told

    # --- telling ---------------------------------------------------------------------------------------------

    def tell(self, what: str, text: str = "") -> None:
        """One line, with the time."""
        self._write(line(self._elapsed, what, text))

    def say(self, text: str) -> None:
        """A line of the narrator's."""
        self._write(f"\n{text}")

    def expect(self, holds: object, what: str) -> None:
        """Note `what` as wrong unless it `holds`."""
        if not holds:
            self.wrong.append(what)
            self.tell("NOT SO", what)

    def end(self) -> int:
        """Say where the files are and whether all went as told; the exit code."""
        self._write("\nWritten")
        for path in self._written:
            self._write(f"  {shown(path)}")
        if self.wrong:
            self._write("\nThe story did not go as it should:")
        for what in self.wrong:
            self._write(f"  {what}")
        return 1 if self.wrong else 0

    @property
    def _elapsed(self) -> float:
        """Seconds since the story began."""
        return asyncio.get_running_loop().time() - self._began

    def _write(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()

    # --- requests --------------------------------------------------------------------------------------------

    async def ask(self, method: str, path: str, body: Json | None = None) -> Json:
        """A request and its answer, both told."""
        text = "" if body is None else "  " + json.dumps(body, ensure_ascii=False)
        self.tell(method, path + text)
        status, answer = await self.client.ask(method, path, body)
        self.tell(str(status), short(answer))
        return answer

    @staticmethod
    def shown(record: Json, *names: str) -> str:
        """Some fields of a record in one line."""
        return json.dumps({name: record.get(name) for name in names}, ensure_ascii=False)

    async def _watch(self, path: str) -> None:
        known = ""
        while True:
            _, found = await self.client.ask("GET", path)
            if found.get("status") != known:
                known = str(found.get("status"))
                self.tell("GET", path)
                self.tell("200", short(found))
            await asyncio.sleep(LOOK_S)

    # --- calls -----------------------------------------------------------------------------------------------

    async def call(
        self, script: Mapping[str, Any], *, watch: str = "", cut_off: bool = False
    ) -> Sequence[Json]:
        """Somebody calls; told to the end.

        Args:
            script: the caller's.
            watch: path of a resource whose changes of status are told meanwhile.
            cut_off: the call is to be refused, or to end before the script does: no failure.

        Returns:
            The records that came of it, oldest first: a caller who is transferred has several calls with us.
        """
        offset_s = self._elapsed
        return await self._follow(
            await self.stack.emulator.dial({**script}), offset_s, watch, cut_off=cut_off
        )

    async def rings(self, number: str, *, cut_off: bool = False) -> Sequence[Json]:
        """The telephone at `number` is called; as `call`.

        Raises:
            Unavailable: it is not.
        """
        offset_s = self._elapsed

        def found() -> ScriptedCall | None:
            calls = self.stack.emulator.calls.values()
            return next((one for one in calls if one.summary()["to"] == number), None)

        return await self._follow(await until(found, number), offset_s, "", cut_off=cut_off)

    async def _follow(
        self, call: ScriptedCall, offset_s: float, watch: str, *, cut_off: bool
    ) -> Sequence[Json]:
        teller = Storyteller(self._out, self._records, steps=True, offset_s=offset_s)
        watching = asyncio.create_task(self._watch(watch)) if watch else None
        try:
            await teller.follow(told(call, cut_off=cut_off))
        finally:
            if watching is not None:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        records = await self._settled()
        for record in records:
            teller.tell_record(record)
            self._keep(record)
        if call.failed and not cut_off:
            self.expect(False, call.failed)
        return records

    async def _records(self) -> AsyncIterator[Json]:
        """The records of the calls that have not been told, again and again."""
        while True:
            for record in await self._new():
                yield record
            await asyncio.sleep(LOOK_S)

    async def _new(self) -> Sequence[Json]:
        calls = reversed(await self.client.calls())
        return [await self.client.call(one["callId"]) for one in calls if one["callId"] not in self._done]

    async def _settled(self) -> Sequence[Json]:
        records: Sequence[Json] = ()
        try:
            async with asyncio.timeout(SETTLED_S):
                while not records or not all(is_complete(record) for record in records):
                    records = await self._new()
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise Unavailable(f"records were not complete after {SETTLED_S:.0f} s") from None
        self._done |= {str(record["callId"]) for record in records}
        return records

    def _keep(self, record: Json) -> None:
        """A call's record, recording and picture."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"call-{sum(path.suffix == '.json' for path in self._written) + 1}.json"
        file.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        self._written.append(file)
        if record.get("recording"):
            wav = file.with_suffix(".wav")
            shutil.copyfile(self.stack.recordings / str(record["recording"]["file"]), wav)
            draw_call(dict(record), wav, file.with_suffix(".png"))
            self._written += [wav, file.with_suffix(".png")]
        self._write(f"          {file.stem}: {record['from']} to {record['to']}")
        for text in outcome_lines(record):
            self._write(" " * 10 + text)


def script(name: str) -> dict[str, Any]:
    """A caller's script of `emulator/scripts`."""
    found: dict[str, Any] = yaml.safe_load((SCRIPTS / f"{name}.yaml").read_text())
    return found


async def until[T](look: Callable[[], T | None], what: str) -> T:
    """What `look` finds, once it is there.

    Raises:
        Unavailable: it was not there in time.
    """
    try:
        async with asyncio.timeout(SETTLED_S):
            while True:
                if (found := look()) is not None:
                    return found
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise Unavailable(f"{what}: nothing happened within {SETTLED_S:.0f} s") from None


async def told(call: ScriptedCall, *, cut_off: bool) -> AsyncIterator[Json]:
    """The story of a call; what is to be cut off does not fail."""
    async for event in call.story():
        if not (cut_off and event["kind"] == "failed"):
            yield event


def short(answer: Json, left_out: Collection[str] = LEFT_OUT) -> str:
    """An answer in one line, without what the request has said before and the times that the line itself tells."""

    def cut(value: object) -> object:
        if isinstance(value, Mapping):
            return {key: cut(item) for key, item in value.items() if key not in left_out}
        return value

    return json.dumps(cut(answer), ensure_ascii=False)
