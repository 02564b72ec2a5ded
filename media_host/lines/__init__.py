"""The telephone side of a call, one module for each provider."""
