"""Event Grid delivery: subscriptions, validation, retries, dead letters."""
