"""The vendors' SDKs as judges of payloads: whatever they do not know, no service has promised to take.

Both SDKs are lenient themselves: openai's models keep unknown fields, Voice Live's take any type. So openai's models are
validated strictly and their extras looked for, and Voice Live's type hints are walked here.
"""

import json
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, Literal, Union

from azure.ai.voicelive import _unions, models
from azure.ai.voicelive._utils.model_base import Model, SdkJSONEncoder
from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import BaseModel, TypeAdapter, ValidationError

_BY_TYPE = {
    typing.get_args(event.model_fields["type"].annotation)[0]: event
    for union in (RealtimeClientEvent, RealtimeServerEvent)
    for event in typing.get_args(typing.get_args(union)[0] or union)
}


_ON_THE_WIRE: dict[Any, Any] = {datetime: int, bytes: str}  # Unix time; base64


def openai_objections(event: Mapping[str, Any]) -> list[str]:
    """What `openai`'s models have against an event, sent or received: wrong types, missing and unknown fields."""
    if event.get("type") not in _BY_TYPE:
        return [f"type: {event.get('type')} is unknown"]
    try:
        parsed = TypeAdapter(_BY_TYPE[event["type"]]).validate_json(json.dumps(event), strict=True)
    except ValidationError as error:
        return [f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()]
    return [f"{place}: unknown" for place in _extras("", parsed)]


def _extras(place: str, value: object) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from (f"{place}.{name}" for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from _extras(f"{place}.{name}", getattr(value, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _extras(f"{place}[{index}]", item)


def voicelive_objections(event: Mapping[str, Any], base: type[Model] = models.ClientEvent) -> list[str]:
    """What `azure.ai.voicelive`'s models have against an event; `base`: ClientEvent or ServerEvent."""
    return list(_unfit("", event, base))


def _unfit(place: str, value: Any, hint: Any) -> Iterator[str]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    hint = _ON_THE_WIRE.get(hint, hint)
    if hint is Any:
        return
    if origin in (Union, types.UnionType):
        # An enumeration beside str is what the values really are.
        enums = [option for option in arguments if isinstance(option, type) and issubclass(option, Enum)]
        options = [option for option in arguments if not (enums and option is str)]
        tried = [list(_unfit(place, value, option)) for option in options]
        if all(tried):
            yield from min(tried, key=len)
    elif origin is Literal:
        if value not in [getattr(option, "value", option) for option in arguments]:
            yield f"{place}: {value!r} is not one of {arguments}"
    elif origin is list and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unfit(f"{place}[{index}]", item, arguments[0])
    elif origin is dict and isinstance(value, Mapping):
        for name, item in value.items():
            yield from _unfit(f"{place}.{name}", item, arguments[1])
    elif isinstance(hint, type) and issubclass(hint, Model) and isinstance(value, Mapping):
        yield from _unfit_model(place, value, hint)
    elif isinstance(hint, type) and issubclass(hint, Enum):
        if value not in [member.value for member in hint]:
            yield f"{place}: {value!r} is not in {hint.__name__}"
    elif not isinstance(hint, type) or type(value) not in ((int, float) if hint is float else (hint,)):
        yield f"{place}: {value!r} is no {hint}"


def _unfit_model(place: str, value: Mapping[str, Any], base: type[Model]) -> Iterator[str]:
    kind = type(base._deserialize(value, []))
    if kind.__dict__.get("__mapping__"):  # only a base class fits: its discriminator's value is unknown
        yield f"{place}: no kind of {kind.__name__} that is known"
        return
    hints = _hints(kind)
    for name in value.keys() - hints.keys():
        yield f"{place}.{name}: unknown"
    for name, hint in hints.items():
        if name in value:
            yield from _unfit(f"{place}.{name}", value[name], hint)
        elif type(None) not in typing.get_args(hint):
            yield f"{place}.{name}: missing"


@cache
def _hints(kind: type[Model]) -> dict[str, Any]:
    fields = {name for base in kind.__mro__ for name in getattr(base, "_attr_to_rest_field", {})}
    names = {"_models": models, "_unions": _unions}
    return {name: hint for name, hint in typing.get_type_hints(kind, None, names).items() if name in fields}


def voicelive_frame(event: Model) -> bytes:
    """A server event of Voice Live's models, as it would come."""
    return json.dumps(event, cls=SdkJSONEncoder).encode()
