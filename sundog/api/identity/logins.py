"""From the body of POST /auth/tokens to what the control plane is to check."""

from __future__ import annotations

from sundog.api.identity.schemas import Auth, NamedDomain, NamedProject, NamedUser, ScopePart
from sundog.control.identity.tokens import Login, Named, Wanted
from sundog.errors import Invalid


def login(auth: Auth) -> Login:
    """What a client shows and wants.

    Raises: Invalid where a method has nothing to go by, a name has no domain, or there are several scopes.
    """
    shown = auth.identity
    for method in ("password", "token", "application_credential"):
        if method in shown.methods and getattr(shown, method) is None:
            raise _lacks(method, "identity")
    password, credential = shown.password, shown.application_credential
    if "password" in shown.methods and password is not None and password.user.password is None:
        raise _lacks("password", "user")
    return Login(
        methods=tuple(shown.methods),
        user=_user(password.user, "user") if password else None,
        password=password.user.password or "" if password else "",
        token=shown.token.id if shown.token else "",
        credential=Named(credential.id, credential.name) if credential else None,
        credential_user=_user(credential.user, "user") if credential and credential.user else None,
        secret=credential.secret if credential else "",
        scope=_scope(auth.scope),
    )


def _scope(scope: ScopePart | str | None) -> Wanted | None:
    if scope is None:
        return None
    if isinstance(scope, str):
        return Wanted("unscoped")
    if scope.trust is not None:
        raise Invalid("there are no trusts here; ask for the scope of a project, a domain or the system")
    asked = [name for name in ("project", "domain", "system", "unscoped") if getattr(scope, name) is not None]
    if len(asked) != 1:
        raise _lacks("project, domain, system or unscoped", "scope")
    if scope.project is not None:
        return Wanted("project", _project(scope.project))
    if scope.domain is not None:
        return Wanted("domain", _domain(scope.domain, "domain"))
    if scope.system is not None and not scope.system.all:
        raise _lacks("all", "system")
    return Wanted(asked[0])


def _user(user: NamedUser, what: str) -> Named:
    if user.id is not None:
        return Named(id=user.id)
    if user.name is None:
        raise _lacks("id or name", what)
    if user.domain is None:
        raise _lacks("domain", what)
    return Named(name=user.name, domain=_domain(user.domain, "domain"))


def _project(project: NamedProject) -> Named:
    if project.id is not None:
        return Named(id=project.id)
    if project.name is None:
        raise _lacks("id or name", "project")
    if project.domain is None:
        raise _lacks("domain", "project")
    return Named(name=project.name, domain=_domain(project.domain, "domain"))


def _domain(domain: NamedDomain, what: str) -> Named:
    if domain.id is None and domain.name is None:
        raise _lacks("id or name", what)
    return Named(id=domain.id) if domain.id is not None else Named(name=domain.name)


def _lacks(attribute: str, target: str) -> Invalid:
    return Invalid(
        f"Expecting to find {attribute} in {target}. The server could not comply with the request since it is either "
        "malformed or otherwise incorrect. The client is assumed to be in error."
    )
