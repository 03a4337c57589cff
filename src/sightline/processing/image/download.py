"""A file's bytes over http(s), with limits."""

import time
import urllib.error
import urllib.request
from http.client import HTTPException

from sightline.errors import ImageError

MAX_BYTES = 256 << 20
SECONDS = 60.0
_CHUNK = 1 << 16


def download(address: str, timeout: float | None = None) -> bytes:
    """The bytes at an http(s) address: at most MAX_BYTES, within SECONDS, `timeout` seconds for each wait.

    Redirections are followed to http(s) only. The address is trusted: a program that takes addresses from strangers
    must make sure that they don't point into its private network. Raises ImageError.
    """
    deadline = time.monotonic() + SECONDS
    data = bytearray()
    try:
        request = urllib.request.Request(address, headers={"User-Agent": "sightline", "Accept": "image/*,*/*"})
        with _opener().open(request, timeout=timeout or SECONDS) as answer:
            while chunk := answer.read1(_CHUNK):
                data += chunk
                if len(data) > MAX_BYTES:
                    raise ImageError(address, f"more than {MAX_BYTES >> 20} MiB")
                if time.monotonic() > deadline:
                    raise ImageError(address, f"not there after {SECONDS:.0f} seconds")
            missing = answer.length
    except urllib.error.HTTPError as error:
        with error:
            raise ImageError(address, f"the server says {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise ImageError(address, f"can't be fetched ({error.reason})") from error
    except TimeoutError as error:
        raise ImageError(address, "the server does not answer") from error
    except (OSError, HTTPException, ValueError) as error:
        raise ImageError(address, f"can't be fetched ({error})") from error
    if missing:
        raise ImageError(address, "the connection broke off")
    return bytes(data)


def _opener() -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()  # not `build_opener`: that one also opens file: and ftp:
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener
