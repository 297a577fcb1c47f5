"""How a model is found, served and supervised.

Empty but for this text: foreign environments import it.
"""
