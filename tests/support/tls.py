"""TLS on loopback: a certificate of a name, and the trust in it."""

import ssl
from dataclasses import dataclass
from functools import cache

import trustme


@dataclass(frozen=True)
class Tls:
    """`server` presents a certificate for the name, `client` trusts it."""

    server: ssl.SSLContext
    client: ssl.SSLContext


@cache
def tls_for(name: str) -> Tls:
    """Contexts for one name, by an authority made for this process."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return Tls(server, client)
