"""Who may do what: Keystone's own rules with its defaults, those that its checks refer to written out.

A target is what a request is about, under ``target.user.domain_id`` and the like; see ``targets``. ``admin`` is anybody
with the role, on whatever project: as in Keystone, whoever is to have less is made manager of a domain.
"""

from __future__ import annotations

from typing import Final

from sundog.api.kit.policy import ADMIN, ANYBODY, OF_PROJECTS, OF_PROJECTS_AND_SYSTEM, Rule

_SYSTEM_READER: Final = "role:reader and system_scope:all"
_ADMIN_OR_SYSTEM_READER: Final = f"({ADMIN}) or ({_SYSTEM_READER})"
_OWNER: Final = "user_id:%(user_id)s"
_SUBJECT: Final = "user_id:%(target.token.user_id)s"
_MANAGED_ROLE: Final = (
    "('manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s)"
)


def _or(*checks: str) -> str:
    return " or ".join(f"({check})" for check in checks)


def _rule(name: str, check: str, doc: str, scopes: tuple[str, ...] = OF_PROJECTS_AND_SYSTEM) -> Rule:
    """A rule in which an administrator of a domain has no part."""
    return Rule(name, check, doc, scopes)


# ---- users
_READS_USER: Final = "role:reader and token.domain.id:%(target.user.domain_id)s"
_MANAGES_USER: Final = _or(ADMIN, "role:manager and token.domain.id:%(target.user.domain_id)s")
GET_USER = Rule(
    "identity:get_user",
    _or(ADMIN, _SYSTEM_READER, _READS_USER, "user_id:%(target.user.id)s"),
    "Show a user",
)
LIST_USERS = Rule(
    "identity:list_users", _or(ADMIN, _SYSTEM_READER, "role:reader and domain_id:%(target.domain_id)s"), "List users"
)
CREATE_USER = Rule("identity:create_user", _MANAGES_USER, "Create a user")
UPDATE_USER = Rule("identity:update_user", _MANAGES_USER, "Change a user, the password included")
DELETE_USER = Rule("identity:delete_user", _MANAGES_USER, "Delete a user")
LIST_USER_PROJECTS = Rule(
    "identity:list_user_projects",
    _or(ADMIN, _SYSTEM_READER, "role:reader and domain_id:%(target.user.domain_id)s", "user_id:%(target.user.id)s"),
    "List the projects on which a user has a role",
)

# ---- projects
_IN_DOMAIN: Final = "domain_id:%(target.project.domain_id)s and not None:%(target.project.domain_id)s"
_READS_PROJECT: Final = _or(ADMIN, _SYSTEM_READER, f"role:reader and {_IN_DOMAIN}", "project_id:%(target.project.id)s")
_MANAGES_PROJECT: Final = _or(ADMIN, f"role:manager and {_IN_DOMAIN}")
GET_PROJECT = Rule("identity:get_project", _READS_PROJECT, "Show a project")
LIST_PROJECTS = Rule(
    "identity:list_projects",
    _or(ADMIN, _SYSTEM_READER, "role:reader and domain_id:%(target.domain_id)s"),
    "List projects",
)
CREATE_PROJECT = Rule("identity:create_project", _MANAGES_PROJECT, "Create a project")
UPDATE_PROJECT = Rule("identity:update_project", _MANAGES_PROJECT, "Change a project")
DELETE_PROJECT = Rule("identity:delete_project", _MANAGES_PROJECT, "Delete a project")
LIST_PROJECT_TAGS = Rule("identity:list_project_tags", _READS_PROJECT, "List the tags of a project")
GET_PROJECT_TAG = Rule("identity:get_project_tag", _READS_PROJECT, "Check that a project has a tag")
UPDATE_PROJECT_TAGS = Rule("identity:update_project_tags", _MANAGES_PROJECT, "Replace the tags of a project")
CREATE_PROJECT_TAG = Rule("identity:create_project_tag", _MANAGES_PROJECT, "Tag a project")
DELETE_PROJECT_TAGS = Rule("identity:delete_project_tags", _MANAGES_PROJECT, "Take all tags from a project")
DELETE_PROJECT_TAG = Rule("identity:delete_project_tag", _MANAGES_PROJECT, "Take a tag from a project")

