"""Every error segbench raises on purpose.

SegbenchError
+-- CaseError          a case file is missing, unreadable or not valid under the protocol
+-- AdapterNotFound    no adapter has that name
+-- AdapterError       an adapter cannot be loaded, broke the contract, crashed or timed out
+-- RunError           a run folder cannot be continued, read or shared
"""

from __future__ import annotations


class SegbenchError(Exception):
    """Base class; the CLI prints these as one line and exits with status 2."""


class CaseError(SegbenchError):
    """A case file is missing, unreadable or not valid under the protocol."""


class AdapterNotFound(SegbenchError):
    """No adapter has that name."""


class AdapterError(SegbenchError):
    """An adapter cannot be loaded, broke the contract, crashed or timed out."""


class RunError(SegbenchError):
    """A run folder cannot be continued, read or shared."""
