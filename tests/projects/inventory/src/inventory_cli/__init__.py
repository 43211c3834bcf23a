"""The command line of the inventory library."""
