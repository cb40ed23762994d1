log_level = "loud"
storage "raft" {}
listener "tcp" { adress = "x" }
listener "unix" { mode = "99" }
limits { threads = "many" header_size = "1B" header_timeout = "soon" }
