"""The sections of a report: each module makes a frame and the table that prints it.

``by_modality`` makes table3 and table5, ``by_box`` table4, ``by_step`` steps, ``by_dataset``
datasets, ``by_label`` labels; ``own_cases``, ``time_limit``, ``facts`` and ``failures`` make the
tables of these names. ``means`` computes the means and sets the best in bold, ``notes`` writes the
notes, ``render`` formats a table.
"""
