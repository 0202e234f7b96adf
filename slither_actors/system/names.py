"""Names of the fixed parts of the tree."""

ROOT = "root"
STORES = "stores"
POOLS = "pools"
PIPES = "pipes"
CHILDREN = "children"
DISPATCHER = "dispatcher"
SESSIONS = "sessions"
