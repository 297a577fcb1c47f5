"""Training of ``ours``: generated scenes, annotated scans, dialogues, the schedule."""
