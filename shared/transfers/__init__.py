"""Call transfers: another system lends us a caller, and gets the caller back with what the agent learned."""
