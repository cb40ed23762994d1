# Sets up secrets, targets and rotations. Reads no value.

path "secret/data/*" {
  capabilities = ["create", "update", "patch"]
}
path "secret/metadata" {
  capabilities = ["list"]
}
path "secret/metadata/*" {
  capabilities = ["create", "read", "update", "patch", "list"]
}
# The names of a secret's keys, never a value: secretctl kv put says which of them it would drop.
path "secret/subkeys/*" {
  capabilities = ["read"]
}
path "secret/delete/*" {
  capabilities = ["update"]
}
path "secret/undelete/*" {
  capabilities = ["update"]
}

path "rotation/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}

# Who runs which version.
path "fleet/agents" {
  capabilities = ["list"]
}
path "fleet/consumers/*" {
  capabilities = ["read", "list"]
}

# Tokens for hosts, pipelines and people, only with the policies that are named here, one at a time:
#   secretctl token create -orphan -policy=agent-web1 -period=24h
# A pattern allows a text, {"policies": "agent-web1"}, as secretctl sends it; a list is allowed as a
# whole. Without "sudo" only an operator's own policies could be given.
path "auth/token/create-orphan" {
  capabilities        = ["update", "sudo"]
  required_parameters = ["policies"]
  allowed_parameters  = {
    "policies"     = ["agent", "pipeline", "rotator", "auditor", "agent-*", "pipeline-*",
                      ["agent"], ["pipeline"], ["rotator"], ["auditor"]]
    "meta"         = []
    "display_name" = []
    "ttl"          = []
    "period"       = []
    "num_uses"     = []
    "renewable"    = []
  }
}

path "sys/policies/acl" {
  capabilities = ["list"]
}
path "sys/policies/acl/*" {
  capabilities = ["read"]
}
path "sys/mounts" {
  capabilities = ["read"]
}

# The log proves itself; an operator may show that it does.
path "sys/audit-log/*" {
  capabilities = ["read", "update"]
}
