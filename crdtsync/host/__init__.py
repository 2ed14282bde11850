"""Runs turns of an open session with an agent, while the window holds the lease.

The rules are in `crdtsync.turns`; this package carries them out (docs: turns, agents).
"""

from __future__ import annotations

from crdtsync.host.settings import COLLECT_MAX, HostSettings
from crdtsync.host.shell import Host, run_agent

__all__ = ["COLLECT_MAX", "Host", "HostSettings", "run_agent"]
