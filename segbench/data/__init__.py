"""Cases on disk.

Without code, because foreign environments import it.
"""
