# Starts, follows and stops rotations. Reads no value.

path "rotation/rotate/*" {
  capabilities = ["update"]
}
path "rotation/runs" {
  capabilities = ["list"]
}
path "rotation/runs/*" {
  capabilities = ["read", "update"]
}
path "rotation/secrets" {
  capabilities = ["list"]
}
path "rotation/secrets/*" {
  capabilities = ["read", "list"]
}
path "rotation/due" {
  capabilities = ["read"]
}
path "fleet/agents" {
  capabilities = ["list"]
}
path "fleet/consumers/*" {
  capabilities = ["read", "list"]
}