# ---- domains
GET_DOMAIN = Rule(
    "identity:get_domain",
    _or(
        ADMIN,
        _SYSTEM_READER,
        "token.domain.id:%(target.domain.id)s",
        "token.project.domain.id:%(target.domain.id)s",
    ),
    "Show a domain",
)
LIST_DOMAINS = Rule(
    "identity:list_domains",
    _or(ADMIN, _SYSTEM_READER, "role:reader and domain_id:%(target.domain.id)s"),
    "List domains",
)
CREATE_DOMAIN = _rule("identity:create_domain", ADMIN, "Create a domain")
UPDATE_DOMAIN = _rule("identity:update_domain", ADMIN, "Change a domain")
DELETE_DOMAIN = _rule("identity:delete_domain", ADMIN, "Delete a domain")

# ---- groups
_READS_GROUP: Final = _or(ADMIN, _SYSTEM_READER, "role:reader and domain_id:%(target.group.domain_id)s")
_MANAGES_GROUP: Final = _or(ADMIN, "role:manager and domain_id:%(target.group.domain_id)s")
_BOTH: Final = "domain_id:%(target.group.domain_id)s and domain_id:%(target.user.domain_id)s"
GET_GROUP = Rule("identity:get_group", _READS_GROUP, "Show a group")
LIST_GROUPS = Rule("identity:list_groups", _READS_GROUP, "List groups")
LIST_GROUPS_FOR_USER = Rule(
    "identity:list_groups_for_user",
    _or(ADMIN, _SYSTEM_READER, "role:reader and domain_id:%(target.user.domain_id)s", _OWNER),
    "List the groups that a user is in",
)
CREATE_GROUP = Rule("identity:create_group", _MANAGES_GROUP, "Create a group")
UPDATE_GROUP = Rule("identity:update_group", _MANAGES_GROUP, "Change a group")
DELETE_GROUP = Rule("identity:delete_group", _MANAGES_GROUP, "Delete a group")
LIST_USERS_IN_GROUP = Rule("identity:list_users_in_group", _READS_GROUP, "List the users in a group")
REMOVE_USER_FROM_GROUP = Rule(
    "identity:remove_user_from_group", _or(ADMIN, f"role:manager and {_BOTH}"), "Take a user out of a group"
)
CHECK_USER_IN_GROUP = Rule(
    "identity:check_user_in_group",
    _or(ADMIN, _SYSTEM_READER, f"role:reader and {_BOTH}"),
    "Check that a user is in a group",
)
ADD_USER_TO_GROUP = Rule(
    "identity:add_user_to_group", _or(ADMIN, f"role:manager and {_BOTH}"), "Put a user into a group"
)

# ---- roles
GET_ROLE = Rule("identity:get_role", _or(_ADMIN_OR_SYSTEM_READER, f"role:manager and {_MANAGED_ROLE}"), "Show a role")
LIST_ROLES = Rule(
    "identity:list_roles", _or(_ADMIN_OR_SYSTEM_READER, "role:manager and not domain_id:None"), "List roles"
)
CREATE_ROLE = _rule("identity:create_role", ADMIN, "Create a role")
UPDATE_ROLE = _rule("identity:update_role", ADMIN, "Change a role")
DELETE_ROLE = _rule("identity:delete_role", ADMIN, "Delete a role")
GET_DOMAIN_ROLE = _rule("identity:get_domain_role", _ADMIN_OR_SYSTEM_READER, "Show a role of a domain")
LIST_DOMAIN_ROLES = _rule("identity:list_domain_roles", _ADMIN_OR_SYSTEM_READER, "List the roles of a domain")
CREATE_DOMAIN_ROLE = _rule("identity:create_domain_role", ADMIN, "Create a role of a domain")
UPDATE_DOMAIN_ROLE = _rule("identity:update_domain_role", ADMIN, "Change a role of a domain")
DELETE_DOMAIN_ROLE = _rule("identity:delete_domain_role", ADMIN, "Delete a role of a domain")
GET_IMPLIED_ROLE = _rule("identity:get_implied_role", _ADMIN_OR_SYSTEM_READER, "Show that a role implies another")
LIST_IMPLIED_ROLES = _rule("identity:list_implied_roles", _ADMIN_OR_SYSTEM_READER, "List the roles that a role implies")
CREATE_IMPLIED_ROLE = _rule("identity:create_implied_role", ADMIN, "Let a role imply another")
DELETE_IMPLIED_ROLE = _rule("identity:delete_implied_role", ADMIN, "Let a role no longer imply another")
LIST_ROLE_INFERENCE_RULES = _rule(
    "identity:list_role_inference_rules", _ADMIN_OR_SYSTEM_READER, "List which roles imply which"
)
CHECK_IMPLIED_ROLE = _rule("identity:check_implied_role", _ADMIN_OR_SYSTEM_READER, "Check that a role implies another")

