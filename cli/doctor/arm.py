"""Azure Resource Manager's REST interface, as far as the doctor reads it (learn.microsoft.com/rest/api/resources).

Only asked for a deployment. Written by the documentation; nothing of Azure can be reached from where Patchcord is built, so what
is tried in tests are answers made up from that documentation.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp

from shared.errors import PatchcordError

BASE = "https://management.azure.com"
SCOPE = BASE + "/.default"
ANSWER_S = 20.0
PAGES = 20

type Json = dict[str, Any]


class ArmRefused(PatchcordError):
    """ARM gave no answer that is of use; the text says why, as the end of a sentence."""


class Arm:
    """Reads resources of one resource group.

    Args:
        http: makes the requests.
        credential: gives tokens; an `AsyncTokenCredential`.
        subscription: the subscription's id.
        group: the resource group's name.
        base: ARM's address.
    """

    def __init__(
        self, http: aiohttp.ClientSession, credential: Any, subscription: str, group: str, base: str = BASE
    ) -> None:
        self._http = http
        self._credential = credential
        self._base = base
        self.group = f"/subscriptions/{subscription}/resourceGroups/{group}"

    def id(self, kind: str, name: str) -> str:
        """The resource's id: `kind` is such as `Microsoft.Web/sites`."""
        return f"{self.group}/providers/{kind}/{name}"

    async def get(self, path: str, version: str) -> Json:
        """One resource.

        Raises:
            ArmRefused: no token, no access, no such resource, no answer.
        """
        return await self._ask("GET", f"{self._base}{path}?api-version={version}")

    async def post(self, path: str, version: str) -> Json:
        """An action that only reads, such as `config/appsettings/list`.

        Raises:
            ArmRefused: as `get`.
        """
        return await self._ask("POST", f"{self._base}{path}?api-version={version}")

    async def list(self, path: str, version: str) -> list[Json]:
        """All pages of a list.

        Raises:
            ArmRefused: as `get`.
        """
        found: list[Json] = []
        url = f"{self._base}{path}?api-version={version}"
        for _ in range(PAGES):
            page = await self._ask("GET", url)
            found += page.get("value") or []
            url = str(page.get("nextLink") or "")
            if not url.startswith(self._base + "/"):  # the token is for ARM alone
                break
        return found

    async def _ask(self, method: str, url: str) -> Json:
        try:
            async with asyncio.timeout(ANSWER_S):
                token = await self._credential.get_token(SCOPE)
                headers: Mapping[str, str] = {"Authorization": f"Bearer {token.token}"}
                async with self._http.request(
                    method, url, headers=headers, allow_redirects=False
                ) as response:
                    if response.status != 200:
                        raise ArmRefused(f"Azure Resource Manager answered {response.status}")
                    body = await response.json(content_type=None)
        except ArmRefused:
            raise
        except (
            Exception
        ) as error:  # azure-identity's many, aiohttp's, the system's: all mean that there is no answer
            raise ArmRefused(f"Azure Resource Manager gave no answer ({type(error).__name__})") from None
        if not isinstance(body, dict):
            raise ArmRefused("Azure Resource Manager answered something that is no resource")
        return body
