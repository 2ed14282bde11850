"""The terminal client; all commands start in `entry`."""
