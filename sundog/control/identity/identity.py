"""All of identity, a part for each kind of thing."""

from __future__ import annotations

from sundog.control.identity.application_credentials import ApplicationCredentials
from sundog.control.identity.assignments import Assignments
from sundog.control.identity.blobs import Credentials, Policies
from sundog.control.identity.books import Books
from sundog.control.identity.catalogue import Catalogue
from sundog.control.identity.keys import Keys
from sundog.control.identity.passwords import Passwords
from sundog.control.identity.projects import Projects
from sundog.control.identity.roles import Roles
from sundog.control.identity.settings import Settings
from sundog.control.identity.tokens import Tokens
from sundog.control.identity.users import Groups, Users
from sundog.control.principal import Principal
from sundog.control.store import Store
from sundog.runtime.ids import Ids


class Identity:
    """Identity over a store. ``ids`` is where new things get their ids from.

    A new store needs :func:`~sundog.control.identity.bootstrap.bootstrap` first.
    """

    def __init__(self, store: Store, ids: Ids, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.books = Books(store, ids)
        self.passwords = passwords = Passwords(self.settings)
        self.projects = Projects(self.books, self.settings.default_domain_id)
        self.users = Users(self.books, passwords)
        self.groups = Groups(self.books)
        self.roles = Roles(self.books)
        self.assignments = Assignments(self.books)
        self.catalogue = Catalogue(self.books)
        self.application_credentials = ApplicationCredentials(self.books, passwords)
        self.credentials = Credentials(self.books)
        self.policies = Policies(self.books)
        self.keys = Keys(self.books, self.settings.kept_keys)
        self.tokens = Tokens(self.books, passwords, self.settings)

    def authenticate(self, token: str) -> Principal:
        """The bearer of a token, as things are now.

        Raises: Unauthorized for a token that is not good.
        """
        return self.tokens.session(token).principal
