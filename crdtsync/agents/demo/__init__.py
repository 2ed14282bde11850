"""The built-in agent: deterministic and offline, so that the product works anywhere.

It runs in a process of its own (`python -m crdtsync.agents.demo`), speaks ACP with the
standard library alone so that it starts at once, and has no model.
"""
