storage "lmdb" { path = "/d" }
listener "tcp" { tls_disable = true }
seal "credential" { name = "vaultd-seal" }
seal "credential" { name = "../a" }
seal "credential" { }
seal "awskms" { }
