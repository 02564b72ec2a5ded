"""The HTTP side of the OpenAPI document: itself, and what is said to requests that no path of it takes."""

from typing import NoReturn

from shared.errors import MethodNotAllowed, NotFound
from shared.http import Reply, json_reply
from shared.settings import FunctionAppSettings


class Described:
    """The document of one function app; it is made on first use, for a cold start does not need it."""

    def __init__(self, settings: FunctionAppSettings) -> None:
        self._settings = settings
        self._document: Reply | None = None

    def document(self) -> Reply:
        """The OpenAPI document, for everybody."""
        from shared.openapi.document import document

        settings = self._settings
        if self._document is None:
            self._document = json_reply(
                document(
                    server=settings.callback_base,
                    id_header=settings.api_id_header,
                    secret_header=settings.api_secret_header,
                    compatible=settings.compatible_api,
                ),
                headers={"cache-control": "public, max-age=3600"},
            )
        return self._document

    def refuse(self, path: str) -> NoReturn:
        """Say no to a method and a path that no function takes.

        Raises:
            MethodNotAllowed: the path has other methods.
            NotFound: there is no such path.
        """
        from shared.openapi.document import methods
        from shared.openapi.operations import paths

        allowed = methods(path, paths(compatible=self._settings.compatible_api))
        if allowed:
            raise MethodNotAllowed(allowed)
        raise NotFound("no such path")
