"""Metrics beyond the challenge's DSC and NSD, as pure functions (docs/rescore.md defines each)."""
