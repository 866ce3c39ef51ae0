"""Identity: domains and projects, users, groups, roles and who has them, the catalogue, and what tokens need."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Table, UniqueConstraint

from sundog.control.store.tables import Id, Int, Json, Text, UtcDateTime, metadata

projects = Table(
    "identity_projects",
    metadata,
    Column("id", Id, primary_key=True),
    # Empty for a domain, so that names of domains are unique among themselves.
    Column("domain_id", Id, nullable=False),
    Column("parent_id", Id, ForeignKey("identity_projects.id"), index=True),
    Column("name", Text, nullable=False),
    Column("is_domain", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("description", Text, nullable=False),
    Column("options", Json, nullable=False),
    Column("extra", Json, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

project_tags = Table(
    "identity_project_tags",
    metadata,
    Column("project_id", Id, ForeignKey("identity_projects.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
)

users = Table(
    "identity_users",
    metadata,
    Column("id", Id, primary_key=True),
    Column("domain_id", Id, ForeignKey("identity_projects.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("default_project_id", Id),
    Column("description", Text),
    Column("password_hash", Text),
    # Goes up whenever all tokens of the user are to become invalid.
    Column("generation", Int, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("options", Json, nullable=False),
    Column("extra", Json, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

groups = Table(
    "identity_groups",
    metadata,
    Column("id", Id, primary_key=True),
    Column("domain_id", Id, ForeignKey("identity_projects.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("extra", Json, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

memberships = Table(
    "identity_memberships",
    metadata,
    Column("user_id", Id, ForeignKey("identity_users.id", ondelete="CASCADE"), primary_key=True),
    Column("group_id", Id, ForeignKey("identity_groups.id", ondelete="CASCADE"), primary_key=True, index=True),
)

roles = Table(
    "identity_roles",
    metadata,
    Column("id", Id, primary_key=True),
    # Empty for a role of all domains.
    Column("domain_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("options", Json, nullable=False),
    Column("extra", Json, nullable=False),
    UniqueConstraint("domain_id", "name"),
)

implied_roles = Table(
    "identity_implied_roles",
    metadata,
    Column("prior_id", Id, ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True),
    Column("implied_id", Id, ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True, index=True),
)

assignments = Table(
    "identity_assignments",
    metadata,
    Column("actor_kind", Text, primary_key=True),  # user, group
    Column("actor_id", Id, primary_key=True),
    Column("target_kind", Text, primary_key=True),  # project, domain, system
    Column("target_id", Id, primary_key=True),  # empty for the system
    Column("role_id", Id, ForeignKey("identity_roles.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("inherited", Boolean, primary_key=True),  # for the projects below the target, and not for the target
)

application_credentials = Table(
    "identity_application_credentials",
    metadata,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False),
    Column("project_id", Id, ForeignKey("identity_projects.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("secret_hash", Text, nullable=False),
    Column("role_ids", Json, nullable=False),
    Column("unrestricted", Boolean, nullable=False),
    Column("expires_at", UtcDateTime),
    UniqueConstraint("user_id", "name"),
)

credentials = Table(
    "identity_credentials",
    metadata,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("identity_users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("project_id", Id),
    Column("type", Text, nullable=False),
    Column("blob", Text, nullable=False),
    Column("extra", Json, nullable=False),
)

policies = Table(
    "identity_policies",
    metadata,
    Column("id", Id, primary_key=True),
    Column("type", Text, nullable=False),
    Column("blob", Text, nullable=False),
    Column("extra", Json, nullable=False),
)

regions = Table(
    "identity_regions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("parent_region_id", Id, ForeignKey("identity_regions.id"), index=True),
    Column("description", Text, nullable=False),
    Column("extra", Json, nullable=False),
)

services = Table(
    "identity_services",
    metadata,
    Column("id", Id, primary_key=True),
    Column("type", Text, nullable=False),
    Column("name", Text),
    Column("description", Text),
    Column("enabled", Boolean, nullable=False),
    Column("extra", Json, nullable=False),
)

endpoints = Table(
    "identity_endpoints",
    metadata,
    Column("id", Id, primary_key=True),
    Column("service_id", Id, ForeignKey("identity_services.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("region_id", Id, ForeignKey("identity_regions.id"), index=True),
    Column("interface", Text, nullable=False),  # public, internal, admin
    Column("url", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("extra", Json, nullable=False),
)

revoked_tokens = Table(
    "identity_revoked_tokens",
    metadata,
    Column("audit_id", Text, primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

token_keys = Table(
    "identity_token_keys",
    metadata,
    # 0 is the staged key; of the others the highest is the primary.
    Column("number", Int, primary_key=True, autoincrement=False),
    Column("secret", Text, nullable=False),
)

state = Table(
    "identity_state",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", Int, nullable=False),
)
