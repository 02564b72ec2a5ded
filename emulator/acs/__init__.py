"""ACS Call Automation: REST, callbacks, the media WebSocket client and its signing keys."""
