"""Who may do what in Placement: its documented defaults (configuration/policy), all of the scope project."""

from tests.unit.api.rbac.personas import table

TABLE = table("""
    placement:resource_providers:list                 admin, service
    placement:resource_providers:create               admin, service
    placement:resource_providers:show                 admin, service
    placement:resource_providers:update               admin, service
    placement:resource_providers:delete               admin, service
    placement:resource_classes:list                   admin, service
    placement:resource_classes:create                 admin, service
    placement:resource_classes:show                   admin, service
    placement:resource_classes:update                 admin, service
    placement:resource_classes:delete                 admin, service
    placement:resource_providers:inventories:list     admin, service
    placement:resource_providers:inventories:create   admin, service
    placement:resource_providers:inventories:show     admin, service
    placement:resource_providers:inventories:update   admin, service
    placement:resource_providers:inventories:delete   admin, service
    placement:resource_providers:aggregates:list      admin, service
    placement:resource_providers:aggregates:update    admin, service
    placement:resource_providers:usages               admin, service
    placement:usages                                  reader, service
    placement:traits:list                             admin, service
    placement:traits:show                             admin, service
    placement:traits:update                           admin, service
    placement:traits:delete                           admin, service
    placement:resource_providers:traits:list          admin, service
    placement:resource_providers:traits:update        admin, service
    placement:resource_providers:traits:delete        admin, service
    placement:allocations:manage                      admin, service
    placement:allocations:list                        admin, service
    placement:allocations:update                      admin, service
    placement:allocations:delete                      admin, service
    placement:resource_providers:allocations:list     admin, service
    placement:allocation_candidates:list              admin, service
    placement:reshaper:reshape                        service
""")
