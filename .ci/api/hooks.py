"""What schemathesis does not know by itself: programs are bytes, and so are their bodies."""

import schemathesis


@schemathesis.serializer("application/wasm")
def wasm(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode()
