"""The way to the service, as the engine goes it: name, connection, certificate, clock.

The engine takes no proxy from the environment, TLS from 1.2, and the machine's trusted certificates
from the places where Go looks for them. So does this.
"""

import glob
import http.client
import os
import socket
import ssl
import time
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, List, Optional
from urllib.parse import urlsplit

from .report import FAILED, OK, SKIPPED, WARNING, Report

NAMES = ["name", "connection", "certificate", "service", "clock"]

_MOST_SECONDS = 10.0  # for each step, unless the option timeout is less
_WARN_DAYS = 14
_WARN_SKEW = 60.0  # seconds
_REFUSED_SKEW = 900.0  # seconds: by the service's rule for the date of a request

_ROOT_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_ROOT_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")

_TRUST = (
    "Install the certificate of the authority that signed it among this machine's trusted ones, or "
    "name its file in SSL_CERT_FILE for Sentry's processes. In front of the service itself it is "
    "that of a proxy which opens TLS."
)


def check(report: Report, end_point: str, timeout: float) -> bool:
    """Go the way to the service, up to an answer to a request without a signature.

    :returns: Whether a request of the engine can get there.
    """
    parts = urlsplit(end_point)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    timeout = min(timeout, _MOST_SECONDS)
    left = list(NAMES)

    def failed(message: str, advice: str) -> bool:
        report.add(left.pop(0), FAILED, message, advice)
        report.skip(left, "the check before failed")
        return False

    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # the latter from the codec of names, idna
        return failed(
            f"{host} cannot be resolved: {getattr(error, 'strerror', error)}",
            "Correct the option end_point, or this machine's name resolution (/etc/resolv.conf).",
        )
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    known = host if addresses == [host] else "{} is {}".format(host, ", ".join(addresses))
    report.add(left.pop(0), OK, known)

    start = time.monotonic()
    try:
        connection = socket.create_connection((host, port), timeout)
    except OSError as error:
        return failed(
            f"no connection to {host}:{port}: {error.strerror or error}", _reach(host, port)
        )
    report.add(left.pop(0), OK, f"to {host}:{port}", milliseconds=_since(start))

    with connection:
        channel: Any = connection
        if parts.scheme == "https":
            start = time.monotonic()
            try:
                channel = trusting_as_go_does().wrap_socket(connection, server_hostname=host)
            except (OSError, ssl.CertificateError) as error:  # not an OSError before CPython 3.7
                return failed(*_refused(host, port, error))
            _report_certificate(report, channel, _since(start))
        else:
            report.add("certificate", SKIPPED, "plain http has none")
        left.pop(0)
        return _ask(report, channel, host, port, left, failed)


