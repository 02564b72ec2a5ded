"""What is done with the record of a call that is over: the `post_call` hook of its agent.

It runs at most once for a call, whichever host comes first, and never holds up a line. It waits for the record to be
complete (ACS's last callback goes to the function app), a minute at most.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import aiohttp
import msgspec

from media_host.entry_points import load_entry_point
from media_host.http_session import without_cookies
from shared.calls.events import EventKind
from shared.calls.record import CallRecord
from shared.calls.repository import Calls
from shared.config.agent import PostCallHttp, PostCallPython
from shared.config.document import Config
from shared.errors import PatchcordError, StoreUnavailable
from shared.security.secrets import Secrets

log = logging.getLogger(__name__)

SETTLE_S = (0.3, 0.7, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Pauses between looks at a record that is not complete."""

RETRY_S = (1.0, 5.0)
"""Pauses between attempts of a hook."""

STORE_S = (0.2, 1.0, 3.0)
"""Pauses between attempts to write to the store."""

MAX_WAITING = 500
"""Hooks of a host that may be under way; a call that ends when there are more gets none, which its record says."""

type Deliver = Callable[[Mapping[str, object]], Awaitable[None]]


class HookFailed(Exception):
    """One attempt failed; `again` says whether another may help. The text holds nothing of the other side's."""

    def __init__(self, reason: str, *, again: bool = True) -> None:
        self.again = again
        super().__init__(reason)


class PostCallHooks:
    """The hooks of all agents; one object for a process, made within a running loop.

    Args:
        config: patchcord.yaml.
        calls: the store.
        secrets: where bearer tokens come from.
        http: whose connections are used; it must stay open as long as this.
        settle_s, retry_s: see SETTLE_S and RETRY_S.

    Raises:
        ConfigurationError: an entry point cannot be used.
    """

    def __init__(
        self,
        config: Config,
        calls: Calls,
        secrets: Secrets,
        http: aiohttp.ClientSession,
        *,
        settle_s: Sequence[float] = SETTLE_S,
        retry_s: Sequence[float] = RETRY_S,
    ) -> None:
        self._calls = calls
        self._secrets = secrets
        self._http = without_cookies(http)
        self._settle_s = settle_s
        self._retry_s = retry_s
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._hooks: dict[str, tuple[Deliver, float]] = {}
        for name, agent in config.agents.items():
            match agent.post_call:
                case PostCallHttp() as hook:
                    self._hooks[name] = (self._by_http(hook), hook.timeout_s)
                case PostCallPython() as hook:
                    place = f"agents.{name}.post_call.entry_point"
                    self._hooks[name] = (_by_python(hook, place), hook.timeout_s)

    def begin(self, tenant: str, call_id: str, agent: str) -> None:
        """The session of a call is over: run its agent's hook, if there is one. Returns at once."""
        if agent not in self._hooks:
            return
        if len(self._tasks) >= MAX_WAITING:
            work = self._failed(tenant, call_id, "too many hooks are under way")
        else:
            work = self._run(tenant, call_id, agent)
        task = asyncio.create_task(work, name=f"post-call {call_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, within_s: float = 20.0) -> None:
        """Run what is waiting now, with the records as they are; what takes longer than `within_s` seconds is cancelled."""
        self._closing.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=within_s)
            for task in late:
                log.error("%s was cut off", task.get_name())
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._http.close()

    async def _run(self, tenant: str, call_id: str, agent: str) -> None:
        try:
            record = await self._complete(tenant, call_id)
            if record is None:
                return
            # Who writes this event first runs the hook.
            first = await self._note(tenant, call_id, "post-call", EventKind.CALLBACK, name="post_call")
            if first and (reason := await self._attempts(record, agent)):
                await self._failed(tenant, call_id, reason)
        except PatchcordError as error:
            log.error("call %s: post-call hook not run: %s", call_id, error)

    async def _complete(self, tenant: str, call_id: str) -> CallRecord | None:
        """The record, complete if that comes in time; None when there is audio again: then a later session's end counts."""
        record: CallRecord | None = None
        for pause in (*self._settle_s, 0.0):
            try:
                record = await self._calls.get(tenant, call_id)
            except StoreUnavailable as error:
                log.warning("call %s: post-call hook waits for the store: %s", call_id, error)
            if record is not None and record.released:
                return record
            await self._pause(pause)
        if record is None:
            log.error("call %s: post-call hook not run: the record cannot be read", call_id)
        return None if record is None or (record.live and record.media.ended_at is None) else record

    async def _pause(self, seconds: float) -> None:
        """Sleep; not at all any more once the host is closing."""
        try:
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            pass

    async def _attempts(self, record: CallRecord, agent: str) -> str:
        """Why the hook failed for good; "" when it did not."""
        deliver, timeout_s = self._hooks[agent]
        content = record.to_json()
        pauses = iter(self._retry_s)
        while True:
            try:
                async with asyncio.timeout(timeout_s):
                    await deliver(content)
            except TimeoutError:
                reason, again = f"no answer within {timeout_s:g} s", True
            except HookFailed as failure:
                reason, again = str(failure), failure.again
            except PatchcordError as error:  # its secret
                reason, again = error.message, True
            except Exception as error:  # a hook is the operator's code; its words may hold the record's
                reason, again = type(error).__name__, True
            else:
                log.info("call %s: post-call hook done", record.call_id)
                return ""
            log.warning("call %s: post-call hook: %s", record.call_id, reason)
            pause = next(pauses, None)
            if pause is None or not again:
                return reason
            await self._pause(pause)

    async def _failed(self, tenant: str, call_id: str, reason: str) -> None:
        log.error("call %s: post-call hook failed: %s", call_id, reason)
        await self._note(
            tenant, call_id, "post-call-failed", EventKind.FAULT, code="post_call_failed", message=reason
        )

    async def _note(self, tenant: str, call_id: str, event_id: str, kind: EventKind, **data: str) -> bool:
        """Whether the event is new.

        Raises:
            StoreUnavailable: the store has not answered several times.
        """
        for pause in STORE_S:
            try:
                return await self._calls.note(tenant, call_id, event_id, kind, **data)
            except StoreUnavailable:
                await self._pause(pause)
        return await self._calls.note(tenant, call_id, event_id, kind, **data)

    def _by_http(self, hook: PostCallHttp) -> Deliver:
        async def deliver(content: Mapping[str, object]) -> None:
            headers = {"Content-Type": "application/json"}
            if hook.secret:
                headers["Authorization"] = f"Bearer {await self._secrets.get(hook.secret)}"
            try:
                async with self._http.post(
                    hook.url,
                    data=msgspec.json.encode(content),
                    headers=headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=hook.timeout_s + 1),
                ) as response:
                    status = response.status
            except (aiohttp.ClientError, OSError) as error:
                raise HookFailed(f"cannot be reached ({type(error).__name__})") from None
            if not 200 <= status < 300:
                raise HookFailed(f"status {status}", again=status in (408, 429) or status >= 500)

        return deliver


def _by_python(hook: PostCallPython, place: str) -> Deliver:
    function = load_entry_point(hook.entry_point, place)

    async def deliver(content: Mapping[str, object]) -> None:
        await function(content)

    return deliver
