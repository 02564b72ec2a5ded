"""What happened to calls, told to others: CloudEvents on an Event Grid topic."""
