"""HTTP for what the operator configures (tools, post-call hooks): no cookies, no proxy from the environment."""

import aiohttp


def without_cookies(http: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """A session over the connections of `http` that keeps no cookies: what one call was given is no other call's.

    Closing it leaves `http` open.
    """
    return aiohttp.ClientSession(
        connector=http.connector,
        connector_owner=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "patchcord"},
    )
