"""Command line: one module per command, which parses, makes one call and prints.

Heavy modules are imported inside the commands, so that ``--help`` answers at once.
"""

from segbench.cli.check import check
from segbench.cli.compare import compare
from segbench.cli.convert import convert
from segbench.cli.export import export
from segbench.cli.fetch import fetch
from segbench.cli.group import cli
from segbench.cli.models import models
from segbench.cli.parity import parity
from segbench.cli.phantoms import phantoms
from segbench.cli.predict import predict
from segbench.cli.rank import rank
from segbench.cli.report import report
from segbench.cli.rescore import rescore
from segbench.cli.run import run
from segbench.cli.train import train
from segbench.cli.verify import verify

__all__ = ["cli"]

COMMANDS = (
    *(convert, check, run, report, rank, compare, export, verify, rescore, parity),
    *(models, phantoms, fetch, predict, train),
)
for command in COMMANDS:
    cli.add_command(command)
