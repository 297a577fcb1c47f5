"""The worker: serve one adapter inside its own environment.

:mod:`segbench.models.worker_process` runs this file by path with ``python -I``; segbench never
imports it. Requests are lines of JSON on stdin, replies are lines of JSON on a private copy of
stdout, arrays are ``.npy`` files in a scratch folder. When stdin closes, also in the middle of a
step, segbench no longer runs: the worker removes the scratch folder and ends.

Standard library and numpy only, syntax of Python 3.9.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import queue
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from segbench.contract import Adapter

Call = Callable[[], Any]
WHAT_TO_DO = (
    "which every adapter needs, found no such module; install it, or name another interpreter "
    "with --python"
)
SECONDS_TO_END = 5  # for an adapter that is closed on SIGTERM, see closed_on_sigterm


def expose(name: str) -> None:
    """Make a package importable that is in the folder of segbench, and no other one there."""
    package = Path(__file__).resolve().parents[2] / name
    spec = importlib.util.spec_from_file_location(
        name, package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def add_python_path() -> None:
    """Look for modules in the folders of PYTHONPATH, too, but last.

    Python ignores the variable here (``-I``), so that packages that a user has for another Python
    do not replace those of the adapter's environment.
    """
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path += [os.path.abspath(folder) for folder in folders if folder]


def serve(adapter_file: str, folder: str, options: str) -> None:
    """Serve requests until the request ``close``."""
    request_stream, reply_stream = private_pipes()
    requests = read_requests(request_stream, Path(folder))
    worker_pid = os.getpid()

    def reply(number: int, **fields: Any) -> None:
        exit_if_forked(worker_pid)
        reply_stream.write(json.dumps({"number": number, **fields}) + "\n")
        reply_stream.flush()

    try:
        for name in ("segbench", "segbench_adapters"):
            expose(name)
        add_python_path()
        from segbench.models.loading import close_adapter, load_described

        adapter, description = load_described(Path(adapter_file), json.loads(options))
    except ModuleNotFoundError as error:  # load_adapter raises none
        reply(0, refusal=f"{sys.executable}: expected {error.name}, {WHAT_TO_DO}")
        return
    except Exception as error:
        reply(0, refusal=str(error))
        return
    with closed_on_sigterm(adapter, worker_pid):
        reply(0, **description, **describe_environment())
        while (request := requests.get())["method"] != "close":
            reply(request["number"], **serve_request(adapter, request, Path(folder), worker_pid))
        close_adapter(adapter)


@contextlib.contextmanager
def closed_on_sigterm(adapter: Adapter, worker_pid: int) -> Iterator[None]:
    """Close an adapter also on SIGTERM, if it holds something that outlives this process.

    Other adapters are not closed: Python would run the handler only after their computation. The
    handler only raises, because the interrupted code may hold a lock that ``close`` needs.
    """

    def on_sigterm(*_: object) -> None:
        exit_if_forked(worker_pid)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not interrupt close
        raise SystemExit(128 + signal.SIGTERM)

    outlives_worker = getattr(adapter, "outlives_worker", False)
    if outlives_worker:
        signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield
    except SystemExit:
        if outlives_worker:
            from segbench.models.loading import close_adapter

            close_adapter(adapter)
        raise


def private_pipes() -> tuple[TextIO, TextIO]:
    """Return private copies of stdin and stdout.

    After that, the model's stdin is empty and what it prints goes to stderr.
    """
    request_stream = os.fdopen(os.dup(0), "r", encoding="utf-8")
    reply_stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.close(devnull)
    os.dup2(2, 1)
    return request_stream, reply_stream


def exit_if_forked(worker_pid: int) -> None:
    """End a child that the model forked and that returned from ``predict``: only one may reply."""
    if os.getpid() != worker_pid:
        os._exit(0)


def read_requests(request_stream: TextIO, scratch: Path) -> queue.Queue[dict[str, Any]]:
    """Read requests in a thread; end the process when stdin closes."""
    requests: queue.Queue[dict[str, Any]] = queue.Queue()

    def read() -> None:
        for line in request_stream:
            requests.put(json.loads(line))
        shutil.rmtree(scratch, ignore_errors=True)  # segbench no longer runs and cannot do it
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SECONDS_TO_END)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return requests


def serve_request(
    adapter: Adapter, request: dict[str, Any], scratch: Path, worker_pid: int
) -> dict[str, Any]:
    """Serve one request; return the seconds that the adapter took, or how it failed."""
    import numpy as np

    from segbench.models.adapter_failure import step_failure

    prepare = prepare_set_image if request["method"] == "set_image" else prepare_predict
    start = time.perf_counter()
    try:
        call = prepare(adapter, request, scratch)
        start = time.perf_counter()  # reading arrays is not the model's time
        segmentation = call()
        seconds = time.perf_counter() - start
        exit_if_forked(worker_pid)
        if segmentation is not None:
            # segbench reads the file only after the reply
            file = scratch / f"segmentation-{request['number']}.npy"
            np.save(file, segmentation, allow_pickle=False)
    except Exception as error:  # of any kind: it is a failure of the model
        return {
            "failure": step_failure(error),
            "seconds": time.perf_counter() - start,
            **peak_memory(),
        }
    return {"seconds": seconds, **peak_memory()}


def prepare_set_image(adapter: Adapter, request: dict[str, Any], scratch: Path) -> Call:
    """Read a new image; return the call of ``set_image``."""
    import numpy as np

    from segbench.core import Image

    # mapped copy-on-write: the adapter may write to its array, the file does not change
    voxels = np.load(scratch / "image.npy", mmap_mode="c")
    image = Image(np.asarray(voxels), tuple(request["spacing"]))
    labels = tuple(request["labels"])

    return lambda: adapter.set_image(image, labels)


def prepare_predict(adapter: Adapter, request: dict[str, Any], scratch: Path) -> Call:
    """Read the prompts of a step; return the call of ``predict``."""
    import numpy as np

    from segbench.core import Interactions, prompt_from_json
    from segbench.models.adapter_contract import predicted_array

    rounds = tuple(tuple(map(prompt_from_json, prompts)) for prompts in request["rounds"])
    previous = np.load(scratch / "previous.npy", mmap_mode="c")
    interactions = Interactions(rounds, np.asarray(previous))
    return lambda: predicted_array(adapter.predict(interactions))


def peak_memory() -> dict[str, float]:
    """Return the highest resident memory of this process so far; empty on Windows."""
    try:
        import resource
    except ImportError:
        return {}
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return {"peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)}


def describe_environment() -> dict[str, Any]:
    """Return what predictions may depend on: Python, numpy, torch and its GPU if loaded."""
    loaded = {name: sys.modules[name] for name in ("numpy", "torch") if name in sys.modules}
    packages = {name: str(getattr(module, "__version__", "")) for name, module in loaded.items()}
    cuda = getattr(loaded.get("torch"), "cuda", None)
    device = cuda.get_device_name() if cuda is not None and cuda.is_available() else "CPU"
    return {"versions": {"python": sys.version.split()[0], **packages}, "device": device}


def main() -> None:
    """Serve, then end at once: a thread still reads stdin and would abort a normal exit."""
    status = 0
    try:
        serve(*sys.argv[1:])
    except SystemExit as error:  # a model that calls sys.exit
        status = error.code if isinstance(error.code, int) else 1
    except BaseException as error:
        traceback.print_exception(type(error), error, error.__traceback__)
        status = 1
    finally:
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
