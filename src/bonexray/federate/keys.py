"""The keys of a federation: a certificate of the server, and a pair of keys for each site."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bonexray.base.errors import BonexrayError

AUTHORITY, CERTIFICATE, SERVER_KEY = "ca.pem", "server.pem", "server.key"
SITE_KEY, PUBLIC = "site.key", ".pub"
DAYS = 365  # that the server's certificate is valid
Key = ec.EllipticCurvePrivateKey


def write_server_keys(folder: Path, hosts: list[str]) -> None:
    """Write the certificate of a server, and that of the authority that signs it, which the sites need.

    The key of the authority is not kept, so that nobody can sign another certificate with it.

    Args:
        folder: the target.
        hosts: names or addresses under which the sites reach the server.
    """
    _require_new(folder, (AUTHORITY, CERTIFICATE, SERVER_KEY))
    authority_key, server_key = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
    authority = _certificate("bonexray federation", authority_key, authority_key, "bonexray federation", [])
    server = _certificate(hosts[0], server_key, authority_key, "bonexray federation", hosts)
    _write(folder / AUTHORITY, _pem_of(authority))
    _write(folder / CERTIFICATE, _pem_of(server))
    _write(folder / SERVER_KEY, _pem_of_key(server_key), secret=True)


def write_site_keys(folder: Path, name: str) -> None:
    """Write the private key of a site, and its public key as `<name>.pub`, which the server needs.

    Args:
        folder: the target.
        name: of the site.
    """
    _require_new(folder, (SITE_KEY, name + PUBLIC))
    key = ec.generate_private_key(ec.SECP384R1())
    _write(folder / SITE_KEY, _pem_of_key(key), secret=True)
    _write(folder / (name + PUBLIC), _public_pem(key.public_key()))


def read_site_key(path: Path) -> Key:
    """Return the private key of a site.

    Raises:
        BonexrayError: the file is missing or is not such a key.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise _no_key(path, "the private key of a site", error) from None
    if not isinstance(key, Key):
        raise _no_key(path, "the private key of a site", TypeError("another kind of key"))
    return key


def read_public_keys(folder: Path) -> dict[str, bytes]:
    """Return the public key of each site, as Flower keeps it, by the name of its file without `.pub`.

    Raises:
        BonexrayError: there is none, or a file is not such a key.
    """
    keys = {}
    for path in sorted(folder.glob(f"*{PUBLIC}")):
        try:
            key = load_pem_public_key(path.read_bytes())
            if not isinstance(key, ec.EllipticCurvePublicKey):
                raise ValueError("another kind of key")
        except (OSError, ValueError) as error:
            raise _no_key(path, "the public key of a site", error) from None
        keys[path.stem] = _public_pem(key)
    if not keys or len(set(keys.values())) < len(keys):
        received = "the same key twice" if keys else "none"
        do = "ask each site for the .pub file that `bonexray federate keys` wrote there"
        raise BonexrayError(str(folder), expected="a public key of each site", received=received, do=do)
    return keys


def _certificate(name: str, key: Key, signer: Key, issuer: str, hosts: list[str]) -> x509.Certificate:
    """Return a certificate of a server for some hosts, or without any that of an authority."""
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(ca=not hosts, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(_usage(authority=not hosts), critical=True)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signer, hashes.SHA384())


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_of_key(key: Key) -> bytes:
    kind, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, kind, plain)


def _public_pem(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _require_new(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        if (folder / name).exists():
            do = "name another folder, or delete the keys, which then open nothing any more"
            raise BonexrayError(str(folder / name), expected="no file of that name", received="one", do=do)


def _write(path: Path, content: bytes, *, secret: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600 if secret else 0o644, exist_ok=False)  # nobody else reads the key, at no moment
    path.write_bytes(content)


def _no_key(path: Path, expected: str, error: Exception) -> BonexrayError:
    received = "no such file" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())[:100]
    return BonexrayError(str(path), expected=expected, received=received, do="see `bonexray federate keys --help`")
