"""The composition root: `start` makes a host wait, `grow` grows the tree, `System` is the service's handle of it."""
