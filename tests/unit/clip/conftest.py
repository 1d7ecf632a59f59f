"""open_clip and timm are imported by the tests themselves."""

from showcases.compat import import_torchvision

import_torchvision()
