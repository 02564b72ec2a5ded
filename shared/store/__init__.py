"""The entity store: one small protocol, SQLite on one machine, Azure Tables in the cloud."""
