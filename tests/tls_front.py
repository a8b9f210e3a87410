"""Speaks TLS in front of a plain server. Runs on CPython 3.6."""

import contextlib
import socket
import ssl
import threading


@contextlib.contextmanager
def serving(certificate, port):
    """Pass what comes over TLS on to a port of this machine, and give the port that it comes to.

    :param certificate: Path of a file with the server's certificate and its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(16)

    def accept():
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # closed: the end
            threading.Thread(target=serve, args=(client,), daemon=True).start()

    def serve(client):
        # An OSError is a client that refuses the certificate, or goes.
        with contextlib.suppress(OSError), contextlib.ExitStack() as open_ones:
            open_ones.enter_context(client)
            channel = open_ones.enter_context(context.wrap_socket(client, server_side=True))
            server = open_ones.enter_context(socket.create_connection(("127.0.0.1", port)))
            back = threading.Thread(target=pump, args=(server, channel), daemon=True)
            back.start()
            pump(channel, server)
            back.join()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def pump(source, target):
    with contextlib.suppress(OSError):
        while True:
            data = source.recv(65536)
            if not data:
                break
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
