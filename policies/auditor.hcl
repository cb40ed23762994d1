# Reads the audit log, proves it, and sees who may do what. Reads no value, changes nothing.

path "sys/audit-log/*" {
  capabilities = ["read"]
}
# "update" makes a fresh signed checkpoint: it adds to the proof, and takes nothing away.
path "sys/audit-log/checkpoint" {
  capabilities = ["read", "update"]
}
# Finds a known text in the log by its hash. Leave this out where texts are easily guessed.
path "sys/audit-hash/*" {
  capabilities = ["update"]
}
# Which devices there are; "sudo" is what this path asks for. Nobody changes them over the API.
path "sys/audit" {
  capabilities = ["read", "sudo"]
}

# Who may do what, and what a pattern in a record means. sys/capabilities is left out: it takes a token,
# and an auditor has nobody's.
path "sys/policies/acl" {
  capabilities = ["list"]
}
path "sys/policies/acl/*" {
  capabilities = ["read"]
}
path "sys/policies/explain" {
  capabilities = ["update"]
}
# Whose entity and group it was: their names, policies and metadata.
path "identity/*" {
  capabilities = ["read", "list"]
}
path "sys/mounts" {
  capabilities = ["read"]
}
# Which ways to log in there are. What is below auth/ is left out: a role's id is half of what logs it in.
path "sys/auth" {
  capabilities = ["read"]
}

# What rotations did, and which host runs which version: what the log's records are held against.
path "rotation/plan" {
  capabilities = ["read"]
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

# What waits for the approval of others, who asked, who approved.
path "sys/approvals/requests" {
  capabilities = ["list"]
}
path "sys/approvals/requests/+" {
  capabilities = ["read"]
}
path "sys/approvals/rules" {
  capabilities = ["list"]
}
path "sys/approvals/rules/+" {
  capabilities = ["read"]
}
