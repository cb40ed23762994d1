# Sets up secrets, targets and rotations. Reads no value, and can make nobody who does.

# A value goes in and does not come out: no "read". "delete" is a request to secret/delete/*, which names
# its versions.
path "secret/data/*" {
  capabilities = ["create", "update", "patch"]
}
# What there is, its versions and its owner. No "delete": it takes all versions with it, for good.
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
# Both can be undone by the other. secret/destroy/* cannot, and is left out; so are secret/copy/* and
# secret/move/*, which bring a value to where somebody else reads it.
path "secret/delete/*" {
  capabilities = ["update"]
}
path "secret/undelete/*" {
  capabilities = ["update"]
}

# Targets, schedules, runs, the clock: no answer of any of them has a value or a target's password.
path "rotation/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}

# Who runs which version. Acknowledging one is an agent's matter: who could say it for a host could have a
# credential revoked that is still in use there.
path "fleet/agents" {
  capabilities = ["list"]
}
path "fleet/consumers/*" {
  capabilities = ["read", "list"]
}

# A token for who only rotates. All that it may do an operator may do himself; a token of any policy that
# reads values would be a way around the first block, and is made with break-glass.hcl. "sudo" is what
# making an orphan asks for, the parameters are what keeps it small. A pattern allows a text,
# {"policies": "rotator"}, as secretctl sends it; a list is allowed as a whole.
path "auth/token/create-orphan" {
  capabilities        = ["update", "sudo"]
  required_parameters = ["policies"]
  allowed_parameters  = {
    "policies"     = ["rotator", ["rotator"]]
    "meta"         = []
    "display_name" = []
    "ttl"          = []
    "period"       = []
    "num_uses"     = []
    "renewable"    = []
  }
}

# What is mounted, and who may do what: read, to answer a 403. Writing a policy is writing one's own.
path "sys/policies/acl" {
  capabilities = ["list"]
}
path "sys/policies/acl/*" {
  capabilities = ["read"]
}
path "sys/policies/explain" {
  capabilities = ["update"]
}
path "sys/mounts" {
  capabilities = ["read"]
}

# The log proves itself; an operator may show that it does. Its hashes (sys/audit-hash) are left out: with
# them a value that is easily guessed is found in the log.
path "sys/audit-log/*" {
  capabilities = ["read"]
}
path "sys/audit-log/checkpoint" {
  capabilities = ["read", "update"]
}
