"""The word counter as an agent in Python: joins in contract-net, counts the words of what it is awarded.

CPython is put into the component by componentize-py; `wit_world` is what it makes from wit/agent.wit.
"""

from typing import List

from words import count_words
from wit_world import exports
from wit_world.imports.types import Message, Outgoing, Performative

HEALTH = "application/vnd.caxton.health+json"


def reply(message: Message, performative: Performative, content_type: str, content: bytes) -> List[Outgoing]:
    """An answer to the sender in the same conversation."""
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


def not_understood(message: Message) -> List[Outgoing]:
    """Never complains about a complaint: it would not end."""
    complaints = (Performative.NOT_UNDERSTOOD, Performative.FAILURE)
    if message.sender == "node" or message.performative in complaints:
        return []
    reason = b"a word counter takes request, cfp, accept-proposal and reject-proposal"
    return reply(message, Performative.NOT_UNDERSTOOD, "text/plain", reason)


class Handler(exports.Handler):
    """The export of the contract."""

    def handle_message(self, message: Message) -> List[Outgoing]:
        """One reaction."""
        act = message.performative
        if message.content_type == HEALTH:
            asked = act in (Performative.REQUEST, Performative.QUERY)
            return reply(message, Performative.INFORM, HEALTH, b'{"status":"ok"}') if asked else []
        if act == Performative.CFP:
            # The cost is the number of jobs awarded and not done: none, a job is done in the reaction that awards it.
            return reply(message, Performative.PROPOSE, "application/json", b'{"cost":0}')
        if act in (Performative.ACCEPT_PROPOSAL, Performative.REQUEST):
            return reply(message, Performative.INFORM, "text/plain", count_words(message.content))
        if act == Performative.REJECT_PROPOSAL:
            return []
        return not_understood(message)
