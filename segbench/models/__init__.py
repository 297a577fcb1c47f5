"""Find models, serve them in worker processes, and supervise these.

Without code, because foreign environments import it.
"""
