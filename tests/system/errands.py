"""Commands on a host of a test bed for whoever is in another one: a door that does what SSH does for real machines."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if __name__ == "__main__":  # run by its path, wherever that is
    sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bed.layout import HostPlace
from tests.bed.processes import first_process


@contextmanager
def commanded(place: HostPlace, door: Path) -> Iterator[str]:
    """The beginning of a command that runs another one on a host, through a socket at ``door``, in any namespace."""

    def enter() -> list[str]:
        return ["nsenter", "-t", str(first_process(place.folder)), "-m", "-n", "--"]

    def serve() -> None:
        while True:
            try:
                talk, _ = listener.accept()
            except OSError:
                return
            with talk:
                asked = json.loads(talk.makefile("rb").readline())
                done = subprocess.run(
                    [*enter(), *asked["words"]], input=asked["stdin"], capture_output=True, text=True, check=False
                )
                told = {"code": done.returncode, "out": done.stdout, "err": done.stderr}
                talk.sendall(json.dumps(told).encode() + b"\n")

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(door))
        listener.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"{sys.executable} {Path(__file__)} {door}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def main(door: str, *words: str) -> int:
    """Have a command run behind a door, as if it ran here."""
    with socket.socket(socket.AF_UNIX) as talk:
        talk.connect(door)
        talk.sendall(json.dumps({"words": words, "stdin": sys.stdin.read()}).encode() + b"\n")
        told = json.loads(talk.makefile("rb").readline())
    sys.stdout.write(told["out"])
    sys.stderr.write(told["err"])
    return int(told["code"])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
