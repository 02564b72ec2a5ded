"""Calls on the Twilio line: their HTTP doors, and how their records and call transfers begin and end."""
