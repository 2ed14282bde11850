"""The relay server; knows the library, not the terminal client."""
