"""Who may do what in Neutron: its documented defaults, all of the scope project.

The network, its subnets and so on are project A's and not shared.
"""

from tests.unit.api.rbac.personas import table

TABLE = table("""
    create_network                                    member
    create_network:shared                             admin
    create_network:router:external                    admin
    create_network:port_security_enabled              member
    create_network:provider:network_type              admin
    create_network:provider:physical_network          admin
    create_network:provider:segmentation_id           admin
    get_network                                       reader, service
    get_network:provider:network_type                 admin
    get_network:provider:physical_network             admin
    get_network:provider:segmentation_id              admin
    update_network                                    member
    update_network:shared                             admin
    update_network:router:external                    admin
    update_network:port_security_enabled              member
    update_network:provider:network_type              admin
    update_network:provider:physical_network          admin
    update_network:provider:segmentation_id           admin
    delete_network                                    member

    create_subnet                                     member
    get_subnet                                        reader, service
    update_subnet                                     member
    delete_subnet                                     member

    create_subnetpool                                 member
    create_subnetpool:shared                          admin
    create_subnetpool:is_default                      admin
    get_subnetpool                                    reader
    update_subnetpool                                 member
    update_subnetpool:is_default                      admin
    delete_subnetpool                                 member

    create_port                                       member, service
    create_port:device_id                             member, service
    create_port:device_owner                          anybody     # if it does not begin with network:
    create_port:mac_address                           member, service
    create_port:fixed_ips                             member, service
    create_port:fixed_ips:ip_address                  member, service
    create_port:fixed_ips:subnet_id                   member, service
    create_port:port_security_enabled                 member, service
    create_port:binding:host_id                       admin, service
    create_port:binding:profile                       service
    create_port:binding:vnic_type                     member, service
    create_port:allowed_address_pairs                 member, service
    get_port                                          reader, service
    get_port:binding:vif_type                         admin, service
    get_port:binding:vif_details                      admin, service
    get_port:binding:host_id                          admin, service
    get_port:binding:profile                          admin, service
    update_port                                       member, service
    update_port:device_id                             member, service
    update_port:device_owner                          anybody     # if it does not begin with network:
    update_port:mac_address                           manager, service
    update_port:fixed_ips                             member, service
    update_port:fixed_ips:ip_address                  member, service
    update_port:fixed_ips:subnet_id                   member, service
    update_port:port_security_enabled                 member, service
    update_port:binding:host_id                       admin, service
    update_port:binding:profile                       service
    update_port:binding:vnic_type                     member, service
    update_port:allowed_address_pairs                 member, service
    delete_port                                       member, service

    create_security_group                             member
    get_security_group                                reader
    update_security_group                             member
    delete_security_group                             member
    create_security_group_rule                        member
    get_security_group_rule                           reader
    delete_security_group_rule                        member

    create_router                                     member
    create_router:external_gateway_info               member
    create_router:external_gateway_info:network_id    member
    create_router:external_gateway_info:enable_snat   admin
    create_router:external_gateway_info:external_fixed_ips    admin
    get_router                                        reader
    update_router                                     member
    update_router:external_gateway_info               member
    update_router:external_gateway_info:network_id    member
    update_router:external_gateway_info:enable_snat   admin
    update_router:external_gateway_info:external_fixed_ips    admin
    delete_router                                     member
    add_router_interface                              member
    remove_router_interface                           member
    add_extraroutes                                   member
    remove_extraroutes                                member

    create_floatingip                                 member
    create_floatingip:floating_ip_address             manager
    get_floatingip                                    reader
    update_floatingip                                 member
    delete_floatingip                                 member

    get_quota                                         manager
    update_quota                                      admin
    delete_quota                                      admin

    # Services have no part in tags, not even in those of ports.
    get_network:tags                                  reader
    create_network:tags                               member
    update_network:tags                               member
    delete_network:tags                               member
    get_subnet:tags                                   reader
    create_subnet:tags                                member
    update_subnet:tags                                member
    delete_subnet:tags                                member
    get_port:tags                                     reader
    create_port:tags                                  member
    update_port:tags                                  member
    delete_port:tags                                  member
    get_security_group:tags                           reader
    create_security_group:tags                        member
    update_security_group:tags                        member
    delete_security_group:tags                        member
    get_router:tags                                   reader
    create_router:tags                                member
    update_router:tags                                member
    delete_router:tags                                member
    get_floatingip:tags                               reader
    create_floatingip:tags                            member
    update_floatingip:tags                            member
    delete_floatingip:tags                            member
    get_subnetpool:tags                               reader
    create_subnetpool:tags                            member
    update_subnetpool:tags                            member
    delete_subnetpool:tags                            member
""")
