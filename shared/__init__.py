"""What both deployed processes know: wire formats, security, calls and the store."""
