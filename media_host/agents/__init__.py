"""Voice agents: the protocol (`base`), its implementations, and what makes them from patchcord.yaml (`factory`)."""
