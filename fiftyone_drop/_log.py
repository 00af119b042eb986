"""The package's logger."""

import logging

# Below FiftyOne's, whose level and handlers it takes where that is installed
logger = logging.getLogger("fiftyone.drop")
