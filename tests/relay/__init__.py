"""The relay: rooms as dialogues, and the real server on loopback."""
