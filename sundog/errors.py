"""Families of errors, one for each reaction of the caller.

Every message says what is wrong, where (file, line, column or id), why, and what to do next. The facts are also
attributes, so that a caller never parses a message. An expected *no* (no valid host, a refused claim) is a value, not
an exception; see ``core.pool.Refusal`` and ``core.scheduler.NoValidHost``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar


class SundogError(Exception):
    """Root of every error that Sundog raises on purpose. ``exit_code`` is what the command line returns for it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["facts"][name]
        except KeyError:
            raise AttributeError(name) from None


class InputError(SundogError):
    """What the user gave cannot be used: a scenario, a trace, an option. Nothing was run and nothing was written."""

    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        column: int | None = None,
        **facts: Any,
    ) -> None:
        where = [str(x) for x in (path, line, column) if x is not None]
        super().__init__(f"{':'.join(where)}: {message}" if where else message, **facts)
        self.path, self.line, self.column = path, line, column


class PolicyError(SundogError):
    """A placement policy raised, or answered with something that is not a feasible host."""

    exit_code = 3


class OutputError(SundogError):
    """The results cannot be written: the folder exists, is not writable, or the disk is full."""

    exit_code = 4


class PoolError(SundogError):
    """The pool was used against its contract: an unknown provider, a negative amount, a provider still in use."""


class InvariantError(SundogError):
    """Sundog found its own books wrong. Always a bug of ours; never to be caught and ignored."""

    exit_code = 70


# ---- what the control plane refuses; the API turns each family into its status and the service's own body


class Invalid(SundogError):
    """A request that can never be carried out as it is: a malformed value, a rule that forbids it."""


class Unauthorized(SundogError):
    """No token, or one that is not good: tampered with, expired, revoked. The message never says which."""


class Forbidden(SundogError):
    """The caller is known and may not do this."""


class QuotaExceeded(Forbidden):
    """A limit of the project is reached; ask for less, or an administrator for more."""


class NotFound(SundogError):
    """There is no such thing, or none that this caller may see: the two are told apart by nobody."""


class Conflict(SundogError):
    """The thing is not in a state for this, or another has the name or the place already."""


class TooLarge(SundogError):
    """The body is longer than is taken."""


class NotAcceptable(SundogError):
    """No such version of the API."""


class Unsupported(SundogError):
    """A body of a kind that is not taken here."""


class Unavailable(SundogError):
    """Something that is needed is out of reach for the moment; the same request may succeed later."""


class StoreUnavailable(Unavailable):
    """The store cannot work now: locked, unreachable, read-only, disk full. Asking again later may help.

    Nothing was changed where ``committed`` is False. None: the store went away in the middle of the commit, which may
    or may not have happened; ask the store.
    """

    def __init__(self, message: str, *, committed: bool | None = False, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.committed = committed


# ---------------------------------------------------------------------------------------------- what a driver may raise


class BackendFailed(SundogError):
    """An operation on a host did not happen, or was undone: the host is as it was before. It may be asked again."""


class HostDown(BackendFailed):
    """The host is known to be down or out of reach, so that the operation was not even sent. ``host`` says which."""


class NoSuchServer(BackendFailed):
    """The host holds no copy of the server with the generation that was asked for. ``there`` are those it does hold."""


class PlainFailure(BackendFailed):
    """One whose message says nothing of hosts or their files, so that a server's owner may read it."""


class NotSupported(SundogError):
    """The driver cannot do this, as its capability record says: to be answered to the user, not tried again."""


class OutcomeUnknown(SundogError):
    """The operation may or may not have happened, now or later: its reply was lost, or did not come in time.

    Never to be asked again blindly. Reconciling decides: look at what the host holds, when it is no longer busy.
    """


class ContractBroken(SundogError):
    """A driver does not do what the contract says. ``clause`` is the name of the clause; see ``check_driver``."""
