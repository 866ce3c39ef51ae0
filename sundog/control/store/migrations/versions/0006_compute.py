"""Compute."""

import sqlalchemy as sa
from alembic import op

from sundog.control.store import tables

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables of compute."""
    op.create_table(
        "compute_aggregates",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uuid", tables.Id(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("metadata", tables.Json(), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_compute_aggregates")),
        sa.UniqueConstraint("name", name=op.f("uq_compute_aggregates_name")),
        sa.UniqueConstraint("uuid", name=op.f("uq_compute_aggregates_uuid")),
    )
    op.create_table(
        "compute_flavors",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", tables.Text(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("description", tables.Text(), nullable=True),
        sa.Column("vcpus", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("memory_mb", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("root_gb", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("ephemeral_gb", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("swap_mb", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rxtx_factor", sa.Double(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("extra_specs", tables.Json(), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_compute_flavors")),
        sa.UniqueConstraint("id", name=op.f("uq_compute_flavors_id")),
        sa.UniqueConstraint("name", name=op.f("uq_compute_flavors_name")),
    )
    op.create_table(
        "compute_hosts",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uuid", tables.Id(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("service_id", tables.Id(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", tables.Text(), nullable=True),
        sa.Column("forced_down", sa.Boolean(), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_compute_hosts")),
        sa.UniqueConstraint("name", name=op.f("uq_compute_hosts_name")),
        sa.UniqueConstraint("service_id", name=op.f("uq_compute_hosts_service_id")),
        sa.UniqueConstraint("uuid", name=op.f("uq_compute_hosts_uuid")),
    )
    op.create_table(
        "compute_keypairs",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("user_id", tables.Id(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("type", tables.Text(), nullable=False),
        sa.Column("public_key", tables.Text(), nullable=False),
        sa.Column("fingerprint", tables.Text(), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_compute_keypairs")),
        sa.UniqueConstraint("user_id", "name", name=op.f("uq_compute_keypairs_user_id_name")),
    )
    op.create_table(
        "compute_quota_classes",
        sa.Column("class_name", tables.Text(), nullable=False),
        sa.Column("resource", tables.Text(), nullable=False),
        sa.Column("most", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("class_name", "resource", name=op.f("pk_compute_quota_classes")),
    )
    op.create_table(
        "compute_quotas",
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("user_id", tables.Id(), nullable=False),
        sa.Column("resource", tables.Text(), nullable=False),
        sa.Column("most", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "user_id", "resource", name=op.f("pk_compute_quotas")),
    )
    op.create_table(
        "compute_server_groups",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("user_id", tables.Id(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("policy", tables.Text(), nullable=False),
        sa.Column("max_server_per_host", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_compute_server_groups")),
        sa.UniqueConstraint("id", name=op.f("uq_compute_server_groups_id")),
    )
    with op.batch_alter_table("compute_server_groups", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_compute_server_groups_project_id"), ["project_id"], unique=False)

    op.create_table(
        "compute_servers",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("user_id", tables.Id(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("hostname", tables.Text(), nullable=False),
        sa.Column("description", tables.Text(), nullable=True),
        sa.Column("reservation_id", tables.Text(), nullable=False),
        sa.Column("launch_index", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("vm_state", tables.Text(), nullable=False),
        sa.Column("task_state", tables.Text(), nullable=True),
        sa.Column("power_state", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("progress", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("locked_by", tables.Text(), nullable=True),
        sa.Column("locked_reason", tables.Text(), nullable=True),
        sa.Column("fault", tables.Json(), nullable=True),
        sa.Column("host", tables.Id(), nullable=True),
        sa.Column("generation", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("availability_zone", tables.Text(), nullable=True),
        sa.Column("group_id", tables.Id(), nullable=True),
        sa.Column("hints", tables.Json(), nullable=False),
        sa.Column("flavor", tables.Json(), nullable=False),
        sa.Column("vcpus", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("memory_mb", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("image_id", tables.Text(), nullable=True),
        sa.Column("image", tables.Json(), nullable=False),
        sa.Column("key_name", tables.Text(), nullable=True),
        sa.Column("key", tables.Json(), nullable=True),
        sa.Column("user_data", tables.Text(), nullable=True),
        sa.Column("config_drive", sa.Boolean(), nullable=False),
        sa.Column("disk_config", tables.Text(), nullable=False),
        sa.Column("root_device_name", tables.Text(), nullable=False),
        sa.Column("access_ip_v4", tables.Text(), nullable=True),
        sa.Column("access_ip_v6", tables.Text(), nullable=True),
        sa.Column("metadata", tables.Json(), nullable=False),
        sa.Column("trusted_certs", tables.Json(), nullable=True),
        sa.Column("kept", tables.Json(), nullable=True),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.Column("launched_at", tables.UtcDateTime(), nullable=True),
        sa.Column("terminated_at", tables.UtcDateTime(), nullable=True),
        sa.Column("deleted_at", tables.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_compute_servers")),
        sa.UniqueConstraint("id", name=op.f("uq_compute_servers_id")),
    )
    with op.batch_alter_table("compute_servers", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_compute_servers_deleted_at_created_at"), ["deleted_at", "created_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_compute_servers_group_id"), ["group_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_compute_servers_host"), ["host"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_compute_servers_project_id_deleted_at_user_id_vcpus_memory_mb"),
            ["project_id", "deleted_at", "user_id", "vcpus", "memory_mb"],
            unique=False,
        )

    op.create_table(
        "compute_actions",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("server_id", tables.Id(), nullable=False),
        sa.Column("request_id", tables.Text(), nullable=False),
        sa.Column("action", tables.Text(), nullable=False),
        sa.Column("user_id", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("message", tables.Text(), nullable=True),
        sa.Column("started_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.Column("finished_at", tables.UtcDateTime(), nullable=True),
        sa.Column("args", tables.Json(), nullable=False),
        sa.Column("phase", tables.Text(), nullable=False),
        sa.ForeignKeyConstraint(["server_id"], ["compute_servers.id"], name=op.f("fk_compute_actions_server_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_compute_actions")),
    )
    with op.batch_alter_table("compute_actions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_compute_actions_phase"), ["phase"], unique=False)
        batch_op.create_index(batch_op.f("ix_compute_actions_server_id"), ["server_id"], unique=False)

    op.create_table(
        "compute_aggregate_hosts",
        sa.Column("aggregate_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("host_uuid", tables.Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["aggregate_number"],
            ["compute_aggregates.number"],
            name=op.f("fk_compute_aggregate_hosts_aggregate_number"),
        ),
        sa.ForeignKeyConstraint(
            ["host_uuid"], ["compute_hosts.uuid"], name=op.f("fk_compute_aggregate_hosts_host_uuid")
        ),
        sa.PrimaryKeyConstraint("aggregate_number", "host_uuid", name=op.f("pk_compute_aggregate_hosts")),
    )
    op.create_table(
        "compute_flavor_access",
        sa.Column("flavor_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["flavor_number"], ["compute_flavors.number"], name=op.f("fk_compute_flavor_access_flavor_number")
        ),
        sa.PrimaryKeyConstraint("flavor_number", "project_id", name=op.f("pk_compute_flavor_access")),
    )
    op.create_table(
        "compute_migrations",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("uuid", tables.Id(), nullable=False),
        sa.Column("server_id", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("user_id", tables.Id(), nullable=False),
        sa.Column("type", tables.Text(), nullable=False),
        sa.Column("status", tables.Text(), nullable=False),
        sa.Column("source", tables.Id(), nullable=False),
        sa.Column("target", tables.Id(), nullable=True),
        sa.Column("source_generation", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("target_generation", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("old_flavor", tables.Json(), nullable=False),
        sa.Column("new_flavor", tables.Json(), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["server_id"], ["compute_servers.id"], name=op.f("fk_compute_migrations_server_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_compute_migrations")),
        sa.UniqueConstraint("uuid", name=op.f("uq_compute_migrations_uuid")),
    )
    with op.batch_alter_table("compute_migrations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_compute_migrations_server_id"), ["server_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_compute_migrations_status"), ["status"], unique=False)

    op.create_table(
        "compute_server_tags",
        sa.Column("server_id", tables.Id(), nullable=False),
        sa.Column("tag", tables.Text(), nullable=False),
        sa.ForeignKeyConstraint(["server_id"], ["compute_servers.id"], name=op.f("fk_compute_server_tags_server_id")),
        sa.PrimaryKeyConstraint("server_id", "tag", name=op.f("pk_compute_server_tags")),
    )
    op.create_table(
        "compute_action_events",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("action_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("host", tables.Id(), nullable=True),
        sa.Column("started_at", tables.UtcDateTime(), nullable=False),
        sa.Column("finished_at", tables.UtcDateTime(), nullable=True),
        sa.Column("result", tables.Text(), nullable=True),
        sa.Column("details", tables.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["action_number"], ["compute_actions.number"], name=op.f("fk_compute_action_events_action_number")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_compute_action_events")),
    )
    with op.batch_alter_table("compute_action_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_compute_action_events_action_number"), ["action_number"], unique=False)
