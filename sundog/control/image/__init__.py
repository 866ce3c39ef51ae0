"""Images: what servers boot from. Their records, members and data, as in Glance v2.

``images`` is where to start: :class:`Images` has the records, and parts for members and data. ``inspection`` is what
stands between an upload and the disk.
"""

from sundog.control.image.files import ImageFiles
from sundog.control.image.images import Images
from sundog.control.image.settings import Settings

__all__ = ["ImageFiles", "Images", "Settings"]
