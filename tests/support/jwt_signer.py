"""Whoever signs tokens, by openssl alone: what vaultd checks with GnuTLS was made by somebody else.

    signer = Signer("ES256"); signer.pem; signer.jwk(kid="a"); signer.token({"sub": "bob"})

Keys are made in the test's folder and thrown away with it.
"""
import base64
import json
import os
import re
import subprocess
import tempfile
import time

ALGS = {"RS256": ("rsa", "sha256"), "RS384": ("rsa", "sha384"), "RS512": ("rsa", "sha512"),
        "PS256": ("pss", "sha256"), "PS384": ("pss", "sha384"), "PS512": ("pss", "sha512"),
        "ES256": ("P-256", "sha256"), "ES384": ("P-384", "sha384"), "ES512": ("P-521", "sha512"),
        "EdDSA": ("ed25519", None)}
HALF = {"P-256": 32, "P-384": 48, "P-521": 66}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=True).stdout


def integers(der):
    """The two numbers of SEQUENCE { INTEGER, INTEGER }."""
    at = 2 if der[1] < 0x80 else 3
    for _ in range(2):
        length = der[at + 1]
        yield int.from_bytes(der[at + 2:at + 2 + length], "big")
        at += 2 + length


class Signer:
    def __init__(self, alg="ES256", bits=2048):
        self.alg = alg
        self.kind, self.digest = ALGS[alg]
        self.folder = tempfile.TemporaryDirectory(prefix="keyturn-signer-")
        self.file = os.path.join(self.folder.name, "key.pem")
        how = {"rsa": ["RSA", "-pkeyopt", "rsa_keygen_bits:%d" % bits], "pss": ["RSA", "-pkeyopt", "rsa_keygen_bits:%d" % bits],
               "ed25519": ["ED25519"]}.get(self.kind) or ["EC", "-pkeyopt", "ec_paramgen_curve:" + self.kind]
        openssl("genpkey", "-algorithm", *how, "-out", self.file)
        self.pem = openssl("pkey", "-in", self.file, "-pubout").decode()

    def jwk(self, **more):
        der = openssl("pkey", "-in", self.file, "-pubout", "-outform", "DER")
        if self.kind in ("rsa", "pss"):
            text = openssl("rsa", "-in", self.file, "-noout", "-modulus").decode()
            return {"kty": "RSA", "n": encode(bytes.fromhex(re.search("=([0-9A-F]+)", text).group(1))), "e": "AQAB", **more}
        if self.kind == "ed25519":
            return {"kty": "OKP", "crv": "Ed25519", "x": encode(der[-32:]), **more}
        half = HALF[self.kind]
        return {"kty": "EC", "crv": self.kind, "x": encode(der[-2 * half:-half]), "y": encode(der[-half:]), **more}

    def sign(self, data):
        if self.kind == "ed25519":
            file = os.path.join(self.folder.name, "data")
            with open(file, "wb") as out:
                out.write(data)
            return openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.file, "-in", file)
        more = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] if self.kind == "pss" else []
        signature = openssl("dgst", "-" + self.digest, "-sign", self.file, *more, data=data)
        if self.kind not in HALF:
            return signature
        return b"".join(n.to_bytes(HALF[self.kind], "big") for n in integers(signature))

    def token(self, claims=None, **header):
        """Good for five minutes, for the audience "vault", of bob, where claims do not say otherwise; None: not."""
        now = int(time.time())
        claims = {"sub": "bob", "aud": "vault", "iat": now, "exp": now + 300, **(claims or {})}
        claims = {k: v for k, v in claims.items() if v is not None}
        return self.raw(json.dumps({"alg": self.alg, "typ": "JWT", **header}), json.dumps(claims))

    def raw(self, header, claims):
        text = encode(header.encode()) + "." + encode(claims.encode())
        return text + "." + encode(self.sign(text.encode()))