# ---- who has which role on what


def _within(role: str) -> str:
    """Actor and target in the domain of the caller's token."""
    pairs = [
        f"(role:{role} and domain_id:%(target.{actor}.domain_id)s and domain_id:%({target})s)"
        for actor in ("user", "group")
        for target in ("target.project.domain_id", "target.domain.id")
    ]
    return f"({' or '.join(pairs)})"


_OWN_ROLE: Final = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"
_GRANTS: Final = f"({ADMIN}) or ({_within('admin')} and {_OWN_ROLE}) or ({_within('manager')} and {_MANAGED_ROLE})"
CHECK_GRANT = Rule(
    "identity:check_grant",
    f"({ADMIN}) or (({_SYSTEM_READER}) or {_within('reader')}) and {_OWN_ROLE}",
    "Check that somebody has a role",
)
LIST_GRANTS = Rule(
    "identity:list_grants",
    f"({ADMIN}) or ({_SYSTEM_READER}) or {_within('reader')}",
    "List the roles that somebody was given on a project or domain",
)
CREATE_GRANT = Rule("identity:create_grant", _GRANTS, "Give a role on a project or domain")
REVOKE_GRANT = Rule("identity:revoke_grant", _GRANTS, "Take a role on a project or domain away")
LIST_SYSTEM_GRANTS_FOR_USER = _rule(
    "identity:list_system_grants_for_user", _ADMIN_OR_SYSTEM_READER, "List a user's roles on the system"
)
CHECK_SYSTEM_GRANT_FOR_USER = _rule(
    "identity:check_system_grant_for_user", _ADMIN_OR_SYSTEM_READER, "Check that a user has a role on the system"
)
CREATE_SYSTEM_GRANT_FOR_USER = _rule("identity:create_system_grant_for_user", ADMIN, "Give a user a role on the system")
REVOKE_SYSTEM_GRANT_FOR_USER = _rule(
    "identity:revoke_system_grant_for_user", ADMIN, "Take a role on the system from a user"
)
LIST_SYSTEM_GRANTS_FOR_GROUP = _rule(
    "identity:list_system_grants_for_group", _ADMIN_OR_SYSTEM_READER, "List a group's roles on the system"
)
CHECK_SYSTEM_GRANT_FOR_GROUP = _rule(
    "identity:check_system_grant_for_group", _ADMIN_OR_SYSTEM_READER, "Check that a group has a role on the system"
)
CREATE_SYSTEM_GRANT_FOR_GROUP = _rule(
    "identity:create_system_grant_for_group", ADMIN, "Give a group a role on the system"
)
REVOKE_SYSTEM_GRANT_FOR_GROUP = _rule(
    "identity:revoke_system_grant_for_group", ADMIN, "Take a role on the system from a group"
)
_READS_ASSIGNMENTS: Final = _or(ADMIN, _SYSTEM_READER, "role:reader and domain_id:%(target.domain_id)s")
LIST_ROLE_ASSIGNMENTS = Rule("identity:list_role_assignments", _READS_ASSIGNMENTS, "List who has which role on what")
LIST_ROLE_ASSIGNMENTS_FOR_TREE = Rule(
    "identity:list_role_assignments_for_tree",
    _READS_ASSIGNMENTS,
    "List who has which role on a project and those below it",
)

# ---- tokens
CHECK_TOKEN = Rule("identity:check_token", _or(ADMIN, _SYSTEM_READER, _SUBJECT), "Check a token")
VALIDATE_TOKEN = Rule("identity:validate_token", _or(ADMIN, _SYSTEM_READER, "role:service", _SUBJECT), "Show a token")
REVOKE_TOKEN = Rule("identity:revoke_token", _or(ADMIN, _SUBJECT), "Take a token back")
GET_AUTH_CATALOG = Rule("identity:get_auth_catalog", ANYBODY, "Show the catalogue")
GET_AUTH_PROJECTS = Rule("identity:get_auth_projects", ANYBODY, "List the projects that a token can be had for")
GET_AUTH_DOMAINS = Rule("identity:get_auth_domains", ANYBODY, "List the domains that a token can be had for")
GET_AUTH_SYSTEM = Rule("identity:get_auth_system", ANYBODY, "Tell whether a token can be had for the system")

