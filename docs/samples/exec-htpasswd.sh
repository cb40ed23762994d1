#!/bin/sh
# A program for Keyturn's driver "exec": an htpasswd file, as Apache and nginx read it. Needs jq, openssl and
# flock (util-linux).
#
#   driver_program "htpasswd" {
#     command = ["/usr/libexec/keyturn/exec-htpasswd.sh", "/etc/nginx/keyturn/htpasswd"]
#     write   = ["/etc/nginx/keyturn"]
#   }
#
# A value is never an argument of a command: printf is the shell's own, openssl and jq read standard input.
# The protocol: docs/driver-exec.md.
set -eu
umask 027 # the folder's group reads it: install -d -o keyturn -g www-data -m 2750 /etc/nginx/keyturn
file=$1
order=$(cat)

member() { printf '%s' "$order" | jq -r "$1 // \"\""; }

# CLASS TEXT [CODE] [ANSWER]
say() {
    jq -n --arg class "$1" --arg text "$2" --arg code "${3:-}" --arg answer "${4:-}" \
        '{version: 1, class: $class, text: $text} + (if $code == "" then {} else {code: $code} end)
         + (if $answer == "" then {} else {answer: $answer} end)'
    exit 0
}

# A disk that is away is no refusal.
[ -d "$(dirname "$file")" ] || say unreach "there is no folder for $file" folder

stored() { [ ! -e "$file" ] || sed -n "s/^$1:\\(.*\\)\$/\\1/p" "$file"; }
known() { [ -e "$file" ] && grep -q "^$1:" "$file"; }

# NAME HASH: the account has this line alone; the file is replaced as a whole.
put() {
    { [ ! -e "$file" ] || sed "/^$1:/d" "$file"; printf '%s:%s\n' "$1" "$2"; } > "$file.new"
    sync "$file.new"
    mv "$file.new" "$file"
    sync "$(dirname "$file")"
}

hashed() { printf '%s' "$2" | openssl passwd -6 -salt "$1" -stdin; } # SALT VALUE

login() {
    who=$(member .login.who)
    name=$(member .login.username)
    if [ "$who" = admin ]; then # the rights of this program: may it change the file?
        if [ -w "$(dirname "$file")" ]; then say ok "" "" accepted; else say ok "" "" refused; fi
    fi
    case $name in *[!A-Za-z0-9_-]* | "") say ok "" "" refused ;; esac
    hash=$(stored "$name")
    salt=$(printf '%s' "$hash" | cut -d'$' -f3)
    [ -n "$salt" ] || say ok "" "" refused
    if [ "$(hashed "$salt" "$(member .login.password)")" = "$hash" ]; then say ok "" "" accepted; fi
    say ok "" "" refused
}

[ "$(member .version)" = 1 ] || say permanent "this program speaks version 1 only" version
operation=$(member .operation)
case $operation in probe | verify) login ;; esac
account=$(member .account)
# The name becomes a part of patterns.
case $account in *[!A-Za-z0-9_-]* | "") say permanent "an account is letters, digits, '-' and '_' here" name ;; esac
# Several secrets may be in one file: who changes it holds a lock on the folder, until this program ends.
if [ "$operation" != inspect ]; then
    exec 9< "$(dirname "$file")"
    flock 9
fi
case $operation in
inspect) say ok "looked at the file" ;;
create)
    known "$account" || put "$account" "!"
    say ok "the account exists"
    ;;
apply | restore)
    known "$account" || say permanent "there is no such account" missing
    salt=$(openssl rand -hex 8)
    put "$account" "$(hashed "$salt" "$(member .password)")"
    say ok "the account accepts the value"
    ;;
revoke)
    if known "$account"; then put "$account" "!"; fi
    say ok "the account accepts nothing"
    ;;
*) say permanent "there is no such operation" operation ;;
esac
