"""The parts of an operation in the OpenAPI document."""

from collections.abc import Sequence
from typing import Any

from shared.errors import OutOfScope, StoreUnavailable, Unauthenticated
from shared.http import TooLarge
from shared.openapi import errors
from shared.openapi.build import Json, text
from shared.openapi.errors import Kind

CREDENTIALS: list[Json] = [{"apiId": [], "apiSecret": []}]
COMPATIBLE: list[Json] = [*CREDENTIALS, {"compatibleApiId": [], "compatibleApiSecret": []}]

WITH_CREDENTIALS: tuple[Kind, ...] = (TooLarge, Unauthenticated, OutOfScope, StoreUnavailable)


def operation(
    name: str,
    tag: str,
    summary: str,
    about: str,
    success: Json,
    kinds: Sequence[Kind],
    *,
    security: Sequence[Json] = CREDENTIALS,
    parameters: Sequence[Json] = (),
    body: Json | None = None,
    alias: str = "",
) -> Json:
    """One operation: `success` is its answer, `kinds` the errors that it may meet; `alias` says whose other name it is."""
    made: Json = {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "description": about + alias,
        "security": list(security),
        "responses": success | errors.responses(kinds),
    }
    if parameters:
        made["parameters"] = list(parameters)
    if body is not None:
        made["requestBody"] = body
    if alias:
        made["x-alias"] = alias.strip()
    return made


def answer(about: str, schema: Json, status: int = 200, **more: Any) -> Json:
    """A JSON answer with this schema."""
    return {str(status): {"description": about, "content": {"application/json": {"schema": schema}}, **more}}


def body(schema: Json, *, limit: int, kinds: Sequence[str] = ("application/json",)) -> Json:
    """A request body of at most `limit` bytes, as one of the content types `kinds`."""
    return {
        "required": True,
        "description": f"At most {limit // 1024} KiB.",
        "content": {kind: {"schema": schema} for kind in kinds},
    }


def path_parameter(name: str, about: str) -> Json:
    """A parameter in the path."""
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": text(about, least=1),
        "description": about,
    }
