# secret-agent on the host HOST. Write one such policy a host: put its name where HOST stands, and the
# secrets of its services where secret/data/db/* stands. Whoever has the host's token has these secrets, so
# name them one by one where you can.

# Values, and nothing about them: neither lists nor metadata, for an agent is told the names.
path "secret/data/db/*" {
  capabilities = ["read"]
}

# Registering a consumer and acknowledging a version, of this host alone. An acknowledgement of a version
# that this token never read does not count, whatever this says.
path "fleet/consumers/HOST/*" {
  capabilities = ["update"]
}
path "fleet/watch/HOST" {
  capabilities = ["read"]
}
