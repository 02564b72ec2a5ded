"""Twilio as an app sees it: numbers with webhooks, TwiML, Media Streams. Written from reference/twilio-and-transfers.md 2C-2E."""
