"""What a simulated guest does with what is typed at its serial line: a login, and a shell of a few words."""

from __future__ import annotations

from enum import Enum
from typing import Final

from sundog.units import Seconds

# A line of a terminal takes no more than this; what is typed beyond is dropped.
_LONGEST: Final = 255
_COMMANDS: Final = ("echo", "exit", "help", "hostname", "uname", "uptime", "whoami")
_WELCOME: Final = (
    "This guest is simulated: it takes any password, and knows " + ", ".join(_COMMANDS) + ".",
    "",
)


class _At(Enum):
    LOGIN = 0
    PASSWORD = 1
    SHELL = 2


class Terminal:
    """A guest called ``name`` that waits at its login prompt. Bytes that are typed give the bytes that it writes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._at = _At.LOGIN
        self._user = ""
        self._line = bytearray()
        self._after_return = False
        self._escape = b""

    def type(self, data: bytes, uptime: Seconds) -> bytes:
        """Type ``data`` to a guest that has been up for so long; what it writes."""
        return b"".join(self._key(bytes((each,)), uptime) for each in data)

    def _key(self, key: bytes, uptime: Seconds) -> bytes:
        if self._escape:  # as of an arrow: ESC, [ and a letter
            ends = key not in b"[O" if self._escape == b"\x1b" else key.isalpha() or key == b"~"
            self._escape = b"" if ends else b"\x1b["
            return b""
        after_return, self._after_return = self._after_return, key == b"\r"
        if key == b"\r" or (key == b"\n" and not after_return):
            return b"\r\n" + self._enter(uptime)
        if key == b"\x1b":
            self._escape = key
        elif key == b"\x03":
            return b"^C\r\n" + self._begin(_At.SHELL if self._at is _At.SHELL else _At.LOGIN)
        elif key == b"\x04" and not self._line:
            return b"\r\n" + self._begin(_At.LOGIN)
        elif key in (b"\x7f", b"\b"):
            return self._erase()
        elif key >= b" " and len(self._line) < _LONGEST:
            self._line += key
            return b"" if self._at is _At.PASSWORD else key
        return b""

    def _erase(self) -> bytes:
        erased = bool(self._line)
        del self._line[-1:]
        return b"\b \b" if erased and self._at is not _At.PASSWORD else b""

    def _begin(self, at: _At, *said: str) -> bytes:
        """A new line, after what it says."""
        self._at = at
        self._line.clear()
        prompt = {
            _At.LOGIN: f"{self._name} login: ",
            _At.PASSWORD: "Password: ",
            _At.SHELL: f"{self._user}@{self._name}:~$ ",
        }
        return "\r\n".join((*said, prompt[at])).encode()

    def _enter(self, uptime: Seconds) -> bytes:
        line = self._line.decode(errors="replace")
        if self._at is _At.LOGIN:
            self._user = line.strip()
            return self._begin(_At.PASSWORD if self._user else _At.LOGIN)
        if self._at is _At.PASSWORD:
            return self._begin(_At.SHELL, *_WELCOME)
        return self._run(line.split(), uptime)

    def _run(self, words: list[str], uptime: Seconds) -> bytes:
        match words:
            case []:
                return self._begin(_At.SHELL)
            case ["exit" | "logout", *_]:
                return self._begin(_At.LOGIN)
            case ["echo", *rest]:
                return self._begin(_At.SHELL, " ".join(rest))
            case ["help", *_]:
                return self._begin(_At.SHELL, " ".join(_COMMANDS))
            case ["hostname"]:
                return self._begin(_At.SHELL, self._name)
            case ["uname", *_]:
                return self._begin(_At.SHELL, "Linux")
            case ["uptime"]:
                minutes, seconds = divmod(int(uptime), 60)
                return self._begin(_At.SHELL, f"up {minutes // 60}:{minutes % 60:02}:{seconds:02}")
            case ["whoami"]:
                return self._begin(_At.SHELL, self._user)
        return self._begin(_At.SHELL, f"sh: {words[0]}: not found")
