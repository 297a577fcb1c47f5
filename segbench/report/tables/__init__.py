"""The tables of a report: one module each, and what they share.

``by_modality`` makes table3 and table5, ``by_box`` table4, ``by_step`` steps; ``facts``,
``time_limit`` and ``failures`` make the tables of these names. ``means`` computes the means and
sets the best in bold, ``notes`` writes the notes, ``render`` formats a table.
"""
