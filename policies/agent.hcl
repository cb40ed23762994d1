# secret-agent on the host HOST. Write one such policy a host: put its name where HOST stands, and the
# secrets of its services where secret/data/db/* stands.

path "secret/data/db/*" {
  capabilities = ["read"]
}

# Registering a consumer and acknowledging a version. An acknowledgement of a version that this token
# never read does not count, whatever this says.
path "fleet/consumers/HOST/*" {
  capabilities = ["update"]
}
path "fleet/watch/HOST" {
  capabilities = ["read"]
}
