# Risk classes: how old a secret may get, by what its loss would cost. A secret says which it is (secretctl
# schedule set SECRET risk=high) and may have a max_age of its own, which then counts instead. This is no
# policy of access; it is written with
#
#     secretctl classes write policies/rotation-classes.hcl
#
# A class may also want people: approvals = 2 and approvers = "dba", a rule of approval (docs/approvals.md). Then two of
# its group have to approve what is started by hand of each of its secrets, and whoever changes the class later.

class "critical" {
  description = "who has it has production or money: administrators, payment, signing"
  max_age     = "30d"
}

class "high" {
  description = "production data: databases, queues, service accounts"
  max_age     = "90d"
}

class "medium" {
  description = "internal systems and staging with real data"
  max_age     = "180d"
}

class "low" {
  description = "development, and what is public in effect"
  max_age     = "365d"
}
