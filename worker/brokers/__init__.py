"""Message brokers: one seam, an adapter for each."""
