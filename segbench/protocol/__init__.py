"""The challenge's rules as pure functions: no files, no processes, no clock."""
