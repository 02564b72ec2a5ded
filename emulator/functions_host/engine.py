"""Microsoft's Python worker library as an engine: it indexes an app and runs its functions; all else is the host's.

`azure-functions-runtime` is the library that Azure's own worker loads on Python 3.13. Only the public names of its `__all__` are
used here. It asks its caller for a module of protobuf classes; a few attribute bags stand in for them (functions.md 7.1), so
that neither gRPC nor protobuf is needed. What the library validates, decodes and encodes is therefore what Azure does.

The library keeps its registry at module level: one app per process.
"""

import asyncio
import json
import logging
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as runtime

from shared.errors import PatchcordError

logger = logging.getLogger(__name__)


class LoadFailed(PatchcordError):
    """The app cannot be loaded; the message is Azure's own."""

    def __init__(self, message: str, trace: str = "") -> None:
        self.trace = trace
        super().__init__(message)


class FunctionFailed(PatchcordError):
    """A function raised, returned what cannot be encoded, or ran longer than the host allows.

    Attributes:
        function: its name.
        reason: the exception's type and text, as the worker reports it. May hold anything: redact before showing it.
        trace: the stack trace, with the same warning.
    """

    def __init__(self, function: str, reason: str, trace: str = "") -> None:
        self.function = function
        self.reason = reason
        self.trace = trace
        super().__init__(f"Exception while executing function: Functions.{function}")


class Message:
    """A bag of attributes in the place of a protobuf message."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)


class TypedData(Message):
    """A union of which exactly one member, the first keyword, is set (`TypedData(json="{}")`)."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)
        self.kind = next(iter(fields), None)

    def WhichOneof(self, _group: str) -> str | None:  # protobuf's own name
        """The name of the member that is set."""
        return self.kind


class _ParameterBinding(Message):
    """One named value; its `rpc_data` is always plain data, never shared memory."""

    def WhichOneof(self, _group: str) -> str:  # protobuf's own name
        return "data"


class _StatusResult(Message):
    Failure, Success, Cancelled = 0, 1, 2


class _BindingInfo(Message):
    undefined, out, inout = 0, 1, 2


class _SameSite:
    Lax, Strict, ExplicitNone = "Lax", "Strict", "None"


setattr(_SameSite, "None", "")  # a keyword cannot be written as an attribute


class _RpcHttpCookie(Message):
    SameSite = _SameSite


class _Protos:
    """The protobuf module that the library asks for; every class it does not look into is a plain `Message`."""

    StatusResult = _StatusResult
    BindingInfo = _BindingInfo
    RpcHttpCookie = _RpcHttpCookie
    TypedData = TypedData
    ParameterBinding = _ParameterBinding

    def __getattr__(self, name: str) -> type[Message]:
        return Message


@dataclass(frozen=True, slots=True)
class Function:
    """One indexed function: its name, the worker's id of it and its bindings as Azure's metadata has them."""

    name: str
    function_id: str
    bindings: Sequence[Mapping[str, Any]] = field(repr=False)

    @property
    def trigger(self) -> Mapping[str, Any]:
        """The binding that starts it."""
        return next(binding for binding in self.bindings if str(binding["type"]).endswith("Trigger"))

    @property
    def kind(self) -> str:
        """The trigger's type in lower case, such as `httptrigger`."""
        return str(self.trigger["type"]).lower()

    @property
    def outputs(self) -> list[str]:
        """Types of output bindings other than the HTTP answer."""
        return [str(b["type"]) for b in self.bindings if b.get("direction") == "OUT" and b["type"] != "http"]


def _request(**parts: Any) -> SimpleNamespace:
    """A streaming message as the worker's proxy hands it over."""
    return SimpleNamespace(
        request=SimpleNamespace(**parts), properties={"host": "127.0.0.1", "protos": _Protos()}
    )


class Engine:
    """Functions of one app, ready to run. Use `Engine.start`; call `stop` when the loop has ended.

    Args:
        functions: by name.
        timeout_s: `functionTimeout` (s), or None for no bound.
    """

    def __init__(self, functions: Mapping[str, Function], timeout_s: float | None) -> None:
        self.functions = functions
        self._timeout_s = timeout_s

    @classmethod
    async def start(cls, app: Path, timeout_s: float | None = None) -> "Engine":
        """Import and index the app in the folder `app`, inside the running loop as Azure's worker does.

        Raises:
            LoadFailed: Azure would not load it either; the message is Azure's wording.
        """
        sys.path.insert(0, str(app))
        runtime.start_threadpool_executor()
        init = SimpleNamespace(capabilities={}, function_app_directory=str(app))
        answer = await runtime.worker_init_request(_request(worker_init_request=init))
        if answer.result.status != _StatusResult.Success:
            error = answer.result.exception
            raise LoadFailed(str(error.message), str(error.stack_trace))
        metadata = await runtime.functions_metadata_request(_request())
        functions: dict[str, Function] = {}
        for item in metadata.function_metadata_results or []:
            bindings = [json.loads(binding) for binding in item.raw_bindings]
            functions[item.name] = Function(item.name, item.function_id, bindings)
        if not functions:
            raise LoadFailed("No functions found: function_app.py defines no function with a trigger.")
        return cls(functions, timeout_s)

    async def invoke(
        self,
        function: Function,
        data: TypedData,
        *,
        metadata: Mapping[str, TypedData] | None = None,
        trace: str = "",
    ) -> TypedData | None:
        """Run `function` once and return what it returned (`http`, `string`, …; None without a return value).

        Args:
            function: one of `functions`.
            data: the trigger's data (functions.md 7.2).
            metadata: the trigger's metadata.
            trace: a W3C `traceparent`, or "".

        Raises:
            FunctionFailed: it raised, returned what cannot be encoded, or took longer than the time-out.
        """
        invocation = SimpleNamespace(
            invocation_id=str(uuid.uuid4()),
            function_id=function.function_id,
            input_data=[_ParameterBinding(name=function.trigger["name"], data=data)],
            trigger_metadata=dict(metadata or {}),
            trace_context=SimpleNamespace(trace_parent=trace, trace_state="", attributes={}),
            retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
        )
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await runtime.invocation_request(_request(invocation_request=invocation))
        except TimeoutError:
            raise FunctionFailed(
                function.name,
                f"Timeout value of {self._timeout_s} s was exceeded by function {function.name}",
            ) from None
        if answer.result.status != _StatusResult.Success:
            error = answer.result.exception
            raise FunctionFailed(function.name, str(error.message), str(error.stack_trace))
        logger.debug("%s ran in %.0f ms", function.name, (time.monotonic() - started) * 1000)
        result: TypedData | None = answer.return_value
        return result

    def stop(self, within_s: float) -> bool:
        """End the threads of synchronous functions; False if one still runs after `within_s` seconds."""
        stopping = threading.Thread(target=runtime.stop_threadpool_executor, daemon=True)
        stopping.start()
        stopping.join(within_s)
        return not stopping.is_alive()


def log_failure(failure: FunctionFailed) -> None:
    """Log a failed invocation; the root logger's filter takes secrets out of the text."""
    logger.error("%s: %s\n%s", failure, failure.reason, failure.trace)
