# Sets up secrets, targets and rotations. Reads no value of a rotated secret.

path "secret/data/*" {
  capabilities = ["create", "update", "patch"]
}
path "secret/metadata" {
  capabilities = ["list"]
}
path "secret/metadata/*" {
  capabilities = ["create", "read", "update", "patch", "list"]
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

# Tokens for hosts, pipelines and people: only with the policies that are named here. Policies of
# single hosts go by a pattern, one at a time: {"policies": "agent-web1"}. Without "sudo" only an
# operator's own policies could be given.
path "auth/token/create-orphan" {
  capabilities        = ["update", "sudo"]
  required_parameters = ["policies"]
  allowed_parameters  = {
    "policies"     = [["agent"], ["pipeline"], ["rotator"], ["auditor"], "agent-*", "pipeline-*"]
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
