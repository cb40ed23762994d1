# Reads the audit log and proves it. Reads no value, changes nothing.

path "sys/audit-log/*" {
  capabilities = ["read"]
}
# Makes a fresh signed checkpoint.
path "sys/audit-log/checkpoint" {
  capabilities = ["read", "update"]
}
# Finds a known text in the log by its hash. Leave this out where texts are easily guessed.
path "sys/audit-hash/*" {
  capabilities = ["update"]
}
path "rotation/runs" {
  capabilities = ["list"]
}
path "rotation/runs/*" {
  capabilities = ["read"]
}
path "fleet/agents" {
  capabilities = ["list"]
}
path "fleet/consumers/*" {
  capabilities = ["read", "list"]
}
