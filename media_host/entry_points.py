"""Functions of the operator's that patchcord.yaml names: imported when the media host starts, never by name later."""

import importlib
import inspect
from collections.abc import Awaitable, Callable, Mapping

from shared.errors import ConfigurationError

type AsyncFunction = Callable[[Mapping[str, object]], Awaitable[object]]


def load_entry_point(name: str, place: str) -> AsyncFunction:
    """The function `package.module:function`.

    Args:
        name: the entry point; its module must be importable by the media host.
        place: where it stands in the configuration.

    Raises:
        ConfigurationError: it cannot be imported, or is no async function of one argument.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except Exception as error:  # importing runs the operator's code: it is this setting that is wrong
        expected = f"a module that can be imported ({type(error).__name__})"
        raise ConfigurationError(place, expected, name) from error
    if not inspect.iscoroutinefunction(found):
        raise ConfigurationError(place, "an async function in that module", name)
    try:
        inspect.signature(found).bind({})
    except TypeError:
        raise ConfigurationError(place, "an async function that takes one argument", name) from None
    function: AsyncFunction = found
    return function
