"""IVR flows: what a caller hears and chooses before and after an agent, run by the function app."""
