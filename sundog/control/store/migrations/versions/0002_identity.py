"""Identity."""

import sqlalchemy as sa
from alembic import op

from sundog.control.store import tables

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables of identity."""
    op.create_table(
        "identity_policies",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("type", tables.Text(), nullable=False),
        sa.Column("blob", tables.Text(), nullable=False),
        sa.Column("extra", tables.Json(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_policies")),
    )
    op.create_table(
        "identity_projects",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("domain_id", tables.Id(), nullable=False),
        sa.Column("parent_id", tables.Id(), nullable=True),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("is_domain", sa.Boolean(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("description", tables.Text(), nullable=False),
        sa.Column("options", tables.Json(), nullable=False),
        sa.Column("extra", tables.Json(), nullable=False),
        sa.ForeignKeyConstraint(["parent_id"], ["identity_projects.id"], name=op.f("fk_identity_projects_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_projects")),
        sa.UniqueConstraint("domain_id", "name", name=op.f("uq_identity_projects_domain_id_name")),
    )
    op.create_index(op.f("ix_identity_projects_parent_id"), "identity_projects", ["parent_id"], unique=False)
    op.create_table(
        "identity_regions",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("parent_region_id", tables.Id(), nullable=True),
        sa.Column("description", tables.Text(), nullable=False),
        sa.Column("extra", tables.Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_region_id"], ["identity_regions.id"], name=op.f("fk_identity_regions_parent_region_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_regions")),
    )
    op.create_index(
        op.f("ix_identity_regions_parent_region_id"), "identity_regions", ["parent_region_id"], unique=False
    )
    op.create_table(
        "identity_revoked_tokens",
        sa.Column("audit_id", tables.Text(), nullable=False),
        sa.Column("expires_at", tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_identity_revoked_tokens")),
    )
    op.create_index(
        op.f("ix_identity_revoked_tokens_expires_at"), "identity_revoked_tokens", ["expires_at"], unique=False
    )
    op.create_table(
        "identity_roles",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("domain_id", tables.Id(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("description", tables.Text(), nullable=True),
        sa.Column("options", tables.Json(), nullable=False),
        sa.Column("extra", tables.Json(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_roles")),
        sa.UniqueConstraint("domain_id", "name", name=op.f("uq_identity_roles_domain_id_name")),
    )
    op.create_table(
        "identity_services",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("type", tables.Text(), nullable=False),
        sa.Column("name", tables.Text(), nullable=True),
        sa.Column("description", tables.Text(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("extra", tables.Json(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_services")),
    )
    op.create_table(
        "identity_state",
        sa.Column("key", tables.Text(), nullable=False),
        sa.Column("value", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_identity_state")),
    )
    op.create_table(
        "identity_token_keys",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("secret", tables.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_identity_token_keys")),
    )
    op.create_table(
        "identity_assignments",
        sa.Column("actor_kind", tables.Text(), nullable=False),
        sa.Column("actor_id", tables.Id(), nullable=False),
        sa.Column("target_kind", tables.Text(), nullable=False),
        sa.Column("target_id", tables.Id(), nullable=False),
        sa.Column("role_id", tables.Id(), nullable=False),
        sa.Column("inherited", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["role_id"], ["identity_roles.id"], name=op.f("fk_identity_assignments_role_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint(
            "actor_kind",
            "actor_id",
            "target_kind",
            "target_id",
            "role_id",
            "inherited",
            name=op.f("pk_identity_assignments"),
        ),
    )
    op.create_index(op.f("ix_identity_assignments_role_id"), "identity_assignments", ["role_id"], unique=False)
    op.create_table(
        "identity_endpoints",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("service_id", tables.Id(), nullable=False),
        sa.Column("region_id", tables.Id(), nullable=True),
        sa.Column("interface", tables.Text(), nullable=False),
        sa.Column("url", tables.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("extra", tables.Json(), nullable=False),
        sa.ForeignKeyConstraint(["region_id"], ["identity_regions.id"], name=op.f("fk_identity_endpoints_region_id")),
        sa.ForeignKeyConstraint(
            ["service_id"], ["identity_services.id"], name=op.f("fk_identity_endpoints_service_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_endpoints")),
    )
    op.create_index(op.f("ix_identity_endpoints_region_id"), "identity_endpoints", ["region_id"], unique=False)
    op.create_index(op.f("ix_identity_endpoints_service_id"), "identity_endpoints", ["service_id"], unique=False)
    op.create_table(
        "identity_groups",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("domain_id", tables.Id(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("description", tables.Text(), nullable=False),
        sa.Column("extra", tables.Json(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["identity_projects.id"], name=op.f("fk_identity_groups_domain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_groups")),
        sa.UniqueConstraint("domain_id", "name", name=op.f("uq_identity_groups_domain_id_name")),
    )
    op.create_table(
        "identity_implied_roles",
        sa.Column("prior_id", tables.Id(), nullable=False),
        sa.Column("implied_id", tables.Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["implied_id"], ["identity_roles.id"], name=op.f("fk_identity_implied_roles_implied_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["prior_id"], ["identity_roles.id"], name=op.f("fk_identity_implied_roles_prior_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("prior_id", "implied_id", name=op.f("pk_identity_implied_roles")),
    )
    op.create_index(
        op.f("ix_identity_implied_roles_implied_id"), "identity_implied_roles", ["implied_id"], unique=False
    )
    op.create_table(
        "identity_project_tags",
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["identity_projects.id"],
            name=op.f("fk_identity_project_tags_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", "name", name=op.f("pk_identity_project_tags")),
    )
    op.create_table(
        "identity_users",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("domain_id", tables.Id(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("default_project_id", tables.Id(), nullable=True),
        sa.Column("description", tables.Text(), nullable=True),
        sa.Column("password_hash", tables.Text(), nullable=True),
        sa.Column("generation", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("options", tables.Json(), nullable=False),
        sa.Column("extra", tables.Json(), nullable=False),
        sa.ForeignKeyConstraint(["domain_id"], ["identity_projects.id"], name=op.f("fk_identity_users_domain_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_users")),
        sa.UniqueConstraint("domain_id", "name", name=op.f("uq_identity_users_domain_id_name")),
    )
    op.create_table(
        "identity_application_credentials",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("user_id", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("description", tables.Text(), nullable=True),
        sa.Column("secret_hash", tables.Text(), nullable=False),
        sa.Column("role_ids", tables.Json(), nullable=False),
        sa.Column("unrestricted", sa.Boolean(), nullable=False),
        sa.Column("expires_at", tables.UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["identity_projects.id"],
            name=op.f("fk_identity_application_credentials_project_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["identity_users.id"],
            name=op.f("fk_identity_application_credentials_user_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_application_credentials")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_identity_application_credentials_user_id_name")),
    )
    op.create_index(
        op.f("ix_identity_application_credentials_project_id"),
        "identity_application_credentials",
        ["project_id"],
        unique=False,
    )
    op.create_table(
        "identity_credentials",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("user_id", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=True),
        sa.Column("type", tables.Text(), nullable=False),
        sa.Column("blob", tables.Text(), nullable=False),
        sa.Column("extra", tables.Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_users.id"], name=op.f("fk_identity_credentials_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identity_credentials")),
    )
    op.create_index(op.f("ix_identity_credentials_user_id"), "identity_credentials", ["user_id"], unique=False)
    op.create_table(
        "identity_memberships",
        sa.Column("user_id", tables.Id(), nullable=False),
        sa.Column("group_id", tables.Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_id"], ["identity_groups.id"], name=op.f("fk_identity_memberships_group_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["identity_users.id"], name=op.f("fk_identity_memberships_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "group_id", name=op.f("pk_identity_memberships")),
    )
    op.create_index(op.f("ix_identity_memberships_group_id"), "identity_memberships", ["group_id"], unique=False)
