"""How long a dispatcher waits for what, in seconds."""

# How long leased workers are kept without work: long enough to bridge a pause between two calls.
IDLE_S = 0.1

# What still runs for a cancelled run may take this long before its worker is killed.
CANCEL_GRACE_S = 1.0

# A worker that was about to begin the batch when its supervisor looked is to be killed once more.
KILL_AGAIN_S = 0.5

# How long a stop hook may run before its worker is killed.
STOP_LIMIT_S = 30.0

# Sessions that idle too long are looked for this often at most.
LOOK_S = 0.05
