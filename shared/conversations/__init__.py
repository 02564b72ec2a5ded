"""Conversations: what a caller and the agent have said to each other over several calls."""
