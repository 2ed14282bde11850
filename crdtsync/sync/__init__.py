"""Exchanging documents with others; this module names nothing, see its parts."""
