"""Authorities, certificates and revocation lists for tests, made by openssl in a folder of the test's.

    ca = Authority(folder, "root")
    web = ca.issue("web", "extendedKeyUsage=clientAuth")     # web.crt, web.key, web.pem: their text
    ca.revoke(web); ca.crl()                                 # PEM
"""
import os
import subprocess

CONFIG = """[ca]
default_ca = own
[own]
database = %(at)s/index
certificate = %(at)s/ca.crt
private_key = %(at)s/ca.key
new_certs_dir = %(at)s
serial = %(at)s/serial
crlnumber = %(at)s/crlnumber
default_md = sha256
default_days = 30
default_crl_days = 30
policy = any
copy_extensions = none
unique_subject = no
[any]
commonName = supplied
organizationalUnitName = optional
"""
EC = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def openssl(*args):
    done = subprocess.run(["openssl", *args], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError("openssl %s: %s" % (" ".join(args), done.stderr))
    return done.stdout


class Certificate:
    def __init__(self, base):
        self.crt, self.key = base + ".crt", base + ".key"

    @property
    def pem(self):
        with open(self.crt) as f:
            text = f.read()
        return text[text.index("-----BEGIN"):]

    @property
    def pair(self):
        return (self.crt, self.key)


class Authority(Certificate):
    def __init__(self, folder, name, subject=None):
        self.at = os.path.join(folder, name)
        os.mkdir(self.at)
        super().__init__(os.path.join(self.at, "ca"))
        for file, text in (("cnf", CONFIG % {"at": self.at}), ("index", ""), ("serial", "1000\n"), ("crlnumber", "01\n")):
            with open(os.path.join(self.at, file), "w") as f:
                f.write(text)
        openssl("req", "-x509", *EC, "-days", "30", "-subj", "/CN=" + (subject or name), "-addext",
                "keyUsage=critical,keyCertSign,cRLSign", "-keyout", self.key, "-out", self.crt)

    def ca(self, *args):
        return openssl("ca", "-batch", "-config", os.path.join(self.at, "cnf"), *args)

    def issue(self, name, extensions="extendedKeyUsage=clientAuth", file=None, key_of=None, subject=None, serial=None,
              dates=None, rsa=None):
        """extensions: of openssl's configuration, a line each. dates: (from, until) as YYYYMMDDHHMMSSZ. rsa: options of
        openssl's for such a key, "bits:2048" each; of several primes a large one is made in a second."""
        got = Certificate(os.path.join(self.at, file or name))
        request, ext = got.crt + ".csr", got.crt + ".ext"
        with open(ext, "w") as f:
            f.write("[e]\nbasicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n" + extensions)
        if key_of is not None:
            got.key = key_of.key
        elif rsa is not None:
            openssl("genpkey", "-quiet", "-algorithm", "RSA", "-out", got.key,
                    *(a for option in rsa for a in ("-pkeyopt", "rsa_keygen_" + option)))
        openssl("req", *(["-new", "-key", got.key] if key_of or rsa else [*EC, "-keyout", got.key]), "-subj",
                subject or "/CN=" + name, "-out", request)
        if serial:
            with open(os.path.join(self.at, "serial"), "w") as f:
                f.write(serial + "\n")
        self.ca("-notext", "-in", request, "-out", got.crt, "-extensions", "e", "-extfile", ext,
                *(["-startdate", dates[0], "-enddate", dates[1]] if dates else []))
        return got

    def revoke(self, certificate):
        self.ca("-revoke", certificate.crt)

    def crl(self, *more):
        return self.ca("-gencrl", *more)
