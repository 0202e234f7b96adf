"""How messages and process lifetimes travel between the processes of one system.

`framing` is pure; `hub` owns the sockets of one process; `unix` fits the hub into Thespian as a system base; `host` is
the clean root process that guards the tree and `launch` starts it from the service.
"""
