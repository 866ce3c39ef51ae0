"""Who may do what with a private image of project A: Glance's documented defaults, all of the scope project."""

from tests.unit.api.rbac.personas import table

TABLE = table("""
    add_image           member
    get_image           reader
    get_images          reader
    modify_image        member
    publicize_image     admin
    communitize_image   member
    delete_image        member
    upload_image        member
    download_image      member
    deactivate          member
    reactivate          member
    add_member          member
    delete_member       member
    get_member          reader
    get_members         reader
    modify_member       admin       # and a member of the project that it is shared with
    image:discover      everybody   # ours: Glance asks no rule for schemas and the like
""")
