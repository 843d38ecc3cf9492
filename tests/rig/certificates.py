"""Certificates for tests: made by a certificate authority of their own, good or broken as a test wants."""

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Authority:
    """A certificate authority; a client that trusts `ca_file` accepts what it signs."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    @property
    def ca_file(self) -> str:
        return str(self.folder / "ca.pem")

    def server(
        self, host: str = "127.0.0.1", *, begins_days: float = -1, ends_days: float = 2
    ) -> ssl.SSLContext:
        """Return what a server for ``host`` presents, valid from and until so many days from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        certificate = (
            _blank(_name(host), key, self.name, begins_days, ends_days)
            .add_extension(signer, critical=False)  # Python 3.13 believes nothing without
            .add_extension(x509.SubjectAlternativeName([_general(host)]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        path = self.folder / f"{host}{begins_days}{ends_days}.pem"
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(pem + certificate.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


def authority(folder: Path) -> Authority:
    """Return a new one, which keeps its files in ``folder``."""
    key, name = ec.generate_private_key(ec.SECP256R1()), _name("an authority of the tests")
    usage = x509.KeyUsage(
        key_cert_sign=True,
        crl_sign=True,
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _blank(name, key, name, -400, 400)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    made = Authority(folder, key, name)
    Path(made.ca_file).write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return made


def _blank(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, begins_days: float, ends_days: float
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins_days * DAY)
        .not_valid_after(now + ends_days * DAY)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
