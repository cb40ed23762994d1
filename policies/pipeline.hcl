# A deployment pipeline: reads the secrets of what it deploys, and asks whether the fleet runs them.

path "secret/data/deploy/*" {
  capabilities = ["read"]
}
path "secret/metadata/deploy/*" {
  capabilities = ["read", "list"]
}
path "fleet/agents" {
  capabilities = ["list"]
}
path "fleet/consumers/*" {
  capabilities = ["read", "list"]
}
path "rotation/runs" {
  capabilities = ["list"]
}
path "rotation/runs/*" {
  capabilities = ["read"]
}
