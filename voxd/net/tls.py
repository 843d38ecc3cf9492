"""Which certificates are trusted: the system's, or those of a file of the user's."""

import ssl

from voxd.tasks import in_thread


async def load_tls_context(ca_file: str) -> ssl.SSLContext:
    """Return what to trust; read in a thread, for the system's certificates take tens of milliseconds.

    Raises `OSError` when ``ca_file`` cannot be read.
    """
    return await in_thread(
        lambda: ssl.create_default_context(cafile=ca_file or None), name="read certificates"
    )
