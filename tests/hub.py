"""A server on this machine with the part of the hub's protocol that a download needs."""

import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

COMMITS = ("a" * 40, "b" * 40)


class Hub:
    """One repository with two commits; ``main`` is the later one.

    The name of a data set is ``datasets/OWNER/NAME``.
    """

    def __init__(self, repo: str, old: dict[str, bytes], new: dict[str, bytes]) -> None:
        self.repo, self.files = repo, dict(zip(COMMITS, (old, new), strict=True))
        self.requests: list[tuple[str, str]] = []
        self.resumed: list[str] = []  # paths that were asked for from some byte on
        self.url = ""
        self.truncates_responses = False  # end every response in the middle
        self.truncated_responses = 0  # how many of the next are ended so

    def lookup(self, path: str) -> tuple[str, bytes] | None:
        """Return commit and content of /REPO/resolve/REVISION/FILE."""
        repo, _, rest = path.lstrip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        commit = COMMITS[1] if revision == "main" else revision
        content = self.files.get(commit, {}).get(name)
        return (commit, content) if repo == self.repo and content is not None else None

    def response(self, url: str, asked: str | None) -> tuple[int, dict[str, str], bytes, bool]:
        """Return status, headers and content, and whether it is a file of the repository."""
        listing = self.listing(url)
        result = self.lookup(url) if listing is None else (COMMITS[1], listing)
        commit, content = result or (COMMITS[1], b"")
        headers = {
            "X-Repo-Commit": commit,
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
        }
        status = 200 if result else 404
        if not result:
            headers["X-Error-Code"] = "EntryNotFound"
        start = re.fullmatch(r"bytes=(\d+)-", asked or "")
        if start and result:
            self.resumed.append(url)
            status, first = 206, int(start[1])
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            content = content[first:]
        headers["Content-Length"] = str(len(content))
        return status, headers, content, listing is None and result is not None

    def listing(self, url: str) -> bytes | None:
        """Return what is at /api/REPO/tree/REVISION/FOLDER, as JSON."""
        address = urlsplit(url)
        repo, tree, rest = address.path.removeprefix("/api/").partition("/tree/")
        revision, _, folder = rest.partition("/")
        files = self.files.get(COMMITS[1] if revision == "main" else revision)
        if not address.path.startswith("/api/") or not tree or repo != self.repo or files is None:
            return None
        recursive = parse_qs(address.query).get("recursive", ["false"])[0].lower() == "true"
        start = f"{folder}/" if folder else ""
        inner = [path.removeprefix(start) for path in files if path.startswith(start)]
        folders = {path.rpartition("/")[0] for path in inner if "/" in path}
        if not recursive:
            folders = {path.partition("/")[0] for path in folders}
            inner = [path for path in inner if "/" not in path]
        entries = [{"type": "directory", "path": start + path, "oid": "d"} for path in folders]
        entries += [file_entry(start + path, files[start + path]) for path in inner]
        return json.dumps(entries).encode()


def file_entry(path: str, content: bytes) -> dict:
    """Return how the hub lists a large file."""
    lfs = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return {"type": "file", "path": path, "size": len(content), "oid": "f", "lfs": lfs}


@contextmanager
def serve_hub(hub: Hub):
    """Serve a hub on a free port of this machine while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.respond(with_content=False)

        def do_GET(self):
            self.respond(with_content=True)

        def respond(self, *, with_content: bool):
            hub.requests.append((self.command, self.path))
            status, headers, content, is_file = hub.response(self.path, self.headers.get("Range"))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            truncates = is_file and (hub.truncates_responses or hub.truncated_responses > 0)
            if with_content:
                hub.truncated_responses -= truncates
                self.wfile.write(content[: len(content) // 2] if truncates else content)
                self.close_connection = truncates

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