def trusting_as_go_does() -> ssl.SSLContext:
    """Make a context with the engine's rules."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if hasattr(ssl, "TLSVersion"):
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    else:
        context.options |= ssl.OP_NO_TLSv1 | ssl.OP_NO_TLSv1_1
    for path in _root_files(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")):
        try:
            context.load_verify_locations(cafile=path)
        except OSError:
            pass  # holds no certificate, as many files in those folders do not
    return context


def _root_files(file: Optional[str], folders: Optional[str]) -> List[str]:
    """Give the files where Go finds trusted certificates: the first of its files, and its folders.

    :param file: Stands in for all of its files.
    :param folders: Stand in for its folders, with colons between them.
    """
    files = [path for path in ([file] if file else _ROOT_FILES) if os.path.exists(path)][:1]
    # The usual folders hold the usual file's certificates once more.
    if folders or not files:
        for folder in folders.split(":") if folders else _ROOT_FOLDERS:
            files += glob.glob(os.path.join(glob.escape(folder), "*"))
    return [path for path in files if os.path.isfile(path)]


def _refused(host: str, port: int, error: Exception) -> Any:
    """Say why the handshake failed, and what to do."""
    reason = getattr(error, "reason", None) or ""
    detail = getattr(error, "verify_message", "") or str(error)
    if "WRONG_VERSION" in reason or "UNKNOWN_PROTOCOL" in reason or "HTTP_REQUEST" in reason:
        return (
            f"{host}:{port} does not speak TLS",
            "Correct the port in the option end_point, or begin it with http://.",
        )
    if isinstance(error, ssl.CertificateError) or "CERTIFICATE_VERIFY_FAILED" in reason:
        text = detail.lower()
        if "expired" in text:
            return (
                f"the certificate of {host} has expired",
                "Have it renewed; if it is not expired, set this machine's clock.",
            )
        if "not yet valid" in text:
            return (f"the certificate of {host} is not valid yet", "Set this machine's clock.")
        if "mismatch" in text or "match" in text or "not valid for" in text:
            return (
                f"the certificate is not for {host}: {detail}",
                "Name in the option end_point the host that the certificate is for.",
            )
        if not hasattr(error, "verify_message") and not isinstance(error, ssl.CertificateError):
            # CPython 3.6 does not tell more.
            return (f"the certificate of {host} is not trusted, or has expired", _TRUST)
        return (f"the certificate of {host} is not trusted: {detail}", _TRUST)
    return (
        f"no TLS with {host}:{port}: {detail}",
        "Look for a proxy or a firewall between here and there.",
    )


def _report_certificate(report: Report, channel: ssl.SSLSocket, milliseconds: float) -> None:
    certificate: Any = channel.getpeercert()
    days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / 86400
    message = f"{channel.version()}, valid for {days:,.0f} days more"
    if days < _WARN_DAYS:
        report.add("certificate", WARNING, message, "Have it renewed in time.", milliseconds)
    else:
        report.add("certificate", OK, message, milliseconds=milliseconds)


def _ask(report: Report, channel: Any, host: str, port: int, left: List[str], failed: Any) -> bool:
    """Send a request without a signature: the service refuses it, and tells its time."""
    asking = http.client.HTTPConnection(host, port)
    asking.sock = channel
    before = time.time()
    start = time.monotonic()
    try:
        asking.request("POST", "/ListTable", body=b"")
        answer = asking.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException) as error:
        return failed(
            f"{host}:{port} gave no answer: {str(error) or type(error).__name__}",
            "Correct the option end_point: is it the right port, and https:// where that is due?",
        )
    milliseconds = _since(start)
    request_id = answer.getheader("x-ots-requestid")
    if not request_id:
        server = answer.getheader("Server")
        return failed(
            "what answers at {}:{} is no Tablestore (HTTP {}{})".format(
                host, port, answer.status, f", {server}" if server else ""
            ),
            "Correct host, port and scheme in the option end_point, or have the proxy let it pass.",
        )
    report.add(
        left.pop(0), OK, f"Tablestore answers (request id {request_id})", milliseconds=milliseconds
    )
    _check_clock(report, answer, (before + time.time()) / 2)
    return True


def _check_clock(report: Report, answer: http.client.HTTPResponse, here: float) -> None:
    there = _time_of(answer)
    if there is None:
        report.add("clock", SKIPPED, "the answer tells no time")
        return
    skew = here - there
    message = "{} is {:,.1f} s {} the service's".format(
        "this machine's clock", abs(skew), "ahead of" if skew > 0 else "behind"
    )
    advice = "Set this machine's clock, and keep it right with NTP."
    if abs(skew) > _REFUSED_SKEW:
        report.add("clock", FAILED, message + ", which refuses requests beyond 15 minutes", advice)
    elif abs(skew) > _WARN_SKEW:
        report.add("clock", WARNING, message, advice)
    else:
        report.add("clock", OK, message)


def _time_of(answer: http.client.HTTPResponse) -> Optional[float]:
    """Give the time of an answer in seconds since 1970: from its own header, else from HTTP's."""
    try:
        sent = datetime.strptime(answer.getheader("x-ots-date") or "", "%Y-%m-%dT%H:%M:%S.%fZ")
        return sent.replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        pass  # an answer that came from a proxy or before the service proper has none
    try:
        return parsedate_to_datetime(answer.getheader("Date") or "").timestamp()
    except (TypeError, ValueError):
        return None


def _reach(host: str, port: int) -> str:
    if ".vpc." in host or "-vpc." in host or "-internal." in host:
        return (
            "This end point is only for machines inside its VPC and region: run there, or take the "
            "instance's public end point."
        )
    return (
        f"Correct the port in the option end_point, or let this machine reach {host}:{port} "
        "(firewall, security group, route)."
    )


def _since(start: float) -> float:
    return (time.monotonic() - start) * 1000
