"""Networks."""

import sqlalchemy as sa
from alembic import op

from sundog.control.store import tables

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables of the network."""
    op.create_table(
        "network_networks",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("description", tables.Text(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("revision_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("external", sa.Boolean(), nullable=False),
        sa.Column("mtu", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("port_security_enabled", sa.Boolean(), nullable=False),
        sa.Column("network_type", tables.Text(), nullable=False),
        sa.Column("physical_network", tables.Text(), nullable=True),
        sa.Column("segmentation_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_networks")),
    )
    op.create_index(op.f("ix_network_networks_project_id"), "network_networks", ["project_id"], unique=False)
    op.create_table(
        "network_quotas",
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("resource", tables.Text(), nullable=False),
        sa.Column("most", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("project_id", "resource", name=op.f("pk_network_quotas")),
    )
    op.create_table(
        "network_security_groups",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("description", tables.Text(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("revision_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("stateful", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_security_groups")),
    )
    op.create_index(
        op.f("ix_network_security_groups_project_id"), "network_security_groups", ["project_id"], unique=False
    )
    op.create_table(
        "network_subnet_pools",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("description", tables.Text(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("revision_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("ip_version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("prefixes", tables.Json(), nullable=False),
        sa.Column("default_prefixlen", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("min_prefixlen", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("max_prefixlen", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("default_quota", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_subnet_pools")),
    )
    op.create_index(op.f("ix_network_subnet_pools_project_id"), "network_subnet_pools", ["project_id"], unique=False)
    op.create_table(
        "network_default_groups",
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("security_group_id", tables.Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["security_group_id"],
            ["network_security_groups.id"],
            name=op.f("fk_network_default_groups_security_group_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("project_id", name=op.f("pk_network_default_groups")),
        sa.UniqueConstraint("security_group_id", name=op.f("uq_network_default_groups_security_group_id")),
    )
    op.create_table(
        "network_ports",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("description", tables.Text(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("revision_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("network_id", tables.Id(), nullable=False),
        sa.Column("mac_address", tables.Text(), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("status", tables.Text(), nullable=False),
        sa.Column("device_id", tables.Text(), nullable=False),
        sa.Column("device_owner", tables.Text(), nullable=False),
        sa.Column("port_security_enabled", sa.Boolean(), nullable=False),
        sa.Column("allowed_address_pairs", tables.Json(), nullable=False),
        sa.Column("extra_dhcp_opts", tables.Json(), nullable=False),
        sa.Column("host_id", tables.Text(), nullable=False),
        sa.Column("vnic_type", tables.Text(), nullable=False),
        sa.Column("profile", tables.Json(), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["network_networks.id"], name=op.f("fk_network_ports_network_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_ports")),
        sa.UniqueConstraint("network_id", "mac_address", name=op.f("uq_network_ports_network_id_mac_address")),
    )
    op.create_index(op.f("ix_network_ports_device_id"), "network_ports", ["device_id"], unique=False)
    op.create_index(op.f("ix_network_ports_project_id"), "network_ports", ["project_id"], unique=False)
    op.create_table(
        "network_security_group_rules",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("description", tables.Text(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("revision_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.Column("security_group_id", tables.Id(), nullable=False),
        sa.Column("direction", tables.Text(), nullable=False),
        sa.Column("ethertype", tables.Text(), nullable=False),
        sa.Column("protocol", tables.Text(), nullable=True),
        sa.Column("port_range_min", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("port_range_max", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("remote_ip_prefix", tables.Text(), nullable=True),
        sa.Column("remote_group_id", tables.Id(), nullable=True),
        sa.ForeignKeyConstraint(
            ["remote_group_id"],
            ["network_security_groups.id"],
            name=op.f("fk_network_security_group_rules_remote_group_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["security_group_id"],
            ["network_security_groups.id"],
            name=op.f("fk_network_security_group_rules_security_group_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_security_group_rules")),
    )
    op.create_index(
        op.f("ix_network_security_group_rules_project_id"), "network_security_group_rules", ["project_id"], unique=False
    )
    op.create_index(
        op.f("ix_network_security_group_rules_remote_group_id"),
        "network_security_group_rules",
        ["remote_group_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_network_security_group_rules_security_group_id"),
        "network_security_group_rules",
        ["security_group_id"],
        unique=False,
    )
    op.create_table(
        "network_subnets",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("description", tables.Text(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("revision_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("network_id", tables.Id(), nullable=False),
        sa.Column("subnetpool_id", tables.Id(), nullable=True),
        sa.Column("ip_version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("cidr", tables.Text(), nullable=False),
        sa.Column("gateway_ip", tables.Text(), nullable=True),
        sa.Column("enable_dhcp", sa.Boolean(), nullable=False),
        sa.Column("ipv6_ra_mode", tables.Text(), nullable=True),
        sa.Column("ipv6_address_mode", tables.Text(), nullable=True),
        sa.Column("dns_nameservers", tables.Json(), nullable=False),
        sa.Column("host_routes", tables.Json(), nullable=False),
        sa.Column("allocation_pools", tables.Json(), nullable=False),
        sa.ForeignKeyConstraint(["network_id"], ["network_networks.id"], name=op.f("fk_network_subnets_network_id")),
        sa.ForeignKeyConstraint(
            ["subnetpool_id"], ["network_subnet_pools.id"], name=op.f("fk_network_subnets_subnetpool_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_subnets")),
    )
    op.create_index(op.f("ix_network_subnets_network_id"), "network_subnets", ["network_id"], unique=False)
    op.create_index(op.f("ix_network_subnets_project_id"), "network_subnets", ["project_id"], unique=False)
    op.create_index(op.f("ix_network_subnets_subnetpool_id"), "network_subnets", ["subnetpool_id"], unique=False)
    op.create_table(
        "network_addresses",
        sa.Column("subnet_id", tables.Id(), nullable=False),
        sa.Column("ip_address", tables.Text(), nullable=False),
        sa.Column("port_id", tables.Id(), nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["port_id"], ["network_ports.id"], name=op.f("fk_network_addresses_port_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["subnet_id"], ["network_subnets.id"], name=op.f("fk_network_addresses_subnet_id")),
        sa.PrimaryKeyConstraint("subnet_id", "ip_address", name=op.f("pk_network_addresses")),
    )
    op.create_index(op.f("ix_network_addresses_port_id"), "network_addresses", ["port_id"], unique=False)
    op.create_table(
        "network_free_addresses",
        sa.Column("subnet_id", tables.Id(), nullable=False),
        sa.Column("spans", tables.Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subnet_id"], ["network_subnets.id"], name=op.f("fk_network_free_addresses_subnet_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("subnet_id", name=op.f("pk_network_free_addresses")),
    )
    op.create_table(
        "network_port_groups",
        sa.Column("port_id", tables.Id(), nullable=False),
        sa.Column("security_group_id", tables.Id(), nullable=False),
        sa.ForeignKeyConstraint(
            ["port_id"], ["network_ports.id"], name=op.f("fk_network_port_groups_port_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["security_group_id"], ["network_security_groups.id"], name=op.f("fk_network_port_groups_security_group_id")
        ),
        sa.PrimaryKeyConstraint("port_id", "security_group_id", name=op.f("pk_network_port_groups")),
    )
    op.create_index(
        op.f("ix_network_port_groups_security_group_id"), "network_port_groups", ["security_group_id"], unique=False
    )
    op.create_table(
        "network_routers",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("description", tables.Text(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("revision_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.Column("name", tables.Text(), nullable=False),
        sa.Column("admin_state_up", sa.Boolean(), nullable=False),
        sa.Column("gateway_port_id", tables.Id(), nullable=True),
        sa.Column("enable_snat", sa.Boolean(), nullable=False),
        sa.Column("routes", tables.Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["gateway_port_id"], ["network_ports.id"], name=op.f("fk_network_routers_gateway_port_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_routers")),
        sa.UniqueConstraint("gateway_port_id", name=op.f("uq_network_routers_gateway_port_id")),
    )
    op.create_index(op.f("ix_network_routers_project_id"), "network_routers", ["project_id"], unique=False)
    op.create_table(
        "network_floating_ips",
        sa.Column("id", tables.Id(), nullable=False),
        sa.Column("project_id", tables.Id(), nullable=False),
        sa.Column("description", tables.Text(), nullable=False),
        sa.Column("tags", tables.Json(), nullable=False),
        sa.Column("revision_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", tables.UtcDateTime(), nullable=False),
        sa.Column("updated_at", tables.UtcDateTime(), nullable=False),
        sa.Column("floating_network_id", tables.Id(), nullable=False),
        sa.Column("floating_ip_address", tables.Text(), nullable=False),
        sa.Column("floating_port_id", tables.Id(), nullable=False),
        sa.Column("port_id", tables.Id(), nullable=True),
        sa.Column("fixed_ip_address", tables.Text(), nullable=True),
        sa.Column("router_id", tables.Id(), nullable=True),
        sa.Column("status", tables.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["floating_network_id"], ["network_networks.id"], name=op.f("fk_network_floating_ips_floating_network_id")
        ),
        sa.ForeignKeyConstraint(
            ["floating_port_id"], ["network_ports.id"], name=op.f("fk_network_floating_ips_floating_port_id")
        ),
        sa.ForeignKeyConstraint(["port_id"], ["network_ports.id"], name=op.f("fk_network_floating_ips_port_id")),
        sa.ForeignKeyConstraint(["router_id"], ["network_routers.id"], name=op.f("fk_network_floating_ips_router_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_network_floating_ips")),
        sa.UniqueConstraint(
            "floating_network_id",
            "port_id",
            "fixed_ip_address",
            name=op.f("uq_network_floating_ips_floating_network_id_port_id_fixed_ip_address"),
        ),
        sa.UniqueConstraint("floating_port_id", name=op.f("uq_network_floating_ips_floating_port_id")),
    )
    op.create_index(
        op.f("ix_network_floating_ips_floating_network_id"),
        "network_floating_ips",
        ["floating_network_id"],
        unique=False,
    )
    op.create_index(op.f("ix_network_floating_ips_port_id"), "network_floating_ips", ["port_id"], unique=False)
    op.create_index(op.f("ix_network_floating_ips_project_id"), "network_floating_ips", ["project_id"], unique=False)
    op.create_index(op.f("ix_network_floating_ips_router_id"), "network_floating_ips", ["router_id"], unique=False)
