"""``python -m adapters.ours.training``: from a checkout, where click is missing or old.

The same options as ``segbench train ours``.
"""

import sys

from segbench.errors import AdapterError

from .command import main

if __name__ == "__main__":
    try:
        main(sys.argv[1:], "python -m adapters.ours.training")
    except AdapterError as error:
        sys.exit(f"Error: {error}")
