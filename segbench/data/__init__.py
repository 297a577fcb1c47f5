"""Cases on disk.

Empty but for this text: foreign environments import it.
"""
