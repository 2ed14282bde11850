"""The commands, one function each, named NAME_command; `app` imports what runs."""
