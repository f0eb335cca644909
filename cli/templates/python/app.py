"""The agent {{name}} in Python: answers a request with what it heard, and counts how often it was asked.

`wit_world` is made from wit/agent.wit when the agent is built. An exception undoes the reaction.
"""

from typing import List

from wit_world import exports
from wit_world.imports import kv, log
from wit_world.imports.types import Message, Outgoing, Performative

HEALTH = "application/vnd.caxton.health+json"


def reply(message: Message, performative: Performative, content: bytes, content_type: str = "text/plain") -> List[Outgoing]:
    """One answer to the sender, in the same conversation."""
    return [
        Outgoing(
            performative=performative,
            receiver=message.sender,
            conversation_id=None,
            protocol=message.protocol,
            reply_with=None,
            in_reply_to=message.reply_with or message.id,
            reply_by=None,
            content_type=content_type,
            content=content,
            delivery=None,
        )
    ]


class Handler(exports.Handler):
    """The export of the contract."""

    def handle_message(self, message: Message) -> List[Outgoing]:
        """One reaction."""
        act = message.performative
        if message.content_type == HEALTH:
            asked = act in (Performative.REQUEST, Performative.QUERY)
            return reply(message, Performative.INFORM, b'{"status":"ok"}', HEALTH) if asked else []
        if act != Performative.REQUEST:
            # Never complain about a complaint: it would not end.
            silent = message.sender == "node" or act in (Performative.NOT_UNDERSTOOD, Performative.FAILURE)
            return [] if silent else reply(message, Performative.NOT_UNDERSTOOD, b"{{name}} takes requests")
        count = int(kv.get("asked") or b"0") + 1  # Memory may be recycled between two messages; kv lasts.
        kv.set("asked", str(count).encode())
        log.write(log.Level.INFO, f"request {count} from {message.sender}")
        return reply(message, Performative.INFORM, b"{{name}} heard: " + message.content)
