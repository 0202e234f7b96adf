"""Names of the fixed parts of the tree."""

POOLS = "pools"
PIPES = "pipes"
CHILDREN = "children"
DISPATCHER = "dispatcher"
