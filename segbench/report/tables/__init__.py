"""Tables of the report: what is in them, and how each is drawn."""
