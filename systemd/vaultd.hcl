# vaultd's configuration: /etc/vaultd/vaultd.hcl. `vaultd --settings` lists every setting,
# `vaultd --config FILE --check` names every mistake at once.

cluster_name = "keyturn"

storage "lmdb" {
  path = "/var/lib/vaultd"
}

# Clients over the network. The key must be readable by the group keyturn and nobody else:
#   chown root:keyturn key.pem && chmod 640 key.pem
# After renewing: systemctl reload vaultd
listener "tcp" {
  address       = "0.0.0.0:8200"
  tls_cert_file = "/etc/vaultd/tls/cert.pem"
  tls_key_file  = "/etc/vaultd/tls/key.pem"
}

# Operators on this host; it is served even when every network connection is taken.
listener "unix" {
  path = "/run/vaultd/vaultd.sock"
  mode = "0660"
}

# A clear copy of the audit log for other tools; vaultd keeps its own sealed log beside the data.
audit "file" {
  path = "/var/log/vaultd/audit.log"
}

# A credential of the unit with which vaultd opens itself when it starts (docs/seals.md); key shares
# always open it, too.
# seal "credential" { name = "vaultd-seal" }

# Where vaultd-pam listens, for logins with the accounts of this host (auth method "pam").
# pam { socket = "/run/vaultd-pam.sock" }

log_level = "info"
