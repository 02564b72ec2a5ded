"""The same `Repeatability-Request-ID` again: the same response, and no second effect (acs.md 0.3, 1.1)."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from aiohttp import web

from emulator.acs.errors import RestError

KEPT = 1000

type Answer = tuple[int, bytes, str]


class Repeatability:
    """Remembers the answers of the last 1,000 requests that carried an id. A failed request is not remembered: it had no effect.

    Attributes:
        repeated: requests that were answered from memory.
    """

    def __init__(self) -> None:
        self.repeated = 0
        self._answers: OrderedDict[str, asyncio.Future[Answer]] = OrderedDict()

    async def once(
        self, request: web.Request, work: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Run `work`, or give the answer that the same request got before; a twin on its way is waited for.

        Raises:
            RestError: from `work`.
        """
        repeat_id = request.headers.get("Repeatability-Request-ID", "").lower()
        if not repeat_id or request.method != "POST":
            return await work()
        key = f"{request.path} {repeat_id}"
        known = self._answers.get(key)
        if known is not None:
            self.repeated += 1
            status, body, content_type = await asyncio.shield(known)
            return web.Response(status=status, body=body or None, content_type=content_type)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[key] = future
        # Shielded: a client that goes away must not stop half an effect.
        answer = await asyncio.shield(asyncio.ensure_future(self._run(key, future, work)))
        while len(self._answers) > KEPT:
            self._answers.popitem(last=False)
        return answer

    async def _run(
        self, key: str, future: asyncio.Future[Answer], work: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            answer = await work()
        except BaseException as error:  # whoever waits for the same answer must be told, too; raised on
            self._answers.pop(key, None)
            if isinstance(error, RestError):
                future.set_exception(error)
                future.exception()  # nobody may be waiting
            else:
                future.cancel()
            raise
        body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
        future.set_result((answer.status, body, answer.content_type))
        return answer
