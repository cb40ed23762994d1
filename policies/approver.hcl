# Approves changes that others ask for. What he approves he can neither ask for nor do by this policy; it takes
# a login of his own and membership in a rule's group, too.

# What waits, and who asks for what. Values are shown only to who may read them at their path.
path "sys/approvals/requests" {
  capabilities = ["list"]
}
path "sys/approvals/requests/+" {
  capabilities = ["read"]
}
path "sys/approvals/requests/+/approve" {
  capabilities = ["update"]
}
path "sys/approvals/requests/+/deny" {
  capabilities = ["update"]
}

# Which rules there are.
path "sys/approvals/rules" {
  capabilities = ["list"]
}
path "sys/approvals/rules/+" {
  capabilities = ["read"]
}

# What a policy says now, to hold a change of it against.
path "sys/policies/acl" {
  capabilities = ["list"]
}
path "sys/policies/acl/*" {
  capabilities = ["read"]
}
