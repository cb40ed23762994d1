# A deployment pipeline: reads the secrets of what it deploys, and asks whether the fleet runs them. Put the
# pipeline's own folder where deploy/ stands: it is what a stolen token of it is worth.

# No write: whoever changes a build script would else change what all hosts run with.
path "secret/data/deploy/*" {
  capabilities = ["read"]
}
# Which versions there are, to deploy a certain one. The mount's other folders cannot be listed.
path "secret/metadata/deploy/*" {
  capabilities = ["read", "list"]
}
# Which host runs which version, and what a rotation under way waits for. It can start none and stop none.
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
