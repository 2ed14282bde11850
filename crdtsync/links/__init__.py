"""Links of a session to relays and listening windows, and what they are made of."""