# ---- catalogue
GET_REGION = Rule("identity:get_region", ANYBODY, "Show a region")
LIST_REGIONS = Rule("identity:list_regions", ANYBODY, "List regions")
CREATE_REGION = _rule("identity:create_region", ADMIN, "Create a region")
UPDATE_REGION = _rule("identity:update_region", ADMIN, "Change a region")
DELETE_REGION = _rule("identity:delete_region", ADMIN, "Delete a region")
GET_SERVICE = _rule("identity:get_service", _ADMIN_OR_SYSTEM_READER, "Show a service")
LIST_SERVICES = _rule("identity:list_services", _ADMIN_OR_SYSTEM_READER, "List services")
CREATE_SERVICE = _rule("identity:create_service", ADMIN, "Create a service")
UPDATE_SERVICE = _rule("identity:update_service", ADMIN, "Change a service")
DELETE_SERVICE = _rule("identity:delete_service", ADMIN, "Delete a service")
GET_ENDPOINT = _rule("identity:get_endpoint", _ADMIN_OR_SYSTEM_READER, "Show an endpoint")
LIST_ENDPOINTS = _rule("identity:list_endpoints", _ADMIN_OR_SYSTEM_READER, "List endpoints")
CREATE_ENDPOINT = _rule("identity:create_endpoint", ADMIN, "Create an endpoint")
UPDATE_ENDPOINT = _rule("identity:update_endpoint", ADMIN, "Change an endpoint")
DELETE_ENDPOINT = _rule("identity:delete_endpoint", ADMIN, "Delete an endpoint")

# ---- application credentials
GET_APPLICATION_CREDENTIAL = _rule(
    "identity:get_application_credential", _or(ADMIN, _SYSTEM_READER, _OWNER), "Show an application credential"
)
LIST_APPLICATION_CREDENTIALS = _rule(
    "identity:list_application_credentials",
    _or(ADMIN, _SYSTEM_READER, _OWNER),
    "List a user's application credentials",
)
CREATE_APPLICATION_CREDENTIAL = _rule(
    "identity:create_application_credential", _OWNER, "Create an application credential", OF_PROJECTS
)
DELETE_APPLICATION_CREDENTIAL = _rule(
    "identity:delete_application_credential", _or(ADMIN, _OWNER), "Delete an application credential"
)

# ---- what is kept for others
_OWN_CREDENTIAL: Final = "user_id:%(target.credential.user_id)s"
GET_CREDENTIAL = Rule("identity:get_credential", _or(ADMIN, _SYSTEM_READER, _OWN_CREDENTIAL), "Show a credential")
LIST_CREDENTIALS = Rule("identity:list_credentials", _or(ADMIN, _SYSTEM_READER, _OWN_CREDENTIAL), "List credentials")
CREATE_CREDENTIAL = Rule("identity:create_credential", _or(ADMIN, _OWN_CREDENTIAL), "Create a credential")
UPDATE_CREDENTIAL = Rule("identity:update_credential", _or(ADMIN, _OWN_CREDENTIAL), "Change a credential")
DELETE_CREDENTIAL = Rule("identity:delete_credential", _or(ADMIN, _OWN_CREDENTIAL), "Delete a credential")
GET_POLICY = _rule("identity:get_policy", _ADMIN_OR_SYSTEM_READER, "Show a policy")
LIST_POLICIES = _rule("identity:list_policies", _ADMIN_OR_SYSTEM_READER, "List policies")
CREATE_POLICY = _rule("identity:create_policy", ADMIN, "Create a policy")
UPDATE_POLICY = _rule("identity:update_policy", ADMIN, "Change a policy")
DELETE_POLICY = _rule("identity:delete_policy", ADMIN, "Delete a policy")

MORE: Final = (
    GET_DOMAIN_ROLE,
    LIST_DOMAIN_ROLES,
    CREATE_DOMAIN_ROLE,
    UPDATE_DOMAIN_ROLE,
    DELETE_DOMAIN_ROLE,
    LIST_ROLE_ASSIGNMENTS_FOR_TREE,
)
"""Rules that handlers ask about, besides that of their operation."""
