"""Setting the password of a guest's administrator, which is written nowhere: what is left of it by a crash fails."""

from __future__ import annotations

from functools import partial
from typing import Final

from sundog.control.compute.sagas.common import key_of
from sundog.control.compute.work import Saga, Work, work_server
from sundog.errors import PlainFailure

FORGOTTEN: Final = "The password was not set: it is kept nowhere, and the cloud was started again meanwhile. Ask again."


async def do(work: Work) -> None:
    """Set it. Raises: BackendFailed if nobody knows it any more; what the driver raises."""
    server, parts = work.server(), work.parts
    assert server.host is not None
    password = parts.secrets.get(work.args["secret"])
    if password is None:
        raise PlainFailure(FORGOTTEN, server=server.id)
    set_it = partial(parts.driver.set_password, server.host, key_of(server), password)
    await work.ask(set_it, server.host, key_of(server))
    with parts.books.writing() as tx:
        work.finish(tx, work_server(tx, work))


async def undo(work: Work) -> None:
    """The server is as it was, but for what nobody can know."""
    with work.parts.books.writing() as tx:
        work.finish(tx, work_server(tx, work), failure=work.action.message)


SAGA: Final = Saga(do, undo)
