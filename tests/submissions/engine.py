"""A fake docker: its container is not a child of the client, and only `kill` ends it.

It is `docker` in a folder with `id` (of the image) and `mode`; `log` records its calls.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

folder, words = Path(__file__).parent, sys.argv[1:]
with (folder / "log").open("a") as log:
    log.write(" ".join(words) + "\n")
if words[:2] == ["image", "inspect"]:
    sys.exit(print((folder / "id").read_text()) if words[-1] == "team/model:v1" else 1)  # noqa: T201
if words[0] == "kill":
    os.killpg(int((folder / words[1]).read_text()), signal.SIGKILL)  # all of the container
if words[0] == "run":
    places = [word.split(":")[0] for word in words if ":/workspace/" in word]
    setting = [word for word in words if word.startswith("SEGBENCH_PERSISTENT=")]
    program = [sys.executable, folder / "boxes.py", *places, (folder / "mode").read_text()]
    inside = subprocess.Popen(
        [*program, folder / "notes"],
        env={name: os.environ[name] for name in ("PATH",)} | dict(s.split("=") for s in setting),
        stdin=None if "--interactive" in words else subprocess.DEVNULL,
        start_new_session=True,
    )
    (folder / words[words.index("--name") + 1]).write_text(str(inside.pid))
    sys.exit(inside.wait())
