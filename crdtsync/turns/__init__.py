"""Turns: who may run the agent, and how to read what was run (docs: turns).

Pure rules without I/O and without a clock; shells hand in `now`.
"""
