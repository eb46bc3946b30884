"""A federation in one process: Flower's strategies and clients, one site after the other."""

from collections.abc import Iterable, Mapping, Sequence

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from bonexray.federate.client import client_app
from bonexray.federate.plan import Plan
from bonexray.federate.rounds import FederatedHead, train_together
from bonexray.federate.site import Site

SERVER = 1  # number of the server; the sites follow it


def simulate(sites: Sequence[Site], plan: Plan) -> FederatedHead:
    """Return the head that the sites train together; the same sites and plan give the same bytes.

    Args:
        sites: at least one, with the same recipe.
        plan: strategy and rounds.
    """
    apps = {SERVER + number: client_app(site) for number, site in enumerate(sites, 1)}
    return train_together(SerialGrid(apps), sites[0].recipe, plan)


class SerialGrid(Grid):
    """A connection to clients in this process, which answer one after the other in a fixed order.

    Args:
        apps: node to its client.
    """

    def __init__(self, apps: Mapping[int, ClientApp]) -> None:
        self._apps = dict(sorted(apps.items()))
        self._contexts = {node: Context(SERVER, node, {}, RecordDict(), {}) for node in self._apps}
        self._answers: dict[str, Message] = {}
        # Flower's messages take their sender from here.
        TaskIdentity.run_id = TaskIdentity.task_id = TaskIdentity.node_id = SERVER

    def set_run(self, run: Run) -> None:
        """Do nothing: there is one run."""

    @property
    def run(self) -> Run:
        """The run."""
        return Run.create_empty(SERVER)

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """Return a message, as Flower's deprecated method does."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Return the nodes in order."""
        return list(self._apps)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Let the clients answer, in the order of the nodes."""
        ids = []
        for message in sorted(messages, key=lambda one: one.metadata.dst_node_id):
            node = message.metadata.dst_node_id
            ids.append(f"{len(self._answers)}-{node}")
            self._answers[ids[-1]] = self._apps[node](message, self._contexts[node])
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the answers to messages."""
        return [self._answers.pop(message) for message in message_ids]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Return the answers to messages; nobody is waited for."""
        return self.pull_messages(self.push_messages(messages))
