"""Why a request to another machine failed, in a few words that its user can do something with.

In: what requests, urllib3, TLS and sockets raise, one made of the other. Out: text, without the names of their classes.
The only importer of urllib3, which is in requests and whose errors requests lets through.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from http.client import HTTPException, IncompleteRead, RemoteDisconnected
from pathlib import Path

from urllib3.connection import CertificateError as OtherNameError
from urllib3.exceptions import ConnectTimeoutError, HTTPError
from urllib3.exceptions import TimeoutError as SlowError

FAILURES = (OSError, HTTPException, HTTPError)  # of a request, or while its answer is read; requests has OSErrors only
CERTIFICATE_FAULTS = {  # by what OpenSSL calls them in x509_vfy.h: X509_V_ERR_...
    9: "it is not valid yet, by the clock here",
    10: "it has expired",
    18: "it is signed by itself; [push] ca_file may name it",
    19: "its certification authority is not known here; [push] ca_file may name it",
    20: "its certification authority is not known here; [push] ca_file may name it",
    21: "its certification authority is not known here; [push] ca_file may name it",
    62: "it is made out to another name",
    64: "it is made out to another address",
}


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was made of: requests and urllib3 hand their causes on as arguments."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        yield cause
        seen.append(cause)
        given = (getattr(cause, "reason", None), *cause.args, cause.__cause__, cause.__context__)
        cause = next((one for one in given if isinstance(one, BaseException)), None)


def is_slow(error: Exception) -> bool:
    """Whether an error came of waiting, for somebody who had taken the connection."""
    causes = list(_causes(error))
    waited = any(isinstance(cause, (TimeoutError, SlowError)) for cause in causes)
    return waited and not any(isinstance(cause, ConnectTimeoutError) for cause in causes)


def reason(error: Exception) -> str:
    """Why a request failed, in a few words: those of the innermost cause that has any."""
    said = "the connection broke"
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            gone = cause.errno == socket.EAI_AGAIN
            return "no name server answers" if gone else "its name is not known"
        if isinstance(cause, UnicodeError):
            return "its name cannot be a host's"
        if isinstance(cause, RemoteDisconnected):
            said = "it hung up without an answer"
        elif isinstance(cause, ssl.SSLError):
            said = _tls_fault(cause)
        elif isinstance(cause, HTTPException) and not isinstance(cause, IncompleteRead):
            said = "what answers there does not speak HTTP"
        elif isinstance(cause, OSError) and cause.strerror:
            said = cause.strerror
        elif isinstance(cause, TimeoutError) or type(cause) is ConnectTimeoutError:
            said = "it does not answer"
    return said


def _tls_fault(error: ssl.SSLError) -> str:
    """Why no connection with TLS came about."""
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return "it hung up without an answer"
    said = getattr(error, "reason", None) or "unknown"  # OpenSSL's own errors have one
    if said in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"):
        return "what answers there does not speak TLS, as https:// wants it"
    return f"TLS could not be agreed upon ({said.replace('_', ' ').lower()})"


def certificate_fault(error: Exception) -> str:
    """What is wrong with a certificate; nothing if it is something else that failed."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return CERTIFICATE_FAULTS.get(cause.verify_code, cause.verify_message)
        if isinstance(cause, OtherNameError):
            return CERTIFICATE_FAULTS[62]
    return ""


def authority_fault(ca_file: Path) -> str:
    """What is wrong with a file of certificates; nothing if it can be used."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca_file)
    except ssl.SSLError:
        return "it holds no certificates in PEM"
    except OSError as error:
        return error.strerror or "it cannot be read"
    return ""
