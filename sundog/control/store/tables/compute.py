"""Flavors, keypairs, groups and aggregates; hosts; servers, and what was asked of them."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, Table, UniqueConstraint

from sundog.control.store.tables import Id, Int, Json, Text, UtcDateTime, metadata

# ---------------------------------------------------------------- what servers are made of

flavors = Table(
    "compute_flavors",
    metadata,
    Column("number", Int, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("description", Text),
    Column("vcpus", Int, nullable=False),
    Column("memory_mb", Int, nullable=False),
    Column("root_gb", Int, nullable=False),
    Column("ephemeral_gb", Int, nullable=False),
    Column("swap_mb", Int, nullable=False),
    Column("rxtx_factor", Double, nullable=False),
    Column("is_public", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("extra_specs", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime),
)

flavor_access = Table(
    "compute_flavor_access",
    metadata,
    Column("flavor_number", Int, ForeignKey("compute_flavors.number"), primary_key=True),
    Column("project_id", Id, primary_key=True),
)

keypairs = Table(
    "compute_keypairs",
    metadata,
    Column("number", Int, primary_key=True),
    Column("user_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),  # ssh, x509
    Column("public_key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("user_id", "name"),
)

server_groups = Table(
    "compute_server_groups",
    metadata,
    Column("number", Int, primary_key=True),
    Column("id", Id, nullable=False, unique=True),
    Column("project_id", Id, nullable=False, index=True),
    Column("user_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("policy", Text, nullable=False),
    Column("max_server_per_host", Int),
    Column("created_at", UtcDateTime, nullable=False),
)

quotas = Table(
    "compute_quotas",
    metadata,
    Column("project_id", Id, primary_key=True),
    Column("user_id", Id, primary_key=True),  # empty for the project's own
    Column("resource", Text, primary_key=True),
    Column("most", Int, nullable=False),
)

quota_classes = Table(
    "compute_quota_classes",
    metadata,
    Column("class_name", Text, primary_key=True),
    Column("resource", Text, primary_key=True),
    Column("most", Int, nullable=False),
)

# ---------------------------------------------------------------- where they are

# A host's uuid is the driver's and its resource provider's. Its numbers are those that Nova's old versions tell.
hosts = Table(
    "compute_hosts",
    metadata,
    Column("number", Int, primary_key=True),
    Column("uuid", Id, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("service_id", Id, nullable=False, unique=True),
    Column("disabled", Boolean, nullable=False),
    Column("disabled_reason", Text),
    Column("forced_down", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

aggregates = Table(
    "compute_aggregates",
    metadata,
    Column("number", Int, primary_key=True),
    Column("uuid", Id, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("metadata", Json, nullable=False),  # availability_zone among it
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime),
)

aggregate_hosts = Table(
    "compute_aggregate_hosts",
    metadata,
    Column("aggregate_number", Int, ForeignKey("compute_aggregates.number"), primary_key=True),
    Column("host_uuid", Id, ForeignKey("compute_hosts.uuid"), primary_key=True),
)

# ---------------------------------------------------------------- servers

# A deleted server stays, with its time of deletion: its usage, actions and migrations can still be asked for.
servers = Table(
    "compute_servers",
    metadata,
    Column("number", Int, primary_key=True),
    Column("id", Id, nullable=False, unique=True),
    Column("project_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("name", Text, nullable=False),
    Column("hostname", Text, nullable=False),
    Column("description", Text),
    Column("reservation_id", Text, nullable=False),
    Column("launch_index", Int, nullable=False),
    # state
    Column("vm_state", Text, nullable=False),
    Column("task_state", Text),
    Column("power_state", Int, nullable=False),
    Column("progress", Int, nullable=False),
    Column("locked_by", Text),  # owner, admin
    Column("locked_reason", Text),
    Column("fault", Json),  # code, message, details, created
    # place
    Column("host", Id, index=True),  # the uuid of the host that it is on, or was last on
    Column("generation", Int, nullable=False),  # of its newest copy
    Column("availability_zone", Text),  # the one asked for
    Column("group_id", Id, index=True),
    Column("hints", Json, nullable=False),
    # what it is made of
    Column("flavor", Json, nullable=False),
    Column("vcpus", Int, nullable=False),  # of the flavor, as is memory_mb: to be summed for quotas
    Column("memory_mb", Int, nullable=False),
    Column("image_id", Text),
    Column("image", Json, nullable=False),  # size, format and properties of the image that it was made from
    Column("key_name", Text),
    Column("key", Json),  # type and public key, as they were then
    Column("user_data", Text),  # base 64
    Column("config_drive", Boolean, nullable=False),
    Column("disk_config", Text, nullable=False),  # AUTO, MANUAL
    Column("root_device_name", Text, nullable=False),
    Column("access_ip_v4", Text),
    Column("access_ip_v6", Text),
    Column("metadata", Json, nullable=False),
    Column("trusted_certs", Json),
    # what a resize, a rescue or a shelving keeps for later
    Column("kept", Json),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("launched_at", UtcDateTime),
    Column("terminated_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
)

# With all that quotas count, so that counting reads no rows.
Index(None, servers.c.project_id, servers.c.deleted_at, servers.c.user_id, servers.c.vcpus, servers.c.memory_mb)
Index(None, servers.c.deleted_at, servers.c.created_at)

server_tags = Table(
    "compute_server_tags",
    metadata,
    Column("server_id", Id, ForeignKey("compute_servers.id"), primary_key=True),
    Column("tag", Text, primary_key=True),
)

# What was asked of a server: Nova's instance actions. One that is not finished has a saga under way, which goes on
# when the control plane is started again.
actions = Table(
    "compute_actions",
    metadata,
    Column("number", Int, primary_key=True),
    Column("server_id", Id, ForeignKey("compute_servers.id"), nullable=False, index=True),
    Column("request_id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("project_id", Id, nullable=False),
    Column("message", Text),
    Column("started_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("args", Json, nullable=False),  # what its saga must know to go on
    Column("phase", Text, nullable=False),  # doing, undoing, done
)

Index(None, actions.c.phase)

action_events = Table(
    "compute_action_events",
    metadata,
    Column("number", Int, primary_key=True),
    Column("action_number", Int, ForeignKey("compute_actions.number"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("host", Id),
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("result", Text),  # Success, Error
    Column("details", Text),
)

migrations = Table(
    "compute_migrations",
    metadata,
    Column("number", Int, primary_key=True),
    Column("uuid", Id, nullable=False, unique=True),  # the consumer of what the source still holds
    Column("server_id", Id, ForeignKey("compute_servers.id"), nullable=False, index=True),
    Column("project_id", Id, nullable=False),
    Column("user_id", Id, nullable=False),
    Column("type", Text, nullable=False),  # resize, migration, live-migration, evacuation
    Column("status", Text, nullable=False, index=True),
    Column("source", Id, nullable=False),
    Column("target", Id),
    Column("source_generation", Int, nullable=False),
    Column("target_generation", Int, nullable=False),
    Column("old_flavor", Json, nullable=False),
    Column("new_flavor", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
)

# Who knows a token may open a console of a server once. Whatever ends that copy's run deletes its tokens.
console_tokens = Table(
    "compute_console_tokens",
    metadata,
    Column("token_hash", Text, primary_key=True),  # SHA-256; the token itself is kept nowhere
    Column("server_id", Id, ForeignKey("compute_servers.id"), nullable=False, index=True),
    Column("host", Id, nullable=False),
    Column("generation", Int, nullable=False),
    Column("type", Text, nullable=False),  # serial, novnc, spice-html5
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

nic_tags = Table(
    "compute_nic_tags",
    metadata,
    Column("port_id", Id, ForeignKey("network_ports.id", ondelete="CASCADE"), primary_key=True),
    Column("server_id", Id, nullable=False, index=True),  # a port that was given to another has no tag there
    Column("tag", Text, nullable=False),
)
