"""A server on this machine with the part of the hub's protocol that a download needs."""

import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMITS = ("a" * 40, "b" * 40)


class Hub:
    """One repository with two commits; ``main`` is the later one."""

    def __init__(self, repo: str, old: dict[str, bytes], new: dict[str, bytes]) -> None:
        self.repo, self.files = repo, dict(zip(COMMITS, (old, new), strict=True))
        self.requests: list[tuple[str, str]] = []
        self.url = ""
        self.truncates_responses = False  # end every response in the middle

    def lookup(self, path: str) -> tuple[str, bytes] | None:
        """Return commit and content of /REPO/resolve/REVISION/FILE."""
        repo, _, rest = path.lstrip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        commit = COMMITS[1] if revision == "main" else revision
        content = self.files.get(commit, {}).get(name)
        return (commit, content) if repo == self.repo and content is not None else None


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
            result = hub.lookup(self.path)
            commit, content = result or (COMMITS[1], b"")
            self.send_response(200 if result else 404)
            if not result:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("X-Repo-Commit", commit)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if with_content:
                self.wfile.write(
                    content[: len(content) // 2] if hub.truncates_responses else content
                )
                self.close_connection = hub.truncates_responses

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
