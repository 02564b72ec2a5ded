"""Voice agents: the protocol and its implementations."""
