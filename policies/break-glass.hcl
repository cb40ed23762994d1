# For when nothing else helps, and for what changes who may do what. Two people, a short token (-ttl=1h,
# never a period), ended when the work is done; each use is worth an alarm. It is wide on purpose, but it is
# not root: what cannot be undone is left out, and so is every way to hide that it was used.
#   Left out: root tokens (only key shares make them), destroying versions and deleting all of a secret,
# removing and moving mounts, re-encryption, compaction, the audit log's hashes, acknowledging for a host.

# Values. "delete" and its contrary, which can be undone; secret/destroy/* is not here.
path "secret/data/*" {
  capabilities = ["create", "read", "update", "patch", "delete"]
}
path "secret/metadata" {
  capabilities = ["list"]
}
path "secret/metadata/*" {
  capabilities = ["create", "read", "update", "patch", "list"]
}
path "secret/subkeys/*" {
  capabilities = ["read"]
}
path "secret/delete/*" {
  capabilities = ["update"]
}
path "secret/undelete/*" {
  capabilities = ["update"]
}
path "secret/copy/*" {
  capabilities = ["update"]
}
path "secret/config" {
  capabilities = ["read", "update"]
}

# Who may do what. Whoever writes policies may do anything that policies can give: this block alone is why
# the role is kept under glass. The old forms below sys/policy are not needed.
path "sys/policies/acl" {
  capabilities = ["list"]
}
path "sys/policies/acl/*" {
  capabilities = ["read", "update", "delete"]
}
path "sys/policies/explain" {
  capabilities = ["update"]
}
path "sys/policies/lint" {
  capabilities = ["update"]
}
path "sys/capabilities" {
  capabilities = ["update"]
}
path "sys/capabilities-accessor" {
  capabilities = ["update"]
}

# Who somebody is: a group's policies are its members'. Merging two people into one cannot be undone.
path "identity/*" {
  capabilities = ["read", "update", "delete", "list"]
}
path "identity/entity/merge" {
  capabilities = ["deny"]
}

# Tokens, and whom each way to log in gives which policies: the first operator, a host, a pipeline; and ending
# what was stolen. "sudo" makes orphans and periodic tokens, lists accessors, ends one without its children.
path "auth/*" {
  capabilities = ["create", "read", "update", "delete", "list", "sudo"]
}

# A mount can be made and tuned. Removing one removes its secrets, moving one changes what policies mean.
path "sys/mounts" {
  capabilities = ["read"]
}
path "sys/mounts/*" {
  capabilities = ["read", "update"]
}
# Ending what was logged in with, one by one or all below a path; the old forms are not needed.
path "sys/leases" {
  capabilities = ["read", "sudo"]
}
path "sys/leases/*" {
  capabilities = ["read", "update", "list", "sudo"]
}
# Ways to log in: made, and ended with all their tokens when one of them was broken into.
path "sys/auth" {
  capabilities = ["read"]
}
path "sys/auth/*" {
  capabilities = ["read", "update", "delete", "sudo"]
}
# A limit that is too tight keeps out who would mend it.
path "sys/quotas/*" {
  capabilities = ["read", "update", "delete", "list"]
}

# A host is lost, or a key: seal, begin a new term, make and remove the seals that open by themselves, begin
# new key shares or a root token. The last two end only with the holders' shares, which this role does not have.
path "sys/seal" {
  capabilities = ["update", "sudo"]
}
path "sys/rotate" {
  capabilities = ["update", "sudo"]
}
path "sys/seals" {
  capabilities = ["read"]
}
path "sys/seals/*" {
  capabilities = ["update", "delete", "sudo"]
}
path "sys/rekey/init" {
  capabilities = ["update", "delete", "sudo"]
}
path "sys/rekey/verify" {
  capabilities = ["delete", "sudo"]
}
path "sys/generate-root/attempt" {
  capabilities = ["update", "delete", "sudo"]
}
path "sys/key-status" {
  capabilities = ["read"]
}
path "sys/storage" {
  capabilities = ["read"]
}
path "sys/host-info" {
  capabilities = ["read"]
}
path "sys/config/state/sanitized" {
  capabilities = ["read"]
}

# What an operator has, and a consumer that will never come back can be removed.
path "rotation/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}
path "fleet/agents" {
  capabilities = ["list"]
}
path "fleet/consumers/*" {
  capabilities = ["read", "delete", "list"]
}

# To see what was done, by whomever, this role included. Nothing changes the log or its devices.
path "sys/audit-log/*" {
  capabilities = ["read"]
}
path "sys/audit-log/checkpoint" {
  capabilities = ["read", "update"]
}
path "sys/audit" {
  capabilities = ["read", "sudo"]
}

# What waits for the approval of others, who asked, who approved.
path "sys/approvals/requests" {
  capabilities = ["list"]
}
path "sys/approvals/requests/+" {
  capabilities = ["read"]
}
# Which changes need it. A rule that is there protects itself.
path "sys/approvals/rules" {
  capabilities = ["list"]
}
path "sys/approvals/rules/*" {
  capabilities = ["read", "update", "delete"]
}
