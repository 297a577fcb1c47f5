"""Find mistakes in data before a run: `check_data.check` for Python, ``segbench check`` for users.

Each module has one group of checks; ``codes`` has every code with its level.
"""
