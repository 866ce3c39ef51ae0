"""Who may do what in Keystone: its documented defaults, with the scopes that it names for each rule.

The user is ``member``; the user, the group and the project are of domain acme; the role is ``member``.
"""

from tests.unit.api.rbac.personas import IDENTITY_WORDS, table

TABLE = table(
    """
    identity:get_user                           any-admin, system-reader, domain-reader, own
    identity:list_users                         any-admin, system-reader, domain-reader
    identity:create_user                        any-admin, domain-manager
    identity:update_user                        any-admin, domain-manager
    identity:delete_user                        any-admin, domain-manager
    identity:list_user_projects                 any-admin, system-reader, domain-reader, own

    identity:get_project                        any-admin, system-reader, domain-reader, own-project
    identity:list_projects                      any-admin, system-reader, domain-reader
    identity:create_project                     any-admin, domain-manager
    identity:update_project                     any-admin, domain-manager
    identity:delete_project                     any-admin, domain-manager
    identity:list_project_tags                  any-admin, system-reader, domain-reader, own-project
    identity:get_project_tag                    any-admin, system-reader, domain-reader, own-project
    identity:update_project_tags                any-admin, domain-manager
    identity:create_project_tag                 any-admin, domain-manager
    identity:delete_project_tags                any-admin, domain-manager
    identity:delete_project_tag                 any-admin, domain-manager

    identity:get_domain                         any-admin, system-reader, domain-scope, own-project
    identity:list_domains                       any-admin, system-reader, domain-reader
    identity:create_domain                      admin
    identity:update_domain                      admin
    identity:delete_domain                      admin

    identity:get_group                          any-admin, system-reader, domain-reader
    identity:list_groups                        any-admin, system-reader, domain-reader
    identity:list_groups_for_user               any-admin, system-reader, domain-reader, own
    identity:create_group                       any-admin, domain-manager
    identity:update_group                       any-admin, domain-manager
    identity:delete_group                       any-admin, domain-manager
    identity:list_users_in_group                any-admin, system-reader, domain-reader
    identity:remove_user_from_group             any-admin, domain-manager
    identity:check_user_in_group                any-admin, system-reader, domain-reader
    identity:add_user_to_group                  any-admin, domain-manager

    identity:get_role                           any-admin, system-reader, any-manager
    identity:list_roles                         any-admin, system-reader, any-domain-manager
    identity:create_role                        admin
    identity:update_role                        admin
    identity:delete_role                        admin
    identity:get_domain_role                    admin, system-reader
    identity:list_domain_roles                  admin, system-reader
    identity:create_domain_role                 admin
    identity:update_domain_role                 admin
    identity:delete_domain_role                 admin
    identity:get_implied_role                   admin, system-reader
    identity:list_implied_roles                 admin, system-reader
    identity:create_implied_role                admin
    identity:delete_implied_role                admin
    identity:list_role_inference_rules          admin, system-reader
    identity:check_implied_role                 admin, system-reader

    identity:check_grant                        any-admin, system-reader, domain-reader
    identity:list_grants                        any-admin, system-reader, domain-reader
    identity:create_grant                       any-admin, domain-manager
    identity:revoke_grant                       any-admin, domain-manager
    identity:list_system_grants_for_user        admin, system-reader
    identity:check_system_grant_for_user        admin, system-reader
    identity:create_system_grant_for_user       admin
    identity:revoke_system_grant_for_user       admin
    identity:list_system_grants_for_group       admin, system-reader
    identity:check_system_grant_for_group       admin, system-reader
    identity:create_system_grant_for_group      admin
    identity:revoke_system_grant_for_group      admin
    identity:list_role_assignments              any-admin, system-reader, domain-reader
    identity:list_role_assignments_for_tree     any-admin, system-reader, domain-reader

    identity:check_token                        any-admin, system-reader, own
    identity:validate_token                     any-admin, system-reader, own, service
    identity:revoke_token                       any-admin, own
    identity:get_auth_catalog                   anybody
    identity:get_auth_projects                  anybody
    identity:get_auth_domains                   anybody
    identity:get_auth_system                    anybody

    identity:get_region                         anybody
    identity:list_regions                       anybody
    identity:create_region                      admin
    identity:update_region                      admin
    identity:delete_region                      admin
    identity:get_service                        admin, system-reader
    identity:list_services                      admin, system-reader
    identity:create_service                     admin
    identity:update_service                     admin
    identity:delete_service                     admin
    identity:get_endpoint                       admin, system-reader
    identity:list_endpoints                     admin, system-reader
    identity:create_endpoint                    admin
    identity:update_endpoint                    admin
    identity:delete_endpoint                    admin

    identity:get_application_credential         admin, system-reader, own
    identity:list_application_credentials       admin, system-reader, own
    identity:create_application_credential      own
    identity:delete_application_credential      admin, own

    identity:get_credential                     any-admin, system-reader, own
    identity:list_credentials                   any-admin, system-reader, own
    identity:create_credential                  any-admin, own
    identity:update_credential                  any-admin, own
    identity:delete_credential                  any-admin, own
    identity:get_policy                         admin, system-reader
    identity:list_policies                      admin, system-reader
    identity:create_policy                      admin
    identity:update_policy                      admin
    identity:delete_policy                      admin
    """,
    IDENTITY_WORDS,
)
