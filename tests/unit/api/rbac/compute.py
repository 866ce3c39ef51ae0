"""Who may do what in Nova: its documented defaults (configuration/policy), all of the scope project.

The server and what belongs to it are project A's; a keypair is the user's.
"""

from tests.unit.api.rbac.personas import table

TABLE = table("""
    os_compute_api:os-admin-actions:reset_state               admin
    os_compute_api:os-admin-actions:inject_network_info       admin
    os_compute_api:os-admin-password                          member
    os_compute_api:os-aggregates:set_metadata                 admin
    os_compute_api:os-aggregates:add_host                     admin
    os_compute_api:os-aggregates:create                       admin
    os_compute_api:os-aggregates:remove_host                  admin
    os_compute_api:os-aggregates:update                       admin
    os_compute_api:os-aggregates:index                        admin
    os_compute_api:os-aggregates:delete                       admin
    os_compute_api:os-aggregates:show                         admin
    compute:aggregates:images                                 admin
    os_compute_api:os-assisted-volume-snapshots:create        admin, service
    os_compute_api:os-assisted-volume-snapshots:delete        admin, service
    os_compute_api:os-attach-interfaces:list                  reader
    os_compute_api:os-attach-interfaces:show                  reader
    os_compute_api:os-attach-interfaces:create                member
    os_compute_api:os-attach-interfaces:delete                member
    os_compute_api:os-availability-zone:list                  anybody
    os_compute_api:os-availability-zone:detail                admin
    os_compute_api:os-baremetal-nodes:list                    admin
    os_compute_api:os-baremetal-nodes:show                    admin
    os_compute_api:os-console-auth-tokens                     admin
    os_compute_api:os-console-output                          member
    os_compute_api:os-create-backup                           member
    os_compute_api:os-deferred-delete:restore                 member
    os_compute_api:os-deferred-delete:force                   member
    os_compute_api:os-evacuate                                admin
    os_compute_api:os-extended-server-attributes              admin
    os_compute_api:extensions                                 anybody
    os_compute_api:os-flavor-access:add_tenant_access         admin
    os_compute_api:os-flavor-access:remove_tenant_access      admin
    os_compute_api:os-flavor-access                           admin
    os_compute_api:os-flavor-extra-specs:show                 reader
    os_compute_api:os-flavor-extra-specs:create               admin
    os_compute_api:os-flavor-extra-specs:update               admin
    os_compute_api:os-flavor-extra-specs:delete               admin
    os_compute_api:os-flavor-extra-specs:index                reader
    os_compute_api:os-flavor-manage:create                    admin
    os_compute_api:os-flavor-manage:update                    admin
    os_compute_api:os-flavor-manage:delete                    admin
    os_compute_api:os-floating-ip-pools                       anybody
    os_compute_api:os-floating-ips:add                        member
    os_compute_api:os-floating-ips:remove                     member
    os_compute_api:os-floating-ips:list                       reader
    os_compute_api:os-floating-ips:create                     member
    os_compute_api:os-floating-ips:show                       reader
    os_compute_api:os-floating-ips:delete                     member
    os_compute_api:os-hosts:list                              admin
    os_compute_api:os-hosts:show                              admin
    os_compute_api:os-hosts:update                            admin
    os_compute_api:os-hosts:reboot                            admin
    os_compute_api:os-hosts:shutdown                          admin
    os_compute_api:os-hosts:start                             admin
    os_compute_api:os-hypervisors:list                        admin
    os_compute_api:os-hypervisors:list-detail                 admin
    os_compute_api:os-hypervisors:statistics                  admin
    os_compute_api:os-hypervisors:show                        admin
    os_compute_api:os-hypervisors:uptime                      admin
    os_compute_api:os-hypervisors:search                      admin
    os_compute_api:os-hypervisors:servers                     admin
    os_compute_api:os-instance-actions:events:details         admin
    os_compute_api:os-instance-actions:events                 admin
    os_compute_api:os-instance-actions:list                   reader
    os_compute_api:os-instance-actions:show                   reader
    os_compute_api:os-instance-usage-audit-log:list           admin
    os_compute_api:os-instance-usage-audit-log:show           admin
    os_compute_api:ips:show                                   reader
    os_compute_api:ips:index                                  reader
    os_compute_api:os-keypairs:index                          admin, owner
    os_compute_api:os-keypairs:create                         admin, owner
    os_compute_api:os-keypairs:delete                         admin, owner
    os_compute_api:os-keypairs:show                           admin, owner
    os_compute_api:limits                                     anybody
    os_compute_api:limits:other_project                       admin
    os_compute_api:os-lock-server:lock                        member
    os_compute_api:os-lock-server:unlock                      member
    os_compute_api:os-lock-server:unlock:unlock_override      admin
    os_compute_api:os-migrate-server:migrate                  manager
    os_compute_api:os-migrate-server:migrate:host             admin
    os_compute_api:os-migrate-server:migrate_live             manager
    os_compute_api:os-migrate-server:migrate_live:host        admin
    os_compute_api:os-migrations:index                        manager
    os_compute_api:os-migrations:index:all_projects           admin
    os_compute_api:os-migrations:index:host                   admin
    os_compute_api:os-multinic:add                            member
    os_compute_api:os-multinic:remove                         member
    os_compute_api:os-networks:list                           reader
    os_compute_api:os-networks:show                           reader
    os_compute_api:os-pause-server:pause                      member
    os_compute_api:os-pause-server:unpause                    member
    os_compute_api:os-quota-class-sets:show                   admin
    os_compute_api:os-quota-class-sets:update                 admin
    os_compute_api:os-quota-sets:update                       admin
    os_compute_api:os-quota-sets:defaults                     anybody
    os_compute_api:os-quota-sets:show                         reader
    os_compute_api:os-quota-sets:delete                       admin
    os_compute_api:os-quota-sets:detail                       reader
    os_compute_api:os-remote-consoles                         member
    os_compute_api:os-rescue                                  member
    os_compute_api:os-unrescue                                member
    os_compute_api:os-security-groups:get                     reader
    os_compute_api:os-security-groups:show                    reader
    os_compute_api:os-security-groups:create                  member
    os_compute_api:os-security-groups:update                  member
    os_compute_api:os-security-groups:delete                  member
    os_compute_api:os-security-groups:rule:create             member
    os_compute_api:os-security-groups:rule:delete             member
    os_compute_api:os-security-groups:list                    reader
    os_compute_api:os-security-groups:add                     member
    os_compute_api:os-security-groups:remove                  member
    os_compute_api:os-server-diagnostics                      admin
    os_compute_api:os-server-external-events:create           admin, service
    os_compute_api:os-server-groups:create                    member
    os_compute_api:os-server-groups:delete                    member
    os_compute_api:os-server-groups:index                     reader
    os_compute_api:os-server-groups:index:all_projects        admin
    os_compute_api:os-server-groups:show                      reader
    os_compute_api:server-metadata:index                      reader
    os_compute_api:server-metadata:show                       reader
    os_compute_api:server-metadata:create                     member
    os_compute_api:server-metadata:update_all                 member
    os_compute_api:server-metadata:update                     member
    os_compute_api:server-metadata:delete                     member
    os_compute_api:os-server-password:show                    reader
    os_compute_api:os-server-password:clear                   member
    os_compute_api:os-server-shares:index                     reader
    os_compute_api:os-server-shares:create                    member
    os_compute_api:os-server-shares:show                      reader
    os_compute_api:os-server-shares:delete                    member
    os_compute_api:os-server-tags:delete_all                  member
    os_compute_api:os-server-tags:index                       reader
    os_compute_api:os-server-tags:update_all                  member
    os_compute_api:os-server-tags:delete                      member
    os_compute_api:os-server-tags:update                      member
    os_compute_api:os-server-tags:show                        reader
    compute:server:topology:index                             reader
    compute:server:topology:host:index                        admin
    os_compute_api:servers:index                              reader
    os_compute_api:servers:detail                             reader
    os_compute_api:servers:index:get_all_tenants              admin
    os_compute_api:servers:detail:get_all_tenants             admin
    os_compute_api:servers:allow_all_filters                  admin
    os_compute_api:servers:show                               reader
    os_compute_api:servers:show:flavor-extra-specs            reader
    os_compute_api:servers:show:host_status                   admin
    os_compute_api:servers:show:host_status:unknown-only      admin
    os_compute_api:servers:create                             member
    os_compute_api:servers:create:forced_host                 admin
    compute:servers:create:requested_destination              admin
    os_compute_api:servers:create:attach_volume               member
    os_compute_api:servers:create:attach_network              member
    os_compute_api:servers:create:trusted_certs               member
    os_compute_api:servers:create:zero_disk_flavor            admin
    network:attach_external_network                           admin
    os_compute_api:servers:delete                             member
    os_compute_api:servers:update                             member
    os_compute_api:servers:confirm_resize                     member
    os_compute_api:servers:revert_resize                      member
    os_compute_api:servers:reboot                             member
    os_compute_api:servers:resize                             member
    compute:servers:resize:cross_cell                         nobody
    os_compute_api:servers:rebuild                            member
    os_compute_api:servers:rebuild:trusted_certs              member
    os_compute_api:servers:create_image                       member
    os_compute_api:servers:create_image:allow_volume_backed   member
    os_compute_api:servers:start                              member
    os_compute_api:servers:stop                               member
    os_compute_api:servers:trigger_crash_dump                 member
    os_compute_api:servers:migrations:show                    admin
    os_compute_api:servers:migrations:force_complete          manager
    os_compute_api:servers:migrations:delete                  manager
    os_compute_api:servers:migrations:index                   manager
    os_compute_api:servers:migrations:index:host              admin
    os_compute_api:os-services:list                           admin
    os_compute_api:os-services:update                         admin
    os_compute_api:os-services:delete                         admin
    os_compute_api:os-shelve:shelve                           member
    os_compute_api:os-shelve:unshelve                         member
    os_compute_api:os-shelve:unshelve_to_host                 admin
    os_compute_api:os-shelve:shelve_offload                   admin
    os_compute_api:os-simple-tenant-usage:show                reader
    os_compute_api:os-simple-tenant-usage:list                admin
    os_compute_api:os-suspend-server:resume                   member
    os_compute_api:os-suspend-server:suspend                  member
    os_compute_api:os-tenant-networks:list                    reader
    os_compute_api:os-tenant-networks:show                    reader
    os_compute_api:os-volumes:list                            reader
    os_compute_api:os-volumes:create                          member
    os_compute_api:os-volumes:detail                          reader
    os_compute_api:os-volumes:show                            reader
    os_compute_api:os-volumes:delete                          member
    os_compute_api:os-volumes:snapshots:list                  reader
    os_compute_api:os-volumes:snapshots:create                member
    os_compute_api:os-volumes:snapshots:detail                reader
    os_compute_api:os-volumes:snapshots:show                  reader
    os_compute_api:os-volumes:snapshots:delete                member
    os_compute_api:os-volumes-attachments:index               reader
    os_compute_api:os-volumes-attachments:create              member
    os_compute_api:os-volumes-attachments:show                reader
    os_compute_api:os-volumes-attachments:update              member
    os_compute_api:os-volumes-attachments:swap                admin, service
    os_compute_api:os-volumes-attachments:delete              member
    os_compute_api:flavors                                    everybody   # ours: Nova asks no rule for flavors
    os_compute_api:images:list                                reader      # ours: Nova leaves it to Glance
    os_compute_api:images:update                              member      # ours: Nova leaves it to Glance
    os_compute_api:images:delete                              member      # ours: Nova leaves it to Glance
""")
