# Starts, follows and stops rotations. Reads no value, sets nothing up.

# With what was set up for the secret: neither its target nor its schedule is this role's to change, so that
# a new value goes nowhere but where an operator said.
path "rotation/rotate/*" {
  capabilities = ["update"]
}
# Following a run; "update" is to cancel it and to let a frozen one go on.
path "rotation/runs" {
  capabilities = ["list"]
}
path "rotation/runs/*" {
  capabilities = ["read", "update"]
}
# How a secret is rotated, and what is due next. Targets are left out: what they are is not needed here.
path "rotation/secrets" {
  capabilities = ["list"]
}
path "rotation/secrets/*" {
  capabilities = ["read", "list"]
}
path "rotation/due" {
  capabilities = ["read"]
}
path "rotation/plan" {
  capabilities = ["read"]
}
path "rotation/overdue" {
  capabilities = ["read"]
}
path "rotation/zombies" {
  capabilities = ["read"]
}
path "rotation/classes" {
  capabilities = ["read"]
}
# Stopping all that would begin, and seeing who did. Letting it go on ("delete") is an operator's.
path "rotation/pause" {
  capabilities = ["read", "update"]
}
# Which hosts have not taken the new version yet: what a run waits for.
path "fleet/agents" {
  capabilities = ["list"]
}
path "fleet/consumers/*" {
  capabilities = ["read", "list"]
}
