"""Where snapshots go and what they are made of."""
