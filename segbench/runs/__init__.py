"""A run: its folder, its cases, its execution."""
